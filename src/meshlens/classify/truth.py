"""Which sample of a capture a row of a label file speaks of, and what that row says.

A label file is CSV with a header and a column `file`. For stations a row is a capture; for flows a row is a
flow, found by its ends. What one kind of sample does differently from the other stands in a `Truth`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshlens.classify.features import Sample

__all__ = ["FLOW", "STATION", "TRUTHS", "Row", "Truth", "flow_key", "flow_name", "of_flow", "of_station"]

#: A row of a label file: columns by name.
Row = Mapping[str, str]
#: What tells a flow of a capture: l4, first_src, first_sport, peer_dport, as in a label file.
FlowKey = tuple[str, str, str, str]

#: Columns that name a station, the first that a row fills.
_MAC_COLUMNS: Final = ("device_mac", "station_mac", "mac", "station")
_FLOW_NAME: Final = re.compile(r"(\w+) \[?([^\s\]]+?)\]?:(\d+) \S+ \[?([^\s\]]+?)\]?:(\d+)(?!\S)")


@dataclass(frozen=True, slots=True)
class Truth:
    """How one kind of sample gets its labels.

    `files`: names of the label file, the first that is there; `columns`: what it must have.
    `pair(samples, rows)` yields, for the samples of one capture and the rows that name it, each row with its
    sample, or with None where there is none. `trusted(row)`: whether its label is one. `label(row, column)`:
    what it says. `groups`: columns whose values never cross a split, the first that is there; "file" always
    is.
    """

    files: tuple[str, ...]
    pair: Callable[[Sequence[Sample], Sequence[Row]], Iterator[tuple[Row, Sample | None]]]
    trusted: Callable[[Row], bool] = lambda row: True
    label: Callable[[Row, str], str] = lambda row, column: row[column].strip()
    groups: tuple[str, ...] = ("unit_group", "session_group", "file")
    columns: tuple[str, ...] = ("file",)


def of_station(samples: Sequence[Sample], rows: Sequence[Row]) -> Iterator[tuple[Row, Sample | None]]:
    """Each row with the station whose MAC address it gives; without one, with that of most packets."""
    by_name = {sample.name.lower(): sample for sample in samples}
    busiest = max(samples, key=lambda sample: sample.packets, default=None)
    for row in rows:
        named = next((row[column] for column in _MAC_COLUMNS if row.get(column)), "")
        yield row, by_name.get(named.strip().lower().replace("-", ":")) if named else busiest


def of_flow(samples: Sequence[Sample], rows: Sequence[Row]) -> Iterator[tuple[Row, Sample | None]]:
    """Each row with the flow of its protocol, source, source port and destination port.

    Ports are used again: the first row of such ends gets the first flow, the next the next.
    """
    flows: defaultdict[FlowKey, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.first_ns, reverse=True):
        flows[flow_key(sample.name)].append(sample)
    for row in rows:
        key = (row["l4"].upper(), row["first_src"].lower(), row["first_sport"], row["peer_dport"])
        found = flows.get(key)
        yield row, found.pop() if found else None


def flow_name(protocol: str, src: str, src_port: int, dst: str, dst_port: int) -> str:
    """A flow's name: "TCP 10.0.0.1:40000 > 10.0.0.2:443"; IPv6 addresses stand in brackets."""
    ends = (
        f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        for address, port in ((src, src_port), (dst, dst_port))
    )
    return f"{protocol.upper()} {' > '.join(ends)}"


def flow_key(name: str) -> FlowKey:
    """What a label file has of the flow of this name; empty texts if it is no name of a flow."""
    if not (parts := _FLOW_NAME.match(name)):
        return "", "", "", ""
    protocol, src, src_port, _, dst_port = parts.groups()
    return protocol.upper(), src.lower(), src_port, dst_port


def _said_by_inspection(row: Row) -> bool:
    """Whether a flow's label comes from its packets: what nDPI says otherwise is guessed."""
    return row.get("confidence", "DPI").startswith("DPI")


def _master_protocol(row: Row, column: str) -> str:
    """A flow's `proto` is what stands before its first dot: "TLS" of "TLS.YouTube"."""
    value = row[column].strip()
    return value.partition(".")[0] if column == "proto" else value


STATION: Final = Truth(("labels.csv",), of_station)
FLOW: Final = Truth(
    ("flow_labels.csv", "labels.csv"),
    of_flow,
    _said_by_inspection,
    _master_protocol,
    ("file",),
    ("file", "l4", "first_src", "first_sport", "peer_dport"),
)
#: The truth of a task that brings none of its own, by its unit.
TRUTHS: Final = {"station": STATION, "flow": FLOW}
