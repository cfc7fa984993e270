"""Live rates: one task makes a tick of each reading, and all viewers share it."""

import asyncio
from typing import Final, NamedTuple

from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading
from meshlens.web.hub import Hub
from meshlens.web.past import Past
from meshlens.web.tick import By, Tick, tick

__all__ = ["Live", "View"]

#: Without viewers a tick is made only as often: just so that the first one finds lines in the charts.
_IDLE_NS: Final = 10_000_000_000


class View(NamedTuple):
    """What a viewer looks at: the arguments of `Tick.json`."""

    interface: str
    top: int
    by: By
    watch: frozenset[str] = frozenset()


class Live:
    """The newest tick, the recent ones, and how many watch."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._before: Reading | None = None
        self._latest: Tick | None = None
        self.past = Past()
        self._json: dict[View, str] = {}
        self._changed = asyncio.Event()
        self.rates = Rates()
        self.ended = False
        self.viewers = 0

    async def run(self) -> None:
        """Follow the hub until it ends."""
        self._before = self._hub.latest()
        try:
            async for reading in self._hub.subscribe():
                self._take(reading)
        finally:
            self.ended = True
            self._changed.set()

    def _take(self, reading: Reading) -> None:
        if self._before is None or reading.time_ns < self._before.time_ns:  # the first; a clock set back
            self._before = reading
        elif self.viewers or reading.time_ns - self._before.time_ns >= _IDLE_NS:
            self.rates = rates(self._before, reading)
            self._latest = tick(self._before, reading, self.rates)
            self._json.clear()
            self._before = reading
            self.past.add(self._latest)
            self._changed.set()
            self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next tick, or the end."""
        if not self.ended:
            await self._changed.wait()

    def latest(self) -> Tick | None:
        """The newest tick; None before the second reading."""
        return self._latest

    def latest_json(self, view: View) -> str:
        """The newest tick as JSON, made once for all viewers that look at the same."""
        assert self._latest is not None
        known = self._json.get(view)
        if known is None:
            known = self._json[view] = self._latest.json(*view)
        return known
