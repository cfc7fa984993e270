"""The programs that count what passes through interfaces, as these come, go and return."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final, Self

from meshlens.ebpf import Link, Program
from meshlens.errors import NotSupported
from meshlens.probes.attach import attach_at_tc
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram
from meshlens.probes.snapshot import Direction
from meshlens.probes.traffic.layout import (
    COUNTERS,
    minus,
    nothing,
    plus,
    prepare,
    read_counters,
    read_missed,
)
from meshlens.probes.traffic.program import traffic_program
from meshlens.probes.traffic.record import Traffic

__all__ = ["TrafficMeters"]

_ETHERNET: Final = 1
_DIRECTIONS: Final[tuple[Direction, ...]] = ("in", "out")


@dataclass
class Meter:
    """A program that counts on one interface in one direction."""

    direction: Direction
    program: Program
    link: Link
    counters: memoryview

    @classmethod
    def on(cls, interface: Interface, direction: Direction) -> Self:
        program = traffic_program().load()
        counters = program.maps[COUNTERS].mmap()
        prepare(counters)
        try:
            _, link = attach_at_tc(program, interface.index, direction)
        except BaseException:
            _free(program, counters)
            raise
        program.spec = None  # the kernel has its instructions
        return cls(direction, program, link, counters)

    def read(self) -> Traffic:
        return read_counters(self.counters, self.direction)

    def close(self) -> None:
        self.link.close()
        _free(self.program, self.counters)


def _free(program: Program, counters: memoryview) -> None:
    counters.release()
    program.close()
    for each in program.maps.values():
        each.close()


class TrafficMeters(Follower[list[Meter]]):
    """The programs on the wanted interfaces; `ended` is what those counted that are no more, by name."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.ended: dict[str, dict[Direction, Traffic]] = {}
        self._missed = {"unreadable": 0}

    def begin(self, interface: Interface) -> list[Meter]:
        if not self.readable(interface):
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries no Ethernet frames ({hardware})")
        with ExitStack() as undo:
            meters = [undo.enter_context(closing(Meter.on(interface, way))) for way in _DIRECTIONS]
            undo.pop_all()
        self.ended.setdefault(interface.name, {each: nothing(each) for each in _DIRECTIONS})
        return meters

    def end(self, interface: Interface, held: list[Meter]) -> None:
        for each in held:
            each.link.close()
        self._missed = self._missed_with(held)
        for each in held:
            ended = self.ended[interface.name]
            ended[each.direction] = plus(ended[each.direction], each.read())
            each.close()

    def readable(self, interface: Interface) -> bool:
        return link_type_of(interface) == _ETHERNET

    def changed(self, held: list[Meter], was: Interface, now: Interface) -> None:
        """What was counted under the old name stays there, and is taken off the new one."""
        if now.name == was.name:
            return
        there = self.ended.setdefault(now.name, {each: nothing(each) for each in _DIRECTIONS})
        for each in held:
            counted, before = each.read(), self.ended[was.name]
            before[each.direction] = plus(before[each.direction], counted)
            there[each.direction] = minus(there[each.direction], counted)

    def interfaces(self) -> list[Interface]:
        """The interfaces on which something counts now."""
        return [interface for interface, _ in self]

    def programs(self) -> list[AttachedProgram]:
        """The programs that count now."""
        return [
            (interface.name, each.direction, each.program) for interface, meters in self for each in meters
        ]

    def traffic(self, name: str) -> tuple[Traffic, ...]:
        """All that passed through the interface of this name."""
        sums = dict(self.ended[name])
        for interface, meters in self:
            if interface.name == name:
                for each in meters:
                    sums[each.direction] = plus(sums[each.direction], each.read())
        return tuple(sums.values())

    def missed(self) -> dict[str, int]:
        return self._missed_with([each for _, meters in self for each in meters])

    def detach(self) -> None:
        """Let nothing more be counted; the counters stay."""
        for _, meters in self:
            for each in meters:
                each.link.close()

    def _missed_with(self, meters: Sequence[Meter]) -> dict[str, int]:
        now = [read_missed(each.counters) for each in meters]
        return {reason: sums + sum(each[reason] for each in now) for reason, sums in self._missed.items()}
