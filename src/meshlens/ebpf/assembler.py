"""The flat assembler: one method an instruction, labels, jumps, map references.

Built for generated code, where 40,000 instructions are normal: a method checks its operands and appends one
tuple.
"""

import sys
from typing import NamedTuple, TypeVar

from meshlens.ebpf import insn as op
from meshlens.ebpf.insn import R0, ByteOrder, Insn, Reg
from meshlens.ebpf.jumps import Label, resolve
from meshlens.errors import MeshlensError

__all__ = ["Assembler", "AssemblyError", "Code"]

_Key = TypeVar("_Key", str, int)


class AssemblyError(MeshlensError):
    """The program as written cannot be encoded: an immediate too big, a label never placed."""


class _Opcodes(dict[_Key, int]):
    """Opcodes by operator or size; free of checks, since only a miss costs something."""

    def __missing__(self, key: _Key) -> int:
        raise AssemblyError(f"no operation {key!r} here: there are {', '.join(map(str, self))}")


_ALU64 = _Opcodes({name: op.ALU64 | bits for name, bits in op.ALU_OPS.items()})
_ALU32 = _Opcodes({name: op.ALU | bits for name, bits in op.ALU_OPS.items()})
_JUMP64 = _Opcodes({name: op.JMP | bits for name, bits in op.JUMP_OPS.items()})
_JUMP32 = _Opcodes({name: op.JMP32 | bits for name, bits in op.JUMP_OPS.items()})
_LOAD = _Opcodes({size: op.LDX | op.MODE_MEM | bits for size, bits in op.SIZE_BITS.items()})
_STORE_REG = _Opcodes({size: op.STX | op.MODE_MEM | bits for size, bits in op.SIZE_BITS.items()})
_STORE_IMM = _Opcodes({size: op.ST | op.MODE_MEM | bits for size, bits in op.SIZE_BITS.items()})
_ATOMIC = _Opcodes({size: op.STX | op.MODE_ATOMIC | op.SIZE_BITS[size] for size in (4, 8)})
_SIGN_EXTENDED = "{:#x} would be sign-extended from 32 bits: use the 32-bit form, or a register with ld_imm64"


class Code(NamedTuple):
    """A finished program: plain data that can be printed, compared, stored and encoded without a kernel.

    `blocks` are (slot, name): what the code from that slot on is, in the words of its source.
    `map_refs` are (slot, map name): 64-bit immediates that become a map's descriptor when loading.
    """

    insns: tuple[Insn, ...]
    blocks: tuple[tuple[int, str], ...]
    map_refs: tuple[tuple[int, str], ...]
    byteorder: ByteOrder


