"""Stations on interfaces, counted in the kernel; this reads them and lets those go that are idle."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from meshlens.errors import NotSupported
from meshlens.filters.compiler import CompiledList
from meshlens.probes.count.plan import HookMode
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram, Session
from meshlens.probes.stations.meter import MISSED, StationMeter
from meshlens.probes.stations.names import StationNames
from meshlens.probes.stations.record import Station
from meshlens.probes.stations.table import Seen, records

__all__ = ["StationSession"]

_ETHERNET: Final = 1


class StationSession(Session):
    """Stations of interfaces from `with` on; `stations()` tells those that there are, also after the end.

    A station that was idle for `idle_s` is let go when `stations()` is called. `missed` are packets that are
    counted for nobody, by the reason; `group` are those that went out to a group of stations.
    """

    probe = "stations"

    def __init__(
        self,
        interfaces: Sequence[str],
        expression: str,
        max_stations: int,
        idle_s: float,
        attach: HookMode = "auto",
    ) -> None:
        compiled = compile_filter(expression, _ETHERNET)
        self._meters = _Meters(interfaces, compiled, max_stations, int(idle_s * 1e9), attach)
        super().__init__(self._meters)
        self._names: StationNames | None = None

    def stations(self) -> list[Station]:
        """The stations that there are, those with the most bytes first."""
        with self._lock:
            if self._watch:
                self._refresh()
            found = [
                station
                for interface, seen in self._meters.seen().items()
                for station in records(interface, seen, self._name)
            ]
            return sorted(found, key=lambda station: -station.bytes)

    @property
    def missed(self) -> dict[str, int]:
        """Packets that are in no station's counts, by the reason, as of the last `stations()`."""
        with self._lock:
            return {reason: self._meters.counted(reason) for reason in MISSED}

    @property
    def group(self) -> int:
        """Packets that went out to groups of stations, and so to none."""
        with self._lock:
            return self._meters.counted("group")

    def close(self) -> None:
        """Detach everywhere, and end a `wait()`. What was seen can still be asked for."""
        with self._lock:
            if self._names and self._watch:
                self._names.refresh()
        super().close()
        if self._names:
            self._names.close()

    def _refresh(self) -> None:
        self._meters.read()
        if self._names:
            self._names.refresh()

    def _name(self, mac: str, calls_itself: str) -> str:
        return self._names.name(mac, calls_itself) if self._names else calls_itself

    def _start(self) -> None:
        self._names = StationNames()
        super()._start()

    def _programs(self) -> Iterator[AttachedProgram]:
        for interface, meter in self._meters:
            yield from ((interface.name, *attached) for attached in meter.programs)


class _Meters(Follower[StationMeter]):
    """A meter for each interface, and what those saw that are gone."""

    doing = "watched"

    def __init__(
        self,
        names: Sequence[str],
        compiled: CompiledList | None,
        max_stations: int,
        idle_ns: int,
        attach: HookMode,
    ) -> None:
        super().__init__(names)
        self.compiled, self.max_stations, self.idle_ns = compiled, max_stations, idle_ns
        self.attach = attach
        self._gone: dict[str, Seen] = {}
        self._counted = Counter[str]()

    def begin(self, interface: Interface) -> StationMeter:
        if not self.readable(interface):
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries no Ethernet frames ({hardware})")
        return StationMeter(interface, self.compiled, self.max_stations, self.idle_ns, self.attach)

    def end(self, interface: Interface, held: StationMeter) -> None:
        held.finish()
        self._gone.setdefault(interface.name, Seen()).add(held.seen)
        self._counted.update(held.counted)

    def readable(self, interface: Interface) -> bool:
        return link_type_of(interface) == _ETHERNET

    def read(self) -> None:
        """Read what there is now."""
        for _, meter in self:
            meter.read()
        here = {interface.name: meter.seen.entries for interface, meter in self}
        for name, seen in self._gone.items():
            # Who goes on where the interface is back keeps all counts: they never become less while it lives.
            seen.drop_idle(time.time_ns() - self.idle_ns, but=here.get(name, ()))
        self._gone = {name: seen for name, seen in self._gone.items() if seen.entries}

    def seen(self) -> dict[str, Seen]:
        """What has been seen, by the interface's name; one of that name may have gone and come back."""
        sums = dict(self._gone)
        for interface, meter in self:
            if interface.name in sums:
                before, sums[interface.name] = sums[interface.name], Seen()
                sums[interface.name].add(before)
                sums[interface.name].add(meter.seen)
            else:
                sums[interface.name] = meter.seen
        return sums

    def counted(self, outcome: str) -> int:
        """Packets by what became of them."""
        return self._counted[outcome] + sum(meter.counted[outcome] for _, meter in self)
