"""What a history answers with: rates by time, as charts want them."""

from dataclasses import dataclass
from typing import Literal

from meshlens.probes.snapshot import Direction

__all__ = ["History", "HistoryKind", "Series"]

#: What a series in the store is about.
HistoryKind = Literal["interfaces", "stations", "filters", "flows"]


@dataclass(frozen=True, slots=True)
class Series:
    """Rates of one thing in one direction, a value for each step; None where nothing was recorded.

    `name` is an interface, a filter's id, a flow as "tcp SOURCE DESTINATION PORT", or a station's address,
    with " inner" or " originator" behind it; `interface` is where it was seen. "in" is what a station, or the
    source of a flow, sent.
    """

    name: str
    interface: str
    direction: Direction | None
    packets_per_s: tuple[float | None, ...]
    bytes_per_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Series over the same steps; `times_ns` are the steps' begins, nanoseconds since the epoch."""

    step_s: float
    times_ns: tuple[int, ...]
    series: tuple[Series, ...]
