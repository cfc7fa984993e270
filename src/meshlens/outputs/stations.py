"""Stations as text: a table for people, JSON lines for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from meshlens.outputs.table import human
from meshlens.probes.stations.record import Station
from meshlens.readings.rates import StationKey, TwoWay, station_key

__all__ = ["station_json", "station_table", "summary_json", "summary_line"]

WIDTH: Final = 80
_GAP: Final = "  "
_NAME_MIN, _NAME_MAX, _PROTOCOLS_MIN = 13, 44, 10
_INTERFACE_MAX: Final = 10
#: Names that say no more than others do which stand beside them.
_CARRIERS: Final = frozenset({"ipv4", "ipv6", "tcp", "udp", "vlan"})
_KINDS: Final = {"station": "outer", "inner": "inner", "originator": "orig."}

_Cell = Callable[[Station], str]


def station_table(
    stations: Sequence[Station],
    rates: Mapping[StationKey, TwoWay] | None = None,
    *,
    rows: int | None = None,
    width: int = WIDTH,
) -> str:
    """The first `rows` stations in lines of at most `width` characters (80 at least), behind a heading.

    What they sent came in, what they received went out. With `rates`, bits per second stand in the place of
    packets. Kind and interface stand there where there is more than one. Of the
    protocols the most frequent, where there is room.
    """
    from rich.cells import cell_len, set_cell_size

    width, shown = max(width, WIDTH), stations[:rows]
    columns: list[tuple[str, _Cell]] = [("station", lambda station: station.mac)]
    if len({station.kind for station in stations}) > 1:
        columns.append(("kind", lambda station: _KINDS[station.kind]))
    if len({station.interface for station in stations}) > 1:
        columns.append(
            ("interface", lambda station: set_cell_size(station.interface, _INTERFACE_MAX).rstrip())
        )
    left = [_column(heading, cell, shown, str.ljust) for heading, cell in columns]
    right = [_column(heading, cell, shown, str.rjust) for heading, cell in _numbers(rates)]
    names = ["name, vendor", *map(_name, shown)]
    room = width - sum(len(column[0]) + len(_GAP) for column in (*left, *right))
    name_width = min(max(map(cell_len, names)), _NAME_MAX, room)
    last: list[list[str]] = []
    if room >= _NAME_MIN + len(_GAP) + _PROTOCOLS_MIN:
        name_width = max(_NAME_MIN, min(name_width, room - len(_GAP) - _PROTOCOLS_MIN))
        left_over = room - len(_GAP) - name_width
        last = [["protocols", *(_protocols(station, left_over) for station in shown)]]
    middle = [
        set_cell_size(each, name_width)
        if cell_len(each) <= name_width
        else set_cell_size(each, name_width - 1) + "…"
        for each in names
    ]
    lines = zip(*left, middle, *right, *last, strict=True)
    return "".join(_GAP.join(line).rstrip() + "\n" for line in lines)


def _numbers(rates: Mapping[StationKey, TwoWay] | None) -> list[tuple[str, _Cell]]:
    if rates is None:
        return [
            ("p. in", lambda station: human(station.in_packets)),
            ("B in", lambda station: human(station.in_bytes)),
            ("p. out", lambda station: human(station.out_packets)),
            ("B out", lambda station: human(station.out_bytes)),
        ]
    return [
        ("B in", lambda station: human(station.in_bytes)),
        ("b/s in", lambda station: human(8 * rates[station_key(station)].sent.bytes)),
        ("B out", lambda station: human(station.out_bytes)),
        ("b/s out", lambda station: human(8 * rates[station_key(station)].received.bytes)),
    ]


def _column(
    heading: str, cell: _Cell, stations: Sequence[Station], justify: Callable[[str, int], str]
) -> list[str]:
    cells = [heading, *map(cell, stations)]
    width = max(map(len, cells))
    return [justify(each, width) for each in cells]


def _interface(station: Station) -> str:
    """Its name, or that of the file without the directory, not too long."""
    name = station.interface.rpartition("/")[2]
    return name if len(name) <= _INTERFACE_MAX else name[: _INTERFACE_MAX - 1] + "…"


def _name(station: Station) -> str:
    maker = "(local addr.)" if station.locally_administered else station.vendor
    return ", ".join(word for word in (station.name, maker) if word) or "-"


def _protocols(station: Station, width: int) -> str:
    """The most frequent ones, as many as fit."""
    telling = [name for name in station.protocols if name not in _CARRIERS] or list(station.protocols)
    while len(text := " ".join(telling)) > width and len(telling) > 1:
        telling.pop()
    return text


def station_json(station: Station) -> str:
    """A station as a JSON object in one line: the fields of Station."""
    return json.dumps(asdict(station) | {"seen": sorted(station.seen)})


def summary_line(stations: int, missed: Mapping[str, int], group: int) -> str:
    """What is said behind the last station, in words."""
    reasons = ", ".join(f"{reason} {packets}" for reason, packets in missed.items() if packets)
    detail = f" ({reasons})" if reasons else ""
    lost = f"missed: {sum(missed.values())} packets{detail}"
    return f"{stations} stations; {group} packets went out to groups; {lost}"


def summary_json(stations: int, missed: Mapping[str, int], group: int) -> str:
    """What is said behind the last station: `{"stations", "group", "missed", "reasons"}`."""
    return json.dumps(
        {"stations": stations, "group": group, "missed": sum(missed.values()), "reasons": dict(missed)}
    )
