"""Which interfaces are counted by filters: attaches to those that are wanted, and follows them.

Counts belong to the name of an interface, and go on when an interface of that name comes back.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from meshlens.probes.attach import Attachment, attach_counter
from meshlens.probes.count.ledger import Ledger
from meshlens.probes.count.plan import CounterPlan
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction

__all__ = ["Coverage"]

#: What a program that has just been replaced may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01


@dataclass
class _Covered:
    plan: CounterPlan
    attachments: list[Attachment]


class Coverage(Follower[_Covered]):
    """The attachments on the wanted interfaces, and what those counted that are no more.

    `plan_for` gives the programs for an interface.
    """

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
        return [each for _, covered in self for each in covered.attachments]

    @property
    def plans(self) -> list[CounterPlan]:
        return [covered.plan for _, covered in self]

    def begin(self, interface: Interface) -> _Covered:
        plan = self.plan_for(interface)
        with ExitStack() as undo:
            attachments = [
                undo.enter_context(attach_counter(plan, interface, direction))
                for direction in self.directions
            ]
            undo.pop_all()
        for direction in self.directions:
            self.ledger.open(interface.name, direction)
        return _Covered(plan, attachments)

    def end(self, interface: Interface, held: _Covered) -> None:
        for each in held.attachments:
            self.ledger.add(interface.name, each.direction, each.layout, each.close())

    def changed(self, held: _Covered, was: Interface, now: Interface) -> None:
        if now.name != was.name:
            self._rename(held, was.name, now.name)
        plan = self.plan_for(now)
        if plan is not held.plan:  # $MAC is another
            self._replace(now, held, plan)

    def replace(self) -> None:
        """Count by the new programs that `plan_for` gives now; nothing changes if it raises."""
        plans = [self.plan_for(interface) for interface, _ in self]
        for (interface, covered), plan in zip(self, plans, strict=True):
            self._replace(interface, covered, plan)

    def sums(self) -> Ledger:
        """What was counted so far, ended attachments and running ones."""
        sums = self.ledger.copy()
        for interface, covered in self:
            for each in covered.attachments:
                sums.add(interface.name, each.direction, each.layout, each.read())
        return sums

    def _replace(self, interface: Interface, covered: _Covered, plan: CounterPlan) -> None:
        programs = [plan.program(each.direction).load() for each in covered.attachments]
        old, covered.plan = covered.attachments, plan
        covered.attachments = [
            each.replaced(program, plan.layout) for each, program in zip(old, programs, strict=True)
        ]
        time.sleep(_LAST_FRAME_S)
        for each in old:
            self.ledger.add(interface.name, each.direction, each.layout, each.release())

    def _rename(self, covered: _Covered, was: str, now: str) -> None:
        """What was counted under the old name stays there, and is taken off the new one."""
        for each in covered.attachments:
            totals = each.read()
            self.ledger.add(was, each.direction, each.layout, totals)
            self.ledger.add(now, each.direction, each.layout, totals, times=-1)
