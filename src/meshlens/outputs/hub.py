"""Where the readings of a daemon meet those who ask for them: the newest one, live, by time, as metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from threading import Lock
from typing import Protocol

from meshlens.errors import UsageError
from meshlens.outputs.history.series import History, HistoryKind
from meshlens.outputs.metrics import MetricsPage
from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading

__all__ = ["HistoryQuery", "Hub"]


class HistoryQuery(Protocol):
    """What is asked of a store."""

    def __call__(
        self,
        kind: HistoryKind,
        *,
        since_ns: int,
        until_ns: int,
        step_s: float,
        names: Collection[str] = (),
        top: int = 8,
    ) -> History:
        """Rates by step of the series `names`, or else of the `top` ones with the most bytes."""


class Hub:
    """Keeps the last two readings. `publish()` and `close()` come from the thread that reads.

    All else may be called from any thread, `subscribe()` within an event loop.
    """

    def __init__(self, interval_s: float, *, version: str = "", query: HistoryQuery | None = None) -> None:
        self.interval_s = interval_s
        """Seconds from one reading to the next."""
        self.page = MetricsPage(version)
        self._query = query
        self._latest: Reading | None = None
        self._before: Reading | None = None
        self._closed = False
        self._lock = Lock()
        self._bells: set[Callable[[], None]] = set()
        self._metrics: tuple[Reading | None, bytes] | None = None

    def publish(self, reading: Reading) -> None:
        """Hand out a new reading."""
        self.page.note(reading)
        with self._lock:
            self._before, self._latest = self._latest, reading
        self._ring()

    def close(self) -> None:
        """End all subscriptions."""
        self._closed = True
        self._ring()

    @property
    def keeps_history(self) -> bool:
        """Whether `history` has anything to ask."""
        return self._query is not None

    def latest(self) -> Reading | None:
        """The newest reading; None before the first."""
        return self._latest

    def rates(self) -> Rates:
        """What was added per second between the last two readings; nothing before the second."""
        with self._lock:
            before, now = self._before, self._latest
        return rates(before, now) if before and now else Rates()

    async def subscribe(self) -> AsyncIterator[Reading]:
        """Every new reading, from the next on; who is slow misses some. Ends when the daemon does."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            loop.call_soon_threadsafe(rung.set)

        with self._lock:
            self._bells.add(ring)
        try:
            while not self._closed:
                await rung.wait()
                rung.clear()
                if self._latest and not self._closed:
                    yield self._latest
        finally:
            with self._lock:
                self._bells.discard(ring)

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
        if self._query is None:
            raise UsageError("no history is kept: name a file in [history] of the configuration")
        return self._query(kind, since_ns=since_ns, until_ns=until_ns, step_s=step_s, names=names, top=top)

    def metrics(self) -> bytes:
        """The page for Prometheus, UTF-8: made once a reading, when it is first asked for."""
        with self._lock:
            reading = self._latest
            if self._metrics is None or reading is not self._metrics[0]:
                self._metrics = reading, self.page.render(reading or Reading(0))
            return self._metrics[1]

    def _ring(self) -> None:
        with self._lock:
            bells = list(self._bells)
        for ring in bells:
            try:
                ring()
            except RuntimeError:  # the event loop of a client has been closed
                with self._lock:
                    self._bells.discard(ring)
