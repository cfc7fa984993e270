"""The programs that are compared: the counter of a list, one that counts every frame, an empty one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from bench.report import Skip
from meshlens.ebpf import R0, R1, R2, R6, Asm, MapSpec, MapType, Program, ProgramSpec, ProgramType, Skb, Xdp
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.lists import parse_list
from meshlens.probes.count.program import Hook, count_program
from meshlens.probes.count.readout import COUNTERS, Layout, Totals, read_counters

__all__ = [
    "HOOKS",
    "ListCounter",
    "count_all",
    "count_all_by_lookup",
    "empty_program",
    "kernel_bytes",
    "load",
]

HOOKS: Final[Sequence[Hook]] = ("tc", "xdp", "socket")

_TYPES: Final[dict[Hook, ProgramType]] = {
    "tc": ProgramType.SCHED_CLS,
    "xdp": ProgramType.XDP,
    "socket": ProgramType.SOCKET_FILTER,
}
_VERDICTS: Final[dict[Hook, int]] = {"tc": -1, "xdp": 2, "socket": 0}


def load(spec: ProgramSpec) -> Program:
    """Load it. Raises Skip where that is not allowed."""
    try:
        return spec.load()
    except (PermissionDenied, NotSupported) as error:
        raise Skip(str(error)) from None


@dataclass(frozen=True)
class ListCounter:
    """The loaded counter of a list."""

    program: Program
    layout: Layout
    counters: memoryview

    @classmethod
    def of(cls, compiled: CompiledList, hook: Hook = "tc") -> Self:
        program = load(count_program(compiled, hook, None if hook == "socket" else "in"))
        return cls(program, Layout.of(compiled), program.maps[COUNTERS].mmap())

    def read(self) -> Totals:
        return read_counters(self.counters, self.layout)

    def check(self) -> None:
        """Something was counted and nothing missed; else a time says nothing."""
        totals = self.read()
        assert any(packets for packets, _ in totals.filters), "nothing was counted"
        assert not any(totals.missed.values()), f"missed: {totals.missed}"


def empty_program(hook: Hook) -> Program:
    """It says "go on", and no more."""
    asm = Asm()
    asm.ret(_VERDICTS[hook])
    return load(ProgramSpec("empty", _TYPES[hook], asm))


def count_all(hook: Hook) -> ListCounter:
    """It counts every frame in one counter, by the same code that counts for a list."""
    return ListCounter.of(compile_list(parse_list("all;len >= 0\n")), hook)


def count_all_by_lookup(hook: Hook) -> Program:
    """It counts every frame as most programs do: looks up a value in a per-CPU array and adds to it."""
    asm = Asm()
    key = asm.slot(4)
    asm.mov(R6, R1)
    asm.put(key, 0)
    with asm.lookup("count", key):
        asm.load(R1, R0, 0, 8)
        asm.alu("+=", R1, 1)
        asm.store(R0, 0, R1, 8)
        if hook == "xdp":
            asm.field(R1, R6, Xdp.data_end)
            asm.field(R2, R6, Xdp.data)
            asm.alu("-=", R1, R2)
        else:
            asm.field(R1, R6, Skb.len)
        asm.load(R2, R0, 8, 8)
        asm.alu("+=", R2, R1)
        asm.store(R0, 8, R2, 8)
    asm.ret(_VERDICTS[hook])
    count = MapSpec("count", MapType.PERCPU_ARRAY, key_size=4, value_size=16, max_entries=1)
    return load(ProgramSpec("count_all", _TYPES[hook], asm, maps={"count": count}))


def kernel_bytes(program: Program) -> int:
    """The kernel memory of a program and its maps: instructions, machine code, values."""
    info = program.info()
    return (
        info.memlock_bytes
        + info.jited_bytes
        + sum(each.info().memlock_bytes for each in program.maps.values())
    )
