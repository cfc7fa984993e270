"""The same filters as straight eBPF, one after another: what a plain translator of classic BPF makes.

Every filter looks at the frame anew, and adds to a counter of its own. The rest is as cheap as we know how:
direct packet access, one bounds check a load, counters of this CPU at a constant distance from a register.
"""

from collections.abc import Sequence
from typing import Final

from bench.programs import load
from meshlens.ebpf import (
    BPF_F_MMAPABLE,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    Skb,
    possible_cpus,
)
from meshlens.filters.pcap import CbpfInsn

__all__ = ["StraightCounter"]

_PAIR_BYTES: Final = 16
_MOST_OFFSET: Final = 0x7000
_A, _X = R0, R3
_SIZES: Final = {0x00: 4, 0x08: 2, 0x10: 1}
_ALU_OPS: Final = {0x00: "+", 0x10: "-", 0x20: "*", 0x40: "|", 0x50: "&", 0x60: "<<", 0x70: ">>", 0xA0: "^"}
_JUMPS: Final = {0x10: "==", 0x20: ">", 0x30: ">=", 0x40: "&"}


class StraightCounter:
    """The loaded program at tc, and what it counted."""

    def __init__(self, programs: Sequence[Sequence[CbpfInsn]]) -> None:
        self.filters = len(programs)
        stride = -(-_PAIR_BYTES * len(programs) // 64) * 64
        cpus = possible_cpus()
        asm = Asm()
        asm.mov(R6, R1)
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, ">=", cpus, "out")
        asm.alu("*=", R0, stride)
        asm.map_value(R9, "counts")
        asm.alu("+=", R9, R0)
        asm.field(R8, R6, Skb.data)
        asm.field(R7, R6, Skb.data_end)
        for number, program in enumerate(programs):
            _filter(asm, number, program)
        asm.label("out")
        asm.ret(-1)
        size = stride * cpus
        counts = MapSpec("counts", MapType.ARRAY, 4, size, max_entries=1, flags=BPF_F_MMAPABLE)
        self.stride = stride
        self.program: Program = load(
            ProgramSpec("straight", ProgramType.SCHED_CLS, asm, maps={"counts": counts})
        )
        self.counters = self.program.maps["counts"].mmap().cast("Q")

    def packets(self) -> list[int]:
        """How many frames each filter counted."""
        words = self.stride // 8
        return [sum(self.counters[2 * number :: words]) for number in range(self.filters)]


def _filter(asm: Asm, number: int, program: Sequence[CbpfInsn]) -> None:
    """Run one filter; if it matches, add the frame to counter `number`."""
    labels = [asm.new_label() for _ in program]
    matched, done = asm.new_label(), asm.new_label()
    for index, insn in enumerate(program):
        asm.label(labels[index])
        match insn.code & 7:
            case 0 | 1:
                _load(asm, insn, done)
            case 2 | 3:
                asm.store(R10, _memory(insn.k), _A if insn.code & 7 == 2 else _X, 8)
            case 4:
                operand = _X if insn.code & 8 else insn.k
                asm.alu32(f"{_ALU_OPS[insn.code & 0xF0]}=", _A, operand)
            case 5 if insn.code & 0xF0 == 0:
                asm.jump(labels[index + 1 + insn.k])
            case 5:
                operand = _X if insn.code & 8 else insn.k
                asm.jump32_if(_A, _JUMPS[insn.code & 0xF0], operand, labels[index + 1 + insn.jt])
                if insn.jf:
                    asm.jump(labels[index + 1 + insn.jf])
            case 6:
                asm.jump(matched if insn.k else done)
            case _:
                asm.mov(*((_A, _X) if insn.code & 0x80 else (_X, _A)))
    if asm.is_target(matched):
        asm.label(matched)
        _count(asm, number * _PAIR_BYTES)
    asm.label(done)


def _count(asm: Asm, offset: int) -> None:
    asm.load(R1, R9, offset, 8)
    asm.alu("+=", R1, 1)
    asm.store(R9, offset, R1, 8)
    asm.field(R2, R6, Skb.len)
    asm.load(R1, R9, offset + 8, 8)
    asm.alu("+=", R1, R2)
    asm.store(R9, offset + 8, R1, 8)


def _load(asm: Asm, insn: CbpfInsn, done: str | int) -> None:
    target, mode, size = (_X if insn.code & 7 else _A), insn.code & 0xE0, _SIZES.get(insn.code & 0x18, 4)
    base, offset = R8, insn.k
    if mode == 0x00:
        asm.mov32(target, insn.k)
        return
    if mode == 0x60:
        asm.load(target, R10, _memory(insn.k), 8)
        return
    if mode == 0x80:
        asm.field(target, R6, Skb.len)
        return
    if mode == 0x40:  # IND
        asm.mov(R4, _X)
        asm.jump_if(R4, ">", _MOST_OFFSET, done)
        asm.alu("+=", R4, R8)
        base = R4
    asm.mov(R5, base)
    asm.alu("+=", R5, offset + size)
    asm.jump_if(R5, ">", R7, done)
    asm.load(target, base, offset, size)
    if mode == 0xA0:  # MSH
        asm.alu("&=", target, 0xF)
        asm.alu("<<=", target, 2)
    elif size > 1:
        asm.to_be(target, 8 * size)


def _memory(cell: int) -> int:
    return -8 * (cell + 1)
