"""eBPF instructions: their fields, their opcodes, and the eight bytes each becomes.

The instruction set is RFC 9669 (and the kernel's Documentation/bpf/standardization/instruction-set.rst).
"""

import sys
from array import array
from collections.abc import Iterable
from typing import Literal, NamedTuple

__all__ = [
    "R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10",
    "ByteOrder", "Insn", "Reg", "decode", "encode",
]  # fmt: skip

ByteOrder = Literal["little", "big"]


class Reg(int):
    """R0 is the result, R1-R5 are arguments, R6-R9 survive calls, R10 is the top of the stack (read only)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"R{int(self)}"

    __str__ = int.__repr__


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = map(Reg, range(11))


class Insn(NamedTuple):
    """One eight-byte slot of a program; a 64-bit immediate takes two (the second has opcode 0).

    `offset` is a signed 16-bit, `imm` a signed 32-bit number.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0


# Instruction classes: the low three bits of the opcode.
LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)

# Where the second operand of ALU and JMP comes from.
FROM_IMM, FROM_REG = 0x00, 0x08

# Modes of loads and stores.
MODE_IMM, MODE_ABS, MODE_IND, MODE_MEM, MODE_ATOMIC = 0x00, 0x20, 0x40, 0x60, 0xC0
ATOMIC_FETCH_ADD, ATOMIC_EXCHANGE, ATOMIC_COMPARE_EXCHANGE = 0x01, 0xE1, 0xF1

SIZE_BITS = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}

ALU_OPS = {
    "+=": 0x00, "-=": 0x10, "*=": 0x20, "/=": 0x30, "|=": 0x40, "&=": 0x50, "<<=": 0x60, ">>=": 0x70,
    "%=": 0x90, "^=": 0xA0, "=": 0xB0, "s>>=": 0xC0,
}  # fmt: skip
ALU_NEG, ALU_END = 0x80, 0xD0
TO_LITTLE, TO_BIG = 0x00, 0x08

JUMP_OPS = {
    "==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "s>": 0x60, "s>=": 0x70,
    "<": 0xA0, "<=": 0xB0, "s<": 0xC0, "s<=": 0xD0,
}  # fmt: skip
JA, CALL, EXIT = JMP | 0x00, JMP | 0x80, JMP | 0x90

LD_IMM64 = LD | MODE_IMM | 0x18

# What the source register field of a 64-bit immediate says about it (BPF_PSEUDO_*).
PSEUDO_MAP_FD, PSEUDO_MAP_VALUE = 1, 2

# The source register field of a call that is to a function of the program, not to a helper (BPF_PSEUDO_CALL).
PSEUDO_CALL = 1

JUMP_REACH = 0x7FFF
"""How far a jump's signed 16-bit offset reaches, in slots (one less forwards than backwards)."""


def encode(
    insns: Iterable[Insn | tuple[int, int, int, int, int]], byteorder: ByteOrder = sys.byteorder
) -> bytes:
    """The bytes a kernel of that byte order expects: the two register nibbles change places with it."""
    if byteorder == "little":
        words = array("Q", [
            opcode | dst << 8 | src << 12 | (offset & 0xFFFF) << 16 | (imm & 0xFFFFFFFF) << 32
            for opcode, dst, src, offset, imm in insns
        ])  # fmt: skip
    else:
        words = array("Q", [
            opcode << 56 | dst << 52 | src << 48 | (offset & 0xFFFF) << 32 | imm & 0xFFFFFFFF
            for opcode, dst, src, offset, imm in insns
        ])  # fmt: skip
    if byteorder != sys.byteorder:
        words.byteswap()
    return words.tobytes()


def decode(code: bytes, byteorder: ByteOrder = sys.byteorder) -> tuple[Insn, ...]:
    """The instructions in `code`; the inverse of `encode`. Raises ValueError unless it is whole slots."""
    if len(code) % 8:
        raise ValueError(f"{len(code)} bytes are no whole number of 8-byte instructions")
    words = array("Q", code)
    if byteorder != sys.byteorder:
        words.byteswap()
    fields = _fields_little if byteorder == "little" else _fields_big
    return tuple(map(fields, words))


def _fields_little(word: int) -> Insn:
    return Insn(word & 0xFF, word >> 8 & 0xF, word >> 12 & 0xF, _signed16(word >> 16), _signed32(word >> 32))


def _fields_big(word: int) -> Insn:
    return Insn(word >> 56, word >> 52 & 0xF, word >> 48 & 0xF, _signed16(word >> 32), _signed32(word))


def _signed16(number: int) -> int:
    return (number & 0xFFFF ^ 0x8000) - 0x8000


def _signed32(number: int) -> int:
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