class Assembler:
    """Collects instructions; `assemble()` resolves the jumps. Labels are any string or number."""

    def __init__(self, byteorder: ByteOrder = sys.byteorder) -> None:
        self.byteorder: ByteOrder = byteorder
        self._insns: list[tuple[int, int, int, int, int]] = []
        self._jumps: list[tuple[int, Label]] = []
        self._labels: dict[Label, int] = {}
        self._blocks: list[tuple[int, str]] = []
        self._map_refs: list[tuple[int, str]] = []
        self._fresh_labels = 0

    def __len__(self) -> int:
        """Slots so far (a 64-bit immediate counts two; jump islands come on top when assembling)."""
        return len(self._insns)

    def block(self, name: str) -> None:
        """Names what follows, for the disassembly and for the verifier's complaints."""
        self._blocks.append((len(self._insns), name))

    def assemble(self) -> Code:
        """The program with every jump resolved; the assembler can go on and be assembled again."""
        for _, label in self._jumps:
            if label not in self._labels:
                raise AssemblyError(f"jump to label {label!r}, which is never placed: add a.label({label!r})")
        insns, moved = resolve(self._insns, self._jumps, self._labels)
        return Code(
            tuple(map(Insn._make, insns)),
            tuple((moved(slot), name) for slot, name in self._blocks),
            tuple((moved(slot), name) for slot, name in self._map_refs),
            self.byteorder,
        )

    # Arithmetic. The 32-bit forms clear the upper half of the destination.

    def mov(self, dst: Reg, src: Reg | int) -> None:
        """Dst = src; a number is a signed 32-bit one (see ld_imm64 for more)."""
        self.alu("=", dst, src)

    def mov32(self, dst: Reg, src: Reg | int) -> None:
        """Dst = src, 32 bits, upper half cleared."""
        self.alu32("=", dst, src)

    def alu(self, operation: str, dst: Reg, src: Reg | int) -> None:
        """Dst OP src in 64 bits; operation is one of = += -= *= /= %= &= |= ^= <<= >>= s>>=."""
        if src.__class__ is Reg:
            self._insns.append((_ALU64[operation] | 8, dst, src, 0, 0))
        elif -0x80000000 <= src <= 0x7FFFFFFF:
            self._insns.append((_ALU64[operation], dst, 0, 0, src))
        else:
            raise AssemblyError(_SIGN_EXTENDED.format(src))

    def alu32(self, operation: str, dst: Reg, src: Reg | int) -> None:
        """Dst OP src in 32 bits, upper half of dst cleared."""
        if src.__class__ is Reg:
            self._insns.append((_ALU32[operation] | 8, dst, src, 0, 0))
        else:
            self._insns.append((_ALU32[operation], dst, 0, 0, _imm32(src)))

    def neg(self, dst: Reg) -> None:
        """Dst = -dst."""
        self._insns.append((op.ALU64 | op.ALU_NEG, dst, 0, 0, 0))

    def to_be(self, dst: Reg, bits: int) -> None:
        """Dst = its low 16, 32 or 64 bits between host and network order, zero-extended."""
        if bits not in (16, 32, 64):
            raise AssemblyError(f"to_be swaps 16, 32 or 64 bits, not {bits}")
        self._insns.append((op.ALU | op.ALU_END | op.TO_BIG, dst, 0, 0, bits))

    def ld_imm64(self, dst: Reg, value: int) -> None:
        """Dst = a 64-bit number, signed or unsigned; takes two slots."""
        if not -(1 << 63) <= value < 1 << 64:
            raise AssemblyError(f"{value:#x} does not fit 64 bits")
        self._wide(dst, 0, _imm32(value & 0xFFFFFFFF), _imm32(value >> 32 & 0xFFFFFFFF))

    def to_le(self, dst: Reg, bits: int) -> None:
        """Dst = its low 16, 32 or 64 bits between host and little-endian order, zero-extended.

        Nothing at all where the host is little-endian: what was loaded is as wanted.
        """
        if bits not in (16, 32, 64):
            raise AssemblyError(f"to_le swaps 16, 32 or 64 bits, not {bits}")
        if self.byteorder == "big":
            self._insns.append((op.ALU | op.ALU_END | op.TO_LITTLE, dst, 0, 0, bits))

    # Memory. Sizes are 1, 2, 4 or 8 bytes; values stand in host byte order.

    def load(self, dst: Reg, base: Reg, offset: int, size: int) -> None:
        """Dst = *(base + offset), zero-extended."""
        self._insns.append((_LOAD[size], dst, base, _offset16(offset), 0))

    def store(self, base: Reg, offset: int, src: Reg | int, size: int) -> None:
        """*(base + offset) = src; a number is a signed 32-bit one."""
        if src.__class__ is Reg:
            self._insns.append((_STORE_REG[size], base, src, _offset16(offset), 0))
        elif size == 8 and src > 0x7FFFFFFF:
            raise AssemblyError(_SIGN_EXTENDED.format(src))
        else:
            self._insns.append((_STORE_IMM[size], base, 0, _offset16(offset), _imm32(src)))

    def atomic_add(self, base: Reg, offset: int, src: Reg, size: int) -> None:
        """*(base + offset) += src, seen whole by every CPU; 4 or 8 bytes."""
        self._insns.append((_ATOMIC[size], base, src, _offset16(offset), 0))

    # Those below give back what was there before and order all memory accesses around them
    # (Documentation/bpf/standardization/instruction-set.rst). Linux 5.12.

    def atomic_fetch_add(self, base: Reg, offset: int, src: Reg, size: int) -> None:
        """*(base + offset) += src, and src = the value before; 4 or 8 bytes."""
        self._insns.append((_ATOMIC[size], base, src, _offset16(offset), op.ATOMIC_FETCH_ADD))

    def atomic_exchange(self, base: Reg, offset: int, src: Reg, size: int) -> None:
        """Swaps src with *(base + offset); 4 or 8 bytes."""
        self._insns.append((_ATOMIC[size], base, src, _offset16(offset), op.ATOMIC_EXCHANGE))

    def atomic_compare_exchange(self, base: Reg, offset: int, src: Reg, size: int) -> None:
        """*(base + offset) = src if it was R0; R0 = the value before; 4 or 8 bytes."""
        self._insns.append((_ATOMIC[size], base, src, _offset16(offset), op.ATOMIC_COMPARE_EXCHANGE))

    # Control flow.

    def new_label(self) -> str:
        """A label that nobody else uses."""
        self._fresh_labels += 1
        return f".{self._fresh_labels}"

    def label(self, label: Label) -> None:
        """Places `label` here."""
        if label in self._labels:
            raise AssemblyError(f"label {label!r} is placed twice: at {self._labels[label]} and {len(self)}")
        self._labels[label] = len(self._insns)

    def is_target(self, label: Label) -> bool:
        """Whether anything jumps to `label` so far: code that nothing reaches is refused by the verifier."""
        return any(target == label for _, target in self._jumps)

    def jump(self, label: Label) -> None:
        """Goto label."""
        self._jumps.append((len(self._insns), label))
        self._insns.append((op.JA, 0, 0, 0, 0))

    def jump_if(self, left: Reg, comparison: str, right: Reg | int, label: Label) -> None:
        """If left COMPARISON right goto label, in 64 bits.

        Comparisons: == != > >= < <= unsigned, s> s>= s< s<= signed, & (any common bit).
        """
        self._jumps.append((len(self._insns), label))
        if right.__class__ is Reg:
            self._insns.append((_JUMP64[comparison] | 8, left, right, 0, 0))
        elif -0x80000000 <= right <= 0x7FFFFFFF:
            self._insns.append((_JUMP64[comparison], left, 0, 0, right))
        else:
            raise AssemblyError(_SIGN_EXTENDED.format(right))

    def jump32_if(self, left: Reg, comparison: str, right: Reg | int, label: Label) -> None:
        """jump_if on the lower 32 bits."""
        self._jumps.append((len(self._insns), label))
        if right.__class__ is Reg:
            self._insns.append((_JUMP32[comparison] | 8, left, right, 0, 0))
        else:
            self._insns.append((_JUMP32[comparison], left, 0, 0, _imm32(right)))

    def call_helper(self, number: int) -> None:
        """R0 = helper(R1..R5); R1-R5 are undefined afterwards."""
        self._insns.append((op.CALL, 0, 0, 0, number))

    def exit(self) -> None:
        """Returns R0."""
        self._insns.append((op.EXIT, R0, 0, 0, 0))

    # Maps, by the name they have in the program's specification.

    def map_fd(self, dst: Reg, name: str) -> None:
        """Dst = the map, as helpers take it."""
        self._map_refs.append((len(self._insns), name))
        self._wide(dst, op.PSEUDO_MAP_FD, 0, 0)

    def map_value(self, dst: Reg, name: str, offset: int = 0) -> None:
        """Dst = address of byte `offset` of the first value of an array map: no lookup, no null check."""
        self._map_refs.append((len(self._insns), name))
        self._wide(dst, op.PSEUDO_MAP_VALUE, 0, _imm32(offset))

    def _wide(self, dst: Reg, pseudo: int, low: int, high: int) -> None:
        self._insns.append((op.LD_IMM64, dst, pseudo, 0, low))
        self._insns.append((0, 0, 0, 0, high))


def _imm32(number: int) -> int:
    if -0x80000000 <= number <= 0x7FFFFFFF:
        return number
    if number <= 0xFFFFFFFF and number > 0:
        return number - 0x100000000
    raise AssemblyError(f"{number:#x} does not fit 32 bits")


def _offset16(number: int) -> int:
    if -0x8000 <= number <= 0x7FFF:
        return number
    raise AssemblyError(f"offset {number} does not fit 16 bits")
