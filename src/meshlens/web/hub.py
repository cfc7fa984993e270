"""What the HTTP side asks of the daemon behind it."""

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from meshlens.outputs.history.series import History, HistoryKind, Series
from meshlens.readings.reading import Reading

__all__ = ["History", "HistoryKind", "Hub", "Series"]


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
        top: int = 8,
    ) -> History:
        """Rates by step of the series `names`, or else of the `top` ones with the most bytes.

        Raises UsageError where nothing is kept.
        """

    def metrics(self) -> bytes:
        """The page for Prometheus, UTF-8."""
