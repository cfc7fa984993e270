"""What the HTTP side asks of the daemon behind it."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from meshlens.probes.reading import Reading
from meshlens.probes.snapshot import Direction

__all__ = ["History", "HistoryKind", "Hub", "Series"]

#: What a series in the store is about.
HistoryKind = Literal["interfaces", "stations", "filters"]


@dataclass(frozen=True, slots=True)
class Series:
    """Rates of one thing in one direction, a value for each step; None where nothing was recorded.

    `name` is an interface, a filter's id, or a station's MAC address; `interface` is where it was seen.
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


class Hub(Protocol):
    """One daemon's readings. The app calls `history` and `metrics` in threads, the rest in its event loop."""

    @property
    def interval_s(self) -> float:
        """Seconds from one reading to the next."""

    @property
    def keeps_history(self) -> bool:
        """Whether `history` has anything to ask."""

    def latest(self) -> Reading | None:
        """The newest reading; None before the first."""

    def subscribe(self) -> AsyncIterator[Reading]:
        """Every new reading, from the next on; who is slow misses some. Ends when the daemon does."""

    def history(
        self,
        kind: HistoryKind,
        *,
        since_ns: int,
        until_ns: int,
        step_s: float,
        names: Collection[str] = (),
        interface: str = "",
        top: int = 8,
    ) -> History:
        """Rates by step of the series `names`, or else of the `top` ones with the most bytes.

        With `interface`, of what was seen there only.         Raises UsageError where nothing is kept.
        """

    def metrics(self) -> bytes:
        """The page for Prometheus, UTF-8."""
