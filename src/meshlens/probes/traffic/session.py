"""What passes through interfaces: frames and bytes by direction, ethertype, destination and size, drops."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from meshlens.probes.session import AttachedProgram, Session
from meshlens.probes.traffic.link_counters import LinkCounters
from meshlens.probes.traffic.meter import TrafficMeters
from meshlens.probes.traffic.record import InterfaceTraffic

__all__ = ["InterfaceSession", "interfaces"]


def interfaces(interfaces: str | Sequence[str] = ()) -> "InterfaceSession":
    """Count all traffic of `interfaces`, named or matched by a glob; without any, of all that are up.

        with meshlens.interfaces("wlan*") as session:
            session.wait(10)
            for each in session.interfaces():
                print(each.name, each.traffic, each.drops)

    Entering the session raises UsageError for an interface that is not there, PermissionDenied without
    CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, NotSupported for a named interface without Ethernet frames.
    Nothing stays attached after an error.
    """
    return InterfaceSession((interfaces,) if isinstance(interfaces, str) else interfaces)


class InterfaceSession(Session):
    """Counts from `with` on; `interfaces()` tells what so far, also after the end."""

    probe = "interfaces"

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._meters = TrafficMeters(names)
        super().__init__(self._meters)
        self._counters: LinkCounters | None = None
        self._last: list[InterfaceTraffic] = []

    def __enter__(self) -> Self:
        self._counters = LinkCounters()
        return super().__enter__()

    def close(self) -> None:
        """Detach everywhere. `interfaces()` goes on telling what was counted."""
        with self._lock:
            if self._counters:
                self._meters.detach()
                self._last = self._read(self._counters)
                self._counters.close()
                self._counters = None
        super().close()

    def interfaces(self) -> list[InterfaceTraffic]:
        """What passed so far, in the order of the interfaces' indexes.

        Traffic belongs to the name of an interface, and goes on when one of that name comes back; one that
        is gone has index 0.
        """
        with self._lock:
            return self._read(self._counters) if self._counters else list(self._last)

    @property
    def missed(self) -> dict[str, int]:
        """Packets that could not be counted, by reason. "unreadable": without a whole Ethernet header."""
        with self._lock:
            return self._meters.missed()

    def every(self, interval_s: float) -> Iterator[list[InterfaceTraffic]]:
        """What passed so far, each `interval_s` seconds, without end; follows the interfaces in between."""
        due = time.monotonic()
        while True:
            due += interval_s
            self.wait(due - time.monotonic())
            yield self.interfaces()

    def _programs(self) -> Iterable[AttachedProgram]:
        return self._meters.programs()

    def _read(self, counters: LinkCounters) -> list[InterfaceTraffic]:
        drops = counters.drops()
        there = [
            InterfaceTraffic(
                each.name,
                each.index,
                each.mac,
                each.up,
                counters.speed(each.name),
                self._meters.traffic(each.name),
                drops.get(each.index, {}),
                counters.verdicts(each.name),
            )
            for each in sorted(self._meters.interfaces(), key=lambda interface: interface.index)
        ]
        names = {each.name for each in there}
        gone = [
            InterfaceTraffic(name, 0, "", False, None, self._meters.traffic(name))
            for name in self._meters.ended
            if name not in names
        ]
        return there + gone
