"""Which interfaces are counted: attaches to those that are wanted, and follows them as they come and go.

Counts belong to the name of an interface, and go on when an interface of that name comes back.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from meshlens.errors import MeshlensError, PermissionDenied, UsageError
from meshlens.probes.attach import Attachment, attach_counter
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces, matches
from meshlens.probes.ledger import Ledger
from meshlens.probes.plan import CounterPlan
from meshlens.probes.snapshot import Direction

__all__ = ["Coverage"]

#: What a program that has just been replaced may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01

_GLOB: Final = frozenset("*?[")

log = logging.getLogger(__name__)


@dataclass
class _Covered:
    interface: Interface
    plan: CounterPlan
    attachments: list[Attachment]


class Coverage:
    """The attachments on the wanted interfaces, and what those counted that are no more.

    `names` are names and globs of interfaces, which are covered up or not, so that their first frame is
    counted; none: all that are up. `plan_for` gives the programs for an interface.
    """

    def __init__(
        self,
        names: Sequence[str],
        directions: Sequence[Direction],
        plan_for: Callable[[Interface], CounterPlan],
    ) -> None:
        self.names, self.directions, self.plan_for = tuple(names), tuple(directions), plan_for
        self.covered: dict[int, _Covered] = {}
        self.ledger = Ledger()
        self._refused: dict[int, Interface] = {}

    @property
    def attachments(self) -> list[Attachment]:
        return [each for covered in self.covered.values() for each in covered.attachments]

    @property
    def plans(self) -> list[CounterPlan]:
        return [covered.plan for covered in self.covered.values()]

    def start(self) -> None:
        """Attach to all that is wanted and there.

        Raises UsageError for a name that is not there, what `plan_for` raises, and the error of an interface
        that was named, or of the first one if none could be attached to. Others are only logged.
        """
        interfaces = list_interfaces()
        present = {each.name for each in interfaces}
        for name in self.names:
            if not _GLOB & set(name) and name not in present:
                raise UsageError(f"no interface {name!r}; there are {', '.join(sorted(present))}")
        errors = []
        for interface in filter(self._wanted, interfaces):
            plan = self.plan_for(interface)
            try:
                self._begin(interface, plan)
            except PermissionDenied:
                raise
            except MeshlensError as error:
                if interface.name in self.names:
                    raise
                errors.append(error)
                self._refuse(interface, error)
        if errors and not self.covered:
            raise errors[0]

    def follow(self) -> None:
        """Attach to what came, let go of what went, give counts to the name that an interface has now."""
        interfaces = {each.index: each for each in list_interfaces()}
        for index, covered in list(self.covered.items()):
            now = interfaces.get(index)
            if now is None or not self._named(now):
                self._end(index)
                continue
            if now.name != covered.interface.name:
                self._rename(covered, now)
            covered.interface = now
            plan = self.plan_for(now)
            if plan is not covered.plan:  # $MAC is another
                self._replace(covered, plan)
        self._refused = {each: was for each, was in self._refused.items() if interfaces.get(each) == was}
        for interface in filter(self._wanted, interfaces.values()):
            if interface.index not in self.covered and interface.index not in self._refused:
                try:
                    self._begin(interface, self.plan_for(interface))
                except MeshlensError as error:
                    self._refuse(interface, error)

    def replace(self) -> None:
        """Count by the new programs that `plan_for` gives now; nothing changes if it raises."""
        plans = [self.plan_for(covered.interface) for covered in self.covered.values()]
        for covered, plan in zip(self.covered.values(), plans, strict=True):
            self._replace(covered, plan)

    def stop(self) -> None:
        """Detach everywhere; the ledger holds all that was counted."""
        for index in list(self.covered):
            self._end(index)

    def sums(self) -> Ledger:
        """What was counted so far, ended attachments and running ones."""
        sums = self.ledger.copy()
        for covered in self.covered.values():
            for each in covered.attachments:
                sums.add(covered.interface.name, each.direction, each.layout, each.read())
        return sums

    def _named(self, interface: Interface) -> bool:
        return not self.names or matches(interface.name, self.names)

    def _wanted(self, interface: Interface) -> bool:
        if link_type_of(interface) is None:
            return interface.name in self.names  # and refused with the reason
        return self._named(interface) and (interface.up or bool(self.names))

    def _begin(self, interface: Interface, plan: CounterPlan) -> None:
        with ExitStack() as undo:
            attachments = [
                undo.enter_context(attach_counter(plan, interface, direction))
                for direction in self.directions
            ]
            undo.pop_all()
        for direction in self.directions:
            self.ledger.open(interface.name, direction)
        self.covered[interface.index] = _Covered(interface, plan, attachments)

    def _replace(self, covered: _Covered, plan: CounterPlan) -> None:
        programs = [plan.program(each.direction).load() for each in covered.attachments]
        old, covered.plan = covered.attachments, plan
        covered.attachments = [
            each.replaced(program, plan.layout) for each, program in zip(old, programs, strict=True)
        ]
        time.sleep(_LAST_FRAME_S)
        for each in old:
            self.ledger.add(covered.interface.name, each.direction, each.layout, each.release())

    def _end(self, index: int) -> None:
        covered = self.covered.pop(index)
        for each in covered.attachments:
            self.ledger.add(covered.interface.name, each.direction, each.layout, each.close())

    def _rename(self, covered: _Covered, now: Interface) -> None:
        """What was counted under the old name stays there, and is taken off the new one."""
        for each in covered.attachments:
            totals = each.read()
            self.ledger.add(covered.interface.name, each.direction, each.layout, totals)
            self.ledger.add(now.name, each.direction, each.layout, totals, times=-1)

    def _refuse(self, interface: Interface, error: MeshlensError) -> None:
        """Not to be tried again until the interface changes. One that is gone again needs no word."""
        self._refused[interface.index] = interface
        if interface in list_interfaces():
            log.warning("%s is not counted: %s", interface.name, error)
