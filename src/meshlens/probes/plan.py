"""The programs that count a list, made ready to be attached and read without the compiler.

Compiling takes memory that a process which counts for months should not hold: graphs, libpcap, their modules.
So it happens in a short-lived child, and what comes back is bytes.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from meshlens.probes.readout import Layout
from meshlens.probes.snapshot import Direction

if TYPE_CHECKING:
    from meshlens.ebpf import ProgramSpec
    from meshlens.filters.compiler import CompiledList

__all__ = ["ATTACH_MODES", "AttachMode", "CounterPlan", "hook_of", "plan_counters"]

AttachMode = Literal["auto", "tc", "xdp", "xdp-generic", "socket"]
ATTACH_MODES: Final[tuple[AttachMode, ...]] = ("auto", "tc", "xdp", "xdp-generic", "socket")


@dataclass(frozen=True)
class CounterPlan:
    """What is needed to attach and read the counters of a list, and no more.

    `programs` are pickled ProgramSpecs: 12,000 instructions rest in 100 KiB instead of 2 MiB.
    """

    mode: AttachMode
    layout: Layout
    programs: dict[Direction, bytes]

    def program(self, direction: Direction) -> "ProgramSpec":
        """The program for one direction."""
        spec: ProgramSpec = pickle.loads(self.programs[direction])  # noqa: S301  (our own bytes)
        return spec


def hook_of(mode: AttachMode, direction: Direction) -> Literal["tc", "xdp", "socket"]:
    """Where a program counts. XDP sees nothing of what goes out: that is counted at tc."""
    if mode == "socket":
        return "socket"
    return "xdp" if mode.startswith("xdp") and direction == "in" else "tc"


def plan_counters(
    compiled: "CompiledList", mode: AttachMode = "auto", directions: Iterable[Direction] = ("in", "out")
) -> CounterPlan:
    """Make the programs that count a compiled list in `directions`."""
    from meshlens.probes.count_program import count_program

    layout = Layout(
        tuple(each.id for each in compiled.filters), tuple(tuple(sorted(each)) for each in compiled.matches)
    )
    programs = {way: count_program(compiled, hook_of(mode, way), way) for way in directions}
    return CounterPlan(mode, layout, {way: pickle.dumps(spec) for way, spec in programs.items()})
