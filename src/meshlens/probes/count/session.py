"""Count the frames on interfaces by filters, in the kernel; read what was counted."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from meshlens.errors import MeshlensError, NotSupported
from meshlens.filters.lists import FilterList, load_list
from meshlens.probes.attach import Attachment
from meshlens.probes.count.coverage import Coverage
from meshlens.probes.count.plan import AttachMode, CounterPlan, plan_list
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram, Session
from meshlens.probes.snapshot import Direction, Snapshot

__all__ = ["DIRECTIONS", "CountSession", "DirectionChoice", "count"]

DirectionChoice = Literal["in", "out", "both"]
DIRECTIONS: Final[dict[DirectionChoice, tuple[Direction, ...]]] = {
    "in": ("in",),
    "out": ("out",),
    "both": ("in", "out"),
}

_ETHERNET: Final = 1
_NO_MAC: Final = "00:00:00:00:00:00"


def count(
    filters: FilterList | str | Path,
    interfaces: str | Sequence[str] = (),
    *,
    direction: DirectionChoice = "both",
    attach: AttachMode = "auto",
    helpers: bool = False,
) -> "CountSession":
    """Count by `filters` (a list, or the path of its file) on all `interfaces` named or matched by a glob.

    Without interfaces, on all that are up. `helpers`: also the filters marked by "%".

        with meshlens.count("mesh.filters", "wlan*") as session:
            for snapshot in session.every(1.0):
                print(snapshot.counts)

    Raises UsageError for a list that cannot be read. Entering the session raises UsageError for a filter
    that cannot be compiled and for an interface that is not there, PermissionDenied without CAP_BPF,
    CAP_NET_ADMIN and CAP_PERFMON (for sockets CAP_NET_RAW as well), NotSupported where the kernel or driver
    lacks what `attach` needs. Nothing stays attached after an error.
    """
    names = (interfaces,) if isinstance(interfaces, str) else tuple(interfaces)
    listed = filters if isinstance(filters, FilterList) else load_list(filters)
    return CountSession(listed, names, direction=direction, attach=attach, helpers=helpers)


class CountSession(Session):
    """Counts from `with` on; `snapshot()` tells what so far, also after the end.

    Interfaces are followed in `wait()` and `every()`: a script waits by these instead of by time.sleep().
    `snapshot()`, `costs()` and `wake()` may be called from other threads.
    """

    probe = "count"

    def __init__(
        self,
        filters: FilterList,
        interfaces: Sequence[str] = (),
        *,
        direction: DirectionChoice = "both",
        attach: AttachMode = "auto",
        helpers: bool = False,
    ) -> None:
        self.filters, self.attach, self.helpers = filters, attach, helpers
        self._plans: dict[tuple[str, int], CounterPlan] = {}
        self._coverage = Coverage(interfaces, DIRECTIONS[direction], self._plan)
        super().__init__(self._coverage)

    @property
    def attachments(self) -> list[Attachment]:
        """What is attached now."""
        return self._coverage.attachments

    def snapshot(self) -> Snapshot:
        """All counts so far, read without a system call."""
        with self._lock:
            sums = self._coverage.sums()
            return Snapshot(time.time_ns(), tuple(sums.counts(self._ids())), sums.missed)

    def every(self, interval_s: float) -> Iterator[Snapshot]:
        """A snapshot each `interval_s` seconds, without end; follows the interfaces in between."""
        due = time.monotonic()
        while True:
            due += interval_s
            self.wait(due - time.monotonic())
            yield self.snapshot()

    def reload(self, filters: FilterList) -> None:
        """Go on with another list. Filters whose id stays keep their counts.

        Raises UsageError if it cannot be compiled; the list before then stays in force.
        """
        with self._lock:
            before = self.filters, self._plans
            self.filters, self._plans = filters, {}
            try:
                self._coverage.replace()
                self._check()
            except MeshlensError:
                self.filters, self._plans = before
                raise
            self._coverage.ledger.forget(self._ids())

    def _start(self) -> None:
        super()._start()
        self._check()

    def _follow(self) -> None:
        super()._follow()
        self._forget_plans()

    def _programs(self) -> Iterator[AttachedProgram]:
        for interface, covered in self._coverage:
            for each in covered.attachments:
                yield interface.name, each.direction, each.program

    def _check(self) -> None:
        """A list that is wrong is wrong without any interface."""
        if not self._plans:
            self._compile(_NO_MAC, _ETHERNET)

    def _forget_plans(self) -> None:
        """Addresses come and go: keep no plan for those that are gone."""
        if self.filters.uses_mac:
            used = {id(plan) for plan in self._coverage.plans}
            self._plans = {key: plan for key, plan in self._plans.items() if id(plan) in used}

    def _ids(self) -> list[str]:
        return [each.id for each in self.filters if self.helpers or not each.helper]

    def _plan(self, interface: Interface) -> CounterPlan:
        link_type = link_type_of(interface)
        if link_type is None:
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries neither Ethernet nor 802.11 frames ({hardware})")
        return self._compile(interface.mac or _NO_MAC, link_type)

    def _compile(self, mac: str, link_type: int) -> CounterPlan:
        """The plan for interfaces of one address, or for all alike if the list does not ask for it."""
        key = (mac if self.filters.uses_mac else "", link_type)
        if key not in self._plans:
            self._plans[key] = plan_list(
                self.filters,
                self.attach,
                self._coverage.directions,
                mac=key[0],
                link_type=link_type,
                helpers=self.helpers,
            )
        return self._plans[key]
