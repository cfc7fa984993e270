"""JSON lines: one object a filter, interface and direction, then one that says what was missed."""

import json

from meshlens.probes.snapshot import Count, Snapshot

__all__ = ["format_jsonlines"]


def format_jsonlines(snapshot: Snapshot) -> str:
    """Every count of the snapshot in its own order, those of 0 packets included, then `missed`.

    A count is `{"filter", "interface", "direction", "packets", "bytes"}`; `interface` is the file's name when
    a capture was read, `direction` is "in", "out", or null where the capture does not tell. The last object
    is `{"missed": frames, "reasons": {reason: frames}}`. ASCII only: other characters are JSON escapes.
    """
    lines = [json.dumps(_count(count)) for count in snapshot.counts]
    lines.append(json.dumps({"missed": sum(snapshot.missed.values()), "reasons": snapshot.missed}))
    return "\n".join(lines) + "\n"


def _count(count: Count) -> dict[str, str | int | None]:
    return {
        "filter": count.filter,
        "interface": count.interface,
        "direction": count.direction,
        "packets": count.packets,
        "bytes": count.bytes,
    }
