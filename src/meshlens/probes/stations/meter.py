"""The station programs of one interface, and the entries that they make."""

import time
from collections.abc import Iterator
from typing import Final

from meshlens.ebpf import Link, Map, Program
from meshlens.ebpf.features import has_coarse_clock
from meshlens.filters.compiler import CompiledList
from meshlens.probes.attach import attach_at
from meshlens.probes.count.plan import HookMode, hook_of
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.layout import (
    DHCP,
    FIRSTS,
    OUTCOMES,
    STATIONS,
    SYN,
    TALLY,
    First,
    Fragment,
    pack_first_key,
    read_tally,
    unpack_first_key,
    unpack_key,
)
from meshlens.probes.stations.program import load_stations, station_program
from meshlens.probes.stations.table import Place, Seen

__all__ = ["MISSED", "StationMeter"]

#: What can be missed: packets by the reason, and those that a program added to an entry in the very moment in
#: which user space took it out.
MISSED: Final = (*OUTCOMES[2:], "fetched")

_LOOPBACK: Final = 772  # ARPHRD_LOOPBACK
#: What a program that has just been detached may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01


class StationMeter:
    """Attached from the start until `finish`.

    `seen` is what there was when `read` was called last; `counted`: packets by outcome.
    """

    def __init__(
        self,
        interface: Interface,
        compiled: CompiledList | None,
        max_stations: int,
        idle_ns: int,
        attach: HookMode,
    ) -> None:
        self.idle_ns = idle_ns
        self.seen = Seen()
        self.counted = dict.fromkeys((*OUTCOMES, "fetched"), 0)
        self._attached: list[tuple[Direction, Program, Link]] = []
        self._kept = Seen()
        self._aged_packets = 0
        # Frames on the loopback go out and come in: they are one packet.
        directions: tuple[Direction, ...] = ("in",) if interface.hardware == _LOOPBACK else ("in", "out")
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        maps: dict[str, Map] = {}
        try:
            for direction in directions:
                hook = hook_of(attach, direction)
                assert hook != "socket"
                spec = station_program(
                    max_stations,
                    direction,
                    hook=hook,
                    compiled=compiled,
                    clock="coarse" if has_coarse_clock() else "exact",
                    clock_offset_ns=self._offset_ns,
                )
                program = load_stations(spec, maps)
                program.spec = None  # the kernel has its instructions
                maps = {name: each for name, each in program.maps.items() if name != "head"}
                _, link = attach_at(attach, program, interface.index, direction)
                self._attached.append((direction, program, link))
        except BaseException:
            self._detach()
            raise
        self._stations, self._firsts, self._tally = maps[STATIONS], maps[FIRSTS], maps[TALLY].mmap()

    @property
    def programs(self) -> Iterator[tuple[Direction, Program]]:
        """What is attached now."""
        return ((direction, program) for direction, program, _ in self._attached)

    def read(self) -> None:
        """Read what there is, and take out the stations that have been idle for too long."""
        keys: dict[Place, list[bytes]] = {}
        self.seen = Seen()
        self.seen.add(self._kept)
        for key, value in self._stations.items():
            entry, place = Fragment.unpack(value), unpack_key(key)
            if entry.first_ns:  # else the program has not filled it yet
                keys.setdefault(place, []).append(key)
                self.seen.put(place, entry)
        firsts = ((unpack_first_key(key), First.unpack(value)) for key, value in self._firsts.items())
        self.seen.firsts = {key: first for key, first in firsts if first}
        for place, entry in list(self.seen.entries.items()):
            if self._idle(entry):
                self._age(place, keys.get(place, []))
        self.counted |= read_tally(self._tally)

    def finish(self) -> None:
        """Detach, and read for the last time."""
        for _, _, link in self._attached:
            link.close()
        time.sleep(_LAST_FRAME_S)
        self.read()
        told = sum(_packets(place, entry) for place, entry in self.seen.entries.items())
        self.counted["fetched"] = max(0, self.counted["station"] - told - self._aged_packets)
        self._detach()
        self._tally.release()
        for each in (self._stations, self._firsts):
            each.close()

    def _idle(self, entry: Fragment) -> bool:
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + self._offset_ns
        return entry.last_ns + self.idle_ns < now_ns

    def _age(self, place: Place, keys: list[bytes]) -> None:
        """Take a station out, unless packets came meanwhile; then what was taken is kept here."""
        values = [value for key in keys if (value := self._stations.pop(key))]
        for value in values:
            self._kept.put(place, Fragment.unpack(value))
        entry = self._kept.entries[place]
        if not self._idle(entry):
            self.seen.entries[place] = entry.copy()
            return
        self._aged_packets += _packets(place, entry)
        for seen in (self._kept, self.seen):
            seen.drop(place)
        for which in (SYN, DHCP):
            self._firsts.delete(pack_first_key(place[0], which))

    def _detach(self) -> None:
        for _, program, link in self._attached:
            link.close()
            program.close()
        self._attached = []


def _packets(place: Place, entry: Fragment) -> int:
    """What the entry takes of the packets that are tallied as counted for a station."""
    return sum(entry.packets) if place[1] == "station" else 0
