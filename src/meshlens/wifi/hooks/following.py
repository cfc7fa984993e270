"""The programs, while wireless interfaces come and go, and what their maps hold, by interface and station."""

import struct
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from meshlens.ebpf import Map, Program
from meshlens.ebpf.tracing import Hook
from meshlens.errors import NotSupported
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface
from meshlens.probes.tally import read_outcomes
from meshlens.wifi.hooks.attach import Hooked, HookedPrograms
from meshlens.wifi.hooks.layout import (
    KEY,
    OUTCOMES,
    RATES,
    RECEIVERS,
    STATIONS,
    TALLY,
    Entry,
    RateCount,
    RateKey,
    StationKey,
)
from meshlens.wifi.hooks.radios import bitrates_of, wireless_interfaces
from meshlens.wifi.hooks.rate import Bitrates

__all__ = ["Radios", "Seen"]

#: A station's numbers, and those of its rates, each in the eight bytes of `rate`.
Seen = tuple[Entry, list[tuple[bytes, RateCount]]]

_PURPOSES: Final = ("sent", "heard")
_RADIO: Final = struct.Struct("=H")


class Radios(Follower[bytes]):
    """Programs watch all radios at once; which interfaces are wanted says whose numbers are handed out.

    Held of an interface is its key in RECEIVERS.
    """

    doing = "watched"

    def __init__(self, names: Sequence[str], max_stations: int, hooks: Sequence[Hook]) -> None:
        super().__init__(names)
        self.max_stations, self.hooks = max_stations, hooks
        #: By the interface's name.
        self.bitrates: dict[str, Bitrates] = {}
        self.functions: tuple[Hooked, ...] = ()
        self._programs: HookedPrograms | None = None
        self._ended: dict[str, dict[bytes, Seen]] = {}
        self._outcomes = {purpose: dict.fromkeys(OUTCOMES, 0) for purpose in _PURPOSES}
        self._interrupted = 0

    def start(self) -> None:
        self._programs = HookedPrograms(self.max_stations, self.hooks)
        self.functions = tuple(self._programs.programs)
        super().start()

    def stop(self) -> None:
        if self._programs is None:
            return
        self._programs.detach()
        super().stop()
        self._outcomes, self._interrupted = self.outcomes(), self.interrupted()
        self._programs.close()
        self._programs = None

    def readable(self, interface: Interface) -> bool:
        return interface.index in wireless_interfaces()

    def begin(self, interface: Interface) -> bytes:
        radio = wireless_interfaces().get(interface.index)
        if radio is None:
            raise NotSupported(f"{interface.name} is not a wireless interface (iw dev lists those)")
        self.bitrates[interface.name] = bitrates_of(interface.index)
        return self._receive(interface, radio)

    def changed(self, held: bytes, was: Interface, now: Interface) -> None:
        self.bitrates.setdefault(now.name, self.bitrates[was.name])
        if was.mac != now.mac:
            self._map(RECEIVERS).delete(held)
            self.held[now.index] = now, self._receive(now, _RADIO.unpack_from(held, 6)[0])

    def end(self, interface: Interface, held: bytes) -> None:
        self._map(RECEIVERS).delete(held)
        seen = self._read({interface.index: interface.name}).get(interface.name, {})
        for mac, earlier in self._ended.get(interface.name, {}).items():
            _join(seen, mac, earlier)
        self._ended[interface.name] = seen
        self._delete({key for key, _ in self._entries() if StationKey.unpack(key).ifindex == interface.index})

    def programs(self) -> Iterable[tuple[Hooked, Program]]:
        """Those attached now."""
        return list(self._programs.programs.items()) if self._programs else []

    def seen(self) -> dict[str, dict[bytes, Seen]]:
        """What was seen so far, by the interface's name and the station's address."""
        seen = {name: dict(stations) for name, stations in self._ended.items()}
        for name, stations in self._read({each.index: each.name for each, _ in self}).items():
            before = seen.get(name, {})
            for mac, station in before.items():
                _join(stations, mac, station)
            seen[name] = stations
        return seen

    def outcomes(self) -> dict[str, dict[str, int]]:
        """What became of the frames, by purpose."""
        outcomes = {purpose: dict(each) for purpose, each in self._outcomes.items()}
        for hooked, program in self.programs():
            if hooked.purpose in outcomes:
                with program.maps[TALLY].mmap() as tally:
                    outcomes[hooked.purpose] = read_outcomes(tally, OUTCOMES)
        return outcomes

    def interrupted(self) -> int:
        """How often the kernel did not run a program because it ran on that CPU already."""
        return self._interrupted + sum(program.info().recursion_misses for _, program in self.programs())

    def forget(self, idle_ns: int) -> None:
        """Drop the stations with which nothing was exchanged for so long, which makes room for others."""
        oldest = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - idle_ns
        newest: dict[StationKey, int] = {}
        entries = [(key, StationKey.unpack(key), entry.last_ns) for key, entry in self._entries()]
        for _, station, last_ns in entries:  # of several CPUs, maybe
            newest[station] = max(last_ns, newest.get(station, 0))
        self._delete({key for key, station, _ in entries if newest[station] < oldest})

    def _map(self, name: str) -> Map:
        assert self._programs, "within `with` only"
        return self._programs.maps[name]

    def _entries(self) -> list[tuple[bytes, Entry]]:
        # By way of a dictionary: a hash that is written to meanwhile may show a key twice.
        values = dict(self._map(STATIONS).items()) if self._programs else {}
        return [(key, Entry.unpack(value)) for key, value in values.items()]

    def _read(self, names: Mapping[int, str]) -> dict[str, dict[bytes, Seen]]:
        """What the maps hold of these interfaces, all CPUs' together."""
        found: dict[str, dict[bytes, Seen]] = {}
        entries = sorted(self._entries(), key=lambda pair: -pair[1].last_ns)
        for key, entry in entries:
            station = StationKey.unpack(key)
            if station.ifindex in names:
                _join(found.setdefault(names[station.ifindex], {}), station.mac, (entry, []))
        for key, value in dict(self._map(RATES).items()).items() if entries else ():
            station, rate = RateKey.unpack(key)
            stations = found.get(names.get(station.ifindex, ""), {})
            if station.mac in stations:
                stations[station.mac][1].append((rate, RateCount.unpack(value)))
        return found

    def _delete(self, keys: Collection[bytes]) -> None:
        """Delete stations and their rates."""
        for key in keys:
            self._map(STATIONS).delete(key)
        if keys:
            for key in [key for key in self._map(RATES).keys() if key[: KEY.size] in keys]:  # noqa: SIM118  (a map)
                self._map(RATES).delete(key)

    def _receive(self, interface: Interface, radio: int) -> bytes:
        """Frames that a radio hears for an address are the interface's; the key of RECEIVERS."""
        key = bytes.fromhex(interface.mac.replace(":", "")) + _RADIO.pack(radio & 0xFFFF)
        self._map(RECEIVERS).update(key, interface.index)
        return key


def _join(stations: dict[bytes, Seen], mac: bytes, seen: Seen) -> None:
    """Add what was seen before, or by another CPU, to what is there."""
    if mac in stations:
        (entry, rates), (earlier, more) = stations[mac], seen
        seen = entry.plus(earlier), rates + more
    stations[mac] = seen
