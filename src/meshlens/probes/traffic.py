"""What passes through interfaces: frames and bytes by direction, ethertype, destination and size, drops."""

import time
from collections.abc import Iterator, Sequence
from threading import Lock
from types import TracebackType
from typing import Self

from meshlens.probes.interfaces import InterfaceWatch
from meshlens.probes.link_counters import LinkCounters
from meshlens.probes.reading import ProbeCost
from meshlens.probes.traffic_meter import TrafficMeters
from meshlens.probes.traffic_record import InterfaceTraffic

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


class InterfaceSession:
    """Counts from `with` on; `interfaces()` tells what so far, also after the end.

    Interfaces are followed in `wait()` and `every()`: a script waits by these instead of by time.sleep().
    All may be called from other threads.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._meters = TrafficMeters(names)
        self._lock = Lock()
        self._counters: LinkCounters | None = None
        self._watch: InterfaceWatch | None = None
        self._last: list[InterfaceTraffic] = []

    def __enter__(self) -> Self:
        self._counters, self._watch = LinkCounters(), InterfaceWatch()
        try:
            with self._lock:
                self._meters.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach everywhere. `interfaces()` goes on telling what was counted."""
        with self._lock:
            watch, counters = self._watch, self._counters
            if watch and counters:
                self._meters.detach()
                self._last = self._read(counters)
                self._meters.stop()
                counters.close()
                self._watch = self._counters = None
        if watch:
            watch.close()  # a thread in wait() may need the lock before it ends

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

    def costs(self) -> list[ProbeCost]:
        """What each program costs."""
        with self._lock:
            return [each.cost(interface.name) for interface, meters in self._meters for each in meters]

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long; `wake()` ends it early."""
        watch = self._watch
        assert watch, "within `with` only"
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and watch.wait(left):
            with self._lock:
                if self._watch:
                    self._meters.follow()

    def wake(self) -> None:
        """End a `wait()`: from another thread, or from a signal handler."""
        if self._watch:
            self._watch.wake()

    def every(self, interval_s: float) -> Iterator[list[InterfaceTraffic]]:
        """What passed so far, each `interval_s` seconds, without end; follows the interfaces in between."""
        due = time.monotonic()
        while True:
            due += interval_s
            self.wait(due - time.monotonic())
            yield self.interfaces()

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
