"""Which interfaces are counted, and what those counted that are no more.

Counts belong to the name of an interface, and go on when an interface of that name comes back.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from meshlens.probes.attach import Attachment, attach_counter
from meshlens.probes.following import Following
from meshlens.probes.interfaces import Interface
from meshlens.probes.ledger import Ledger
from meshlens.probes.plan import CounterPlan
from meshlens.probes.snapshot import Direction

__all__ = ["Coverage"]

#: What a program that has just been replaced may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01


@dataclass
class _Covered:
    interface: Interface
    plan: CounterPlan
    attachments: list[Attachment]


class Coverage(Following[_Covered]):
    """The attachments on the wanted interfaces; `plan_for` gives the programs for an interface."""

    def __init__(
        self,
        names: Sequence[str],
        directions: Sequence[Direction],
        plan_for: Callable[[Interface], CounterPlan],
    ) -> None:
        super().__init__(names)
        self.directions, self.plan_for = tuple(directions), plan_for
        self.ledger = Ledger()

    @property
    def attachments(self) -> list[Attachment]:
        return [each for covered in self.followed.values() for each in covered.attachments]

    @property
    def plans(self) -> list[CounterPlan]:
        return [covered.plan for covered in self.followed.values()]

    def attach(self, interface: Interface) -> _Covered:
        plan = self.plan_for(interface)
        with ExitStack() as undo:
            attachments = [
                undo.enter_context(attach_counter(plan, interface, direction))
                for direction in self.directions
            ]
            undo.pop_all()
        for direction in self.directions:
            self.ledger.open(interface.name, direction)
        return _Covered(interface, plan, attachments)

    def detach(self, followed: _Covered) -> None:
        for each in followed.attachments:
            self.ledger.add(followed.interface.name, each.direction, each.layout, each.close())

    def changed(self, followed: _Covered, before: Interface) -> None:
        if before.name != followed.interface.name:
            self._rename(followed, before.name)
        plan = self.plan_for(followed.interface)
        if plan is not followed.plan:  # $MAC is another
            self._replace(followed, plan)

    def replace(self) -> None:
        """Count by the new programs that `plan_for` gives now; nothing changes if it raises."""
        plans = [self.plan_for(covered.interface) for covered in self.followed.values()]
        for covered, plan in zip(self.followed.values(), plans, strict=True):
            self._replace(covered, plan)

    def sums(self) -> Ledger:
        """What was counted so far, ended attachments and running ones."""
        sums = self.ledger.copy()
        for covered in self.followed.values():
            for each in covered.attachments:
                sums.add(covered.interface.name, each.direction, each.layout, each.read())
        return sums

    def _replace(self, covered: _Covered, plan: CounterPlan) -> None:
        programs = [plan.program(each.direction).load() for each in covered.attachments]
        old, covered.plan = covered.attachments, plan
        covered.attachments = [
            each.replaced(program, plan.layout) for each, program in zip(old, programs, strict=True)
        ]
        time.sleep(_LAST_FRAME_S)
        for each in old:
            self.ledger.add(covered.interface.name, each.direction, each.layout, each.release())

    def _rename(self, covered: _Covered, before: str) -> None:
        """What was counted under the name before stays there, and is taken off the new one."""
        for each in covered.attachments:
            totals = each.read()
            self.ledger.add(before, each.direction, each.layout, totals)
            self.ledger.add(covered.interface.name, each.direction, each.layout, totals, times=-1)
