"""What all sessions of probes share: attached within `with`, interfaces followed in `wait()`, costs told."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from threading import RLock
from types import TracebackType
from typing import Any, Self

from meshlens.ebpf import Program
from meshlens.probes.cost import ProbeCost
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import InterfaceWatch

__all__ = ["AttachedProgram", "Session", "probe_costs"]

#: The interface's name, the direction ("" for both), the program.
AttachedProgram = tuple[str, str, Program]


class Session(ABC):
    """Attached from `with` on, to the interfaces that `follower` wants.

    They are followed in `wait()`: a script waits by it instead of by time.sleep(). What else a session offers
    may be called from other threads meanwhile, `wake()` and `close()` included.
    """

    #: The probe's name in `costs()`.
    probe: str

    def __init__(self, follower: Follower[Any]) -> None:
        self._follower = follower
        self._lock = RLock()
        self._watch: InterfaceWatch | None = None

    def __enter__(self) -> Self:
        self._watch = InterfaceWatch()
        try:
            with self._lock:
                self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach everywhere, and end a `wait()`. What was seen can still be asked for."""
        with self._lock:
            self._follower.stop()
            watch, self._watch = self._watch, None
        if watch:
            watch.close()  # a thread in wait() may need the lock before it ends

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long; `wake()` and `close()` end it early."""
        watch, deadline = self._watch, time.monotonic() + seconds
        assert watch, "within `with` only"
        while (left := deadline - time.monotonic()) > 0 and watch.wait(left):
            with self._lock:
                if self._watch:
                    self._follow()

    def wake(self) -> None:
        """End a `wait()`: from another thread, or from a signal handler."""
        if self._watch:
            self._watch.wake()

    def costs(self) -> list[ProbeCost]:
        """What each program attached now costs."""
        with self._lock:
            return probe_costs(self.probe, self._programs())

    def _start(self) -> None:
        self._follower.start()

    def _follow(self) -> None:
        self._follower.follow()

    @abstractmethod
    def _programs(self) -> Iterable[AttachedProgram]:
        """The programs attached now."""


def probe_costs(probe: str, programs: Iterable[AttachedProgram]) -> list[ProbeCost]:
    """What programs cost, as the kernel tells. A map that several of them share is the first one's cost."""
    costs, known = list[ProbeCost](), set[int]()
    for interface, direction, program in programs:
        info, memory_bytes = program.info(), 0
        for each in program.maps.values():
            if each.fileno() not in known:
                known.add(each.fileno())
                memory_bytes += each.info().memlock_bytes
        memory_bytes += info.memlock_bytes + info.jited_bytes
        runs = info.run_count, info.run_time_ns
        costs.append(ProbeCost(probe, interface, direction, info.xlated_bytes // 8, memory_bytes, *runs))
    return costs
