"""Readings as JSON lines: an object a thing, with the time of the reading and what it is."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from typing import Any, Final

from meshlens.readings.reading import Reading

__all__ = ["READING_KINDS", "format_readings"]

Record = dict[str, Any]


def format_readings(reading: Reading, kinds: Collection[str] = ()) -> str:
    """`{"time_ns", "what", …}` a line, with the fields of the records.

    `kinds` are of READING_KINDS, none: all. "flows" are those that have ended, so that each is told once;
    filters that have matched nothing yet are left out. The last object says what was missed, of all probes.
    """
    lines = [
        json.dumps({"time_ns": reading.time_ns, "what": kind.removesuffix("s"), **record}, default=_plain)
        for kind in kinds or READING_KINDS
        for record in READING_KINDS[kind](reading)
    ]
    lines.append(json.dumps({"time_ns": reading.time_ns, "what": "missed", "missed": reading.missed}))
    return "\n".join(lines) + "\n"


def _interfaces(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.interfaces)


def _stations(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.stations)


def _flows(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.ended)


def _filters(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.counts if each.packets)


def _wifi(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.wifi)


def _transmitters(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.transmitters)


def _verdicts(reading: Reading) -> Iterator[Record]:
    return (asdict(each) for each in reading.verdicts)


def _plain(value: object) -> list[Any]:
    assert isinstance(value, frozenset)
    return sorted(value)


#: What can be asked for, and how it is taken from a reading.
READING_KINDS: Final[dict[str, Callable[[Reading], Iterator[Record]]]] = {
    "interfaces": _interfaces,
    "stations": _stations,
    "flows": _flows,
    "filters": _filters,
    "wifi": _wifi,
    "transmitters": _transmitters,
    "verdicts": _verdicts,
}
