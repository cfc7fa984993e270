import json
from typing import Any

from hypothesis import given, settings

from meshlens.outputs.jsonlines import format_jsonlines
from meshlens.probes.snapshot import Count, Snapshot
from tests.unit.outputs.snapshots import SMALL, snapshots


def parse(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_count_is_an_object_with_the_five_fields_and_zeros_are_printed() -> None:
    objects = parse(format_jsonlines(SMALL))
    assert len(objects) == len(SMALL.counts) + 1
    where = {"interface": "mesh0", "direction": "in"}
    assert objects[0] == {"filter": "arp", **where, "packets": 10, "bytes": 420}
    assert objects[4] == {"filter": "icmp6", **where, "packets": 0, "bytes": 0}


def test_the_last_object_tells_what_was_missed_and_why() -> None:
    snapshot = Snapshot(0, (), {"map full": 2, "fallback": 3})
    assert parse(format_jsonlines(snapshot)) == [{"missed": 5, "reasons": {"map full": 2, "fallback": 3}}]
    assert parse(format_jsonlines(Snapshot(0, ()))) == [{"missed": 0, "reasons": {}}]


@settings(deadline=None)
@given(snapshots())
def test_every_snapshot_reads_back_as_it_was(snapshot: Snapshot) -> None:
    text = format_jsonlines(snapshot)
    assert text.isascii()
    assert text.endswith("\n")
    *counts, missed = parse(text)
    assert tuple(Count(**count) for count in counts) == snapshot.counts
    assert missed["reasons"] == snapshot.missed
