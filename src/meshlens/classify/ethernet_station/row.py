"""What the program does with a row again and again: count, note, keep in order. R7 is the entry."""

from meshlens.classify.ethernet_station.features import PORTS
from meshlens.classify.ethernet_station.layout import BUFFER, offset
from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R10, Asm, Helper, Reg

__all__ = ["emit_be", "emit_count", "emit_header", "emit_note", "emit_push"]

#: See `sample.bucket`; as the signed number that an instruction holds.
_FIBONACCI, _BUCKET_SHIFT = 0x9E3779B1 - (1 << 32), 25
_WORD_SHIFT, _BIT_MASK = 5, 31


def emit_count(asm: Asm, name: str, amount: Reg | int = 1) -> None:
    """Add to a feature; R1 = what it was. Clobbers R2."""
    asm.load(R1, R7, offset(name), 4)
    asm.mov(R2, R1)
    asm.alu("+=", R2, amount)
    asm.store(R7, offset(name), R2, 4)


def emit_note(asm: Asm, counter: str, bits: str, number: Reg) -> None:
    """Count a number of 32 bits if its bit, from the word `bits` on, was not set. Clobbers R1 to R4."""
    known = asm.new_label()
    asm.mov32(R1, number)
    asm.alu32("*=", R1, _FIBONACCI)
    asm.alu32(">>=", R1, _BUCKET_SHIFT)
    asm.mov(R2, R1)
    asm.alu(">>=", R2, _WORD_SHIFT)
    asm.alu("<<=", R2, 2)
    asm.alu("+=", R2, R7)
    asm.alu("&=", R1, _BIT_MASK)
    asm.mov(R3, 1)
    asm.alu("<<=", R3, R1)
    asm.load(R4, R2, offset(bits), 4)
    asm.mov(R1, R4)
    asm.alu("&=", R1, R3)
    asm.jump_if(R1, "!=", 0, known)
    asm.alu("|=", R4, R3)
    asm.store(R2, offset(bits), R4, 4)
    emit_count(asm, counter)
    asm.label(known)


def emit_push(asm: Asm, series: str, number: Reg, value: Reg) -> None:
    """Put a value at the place `number` of a series, if there is one. Clobbers `number`."""
    with asm.if_(number, "<", PORTS):
        asm.alu("<<=", number, 2)
        asm.alu("+=", number, R7)
        asm.store(number, offset(f"{series}_0"), value, 4)


def emit_header(asm: Asm, at: Reg, size: int, otherwise: str) -> None:
    """BUFFER = bytes of the frame from `at` (R8 or R9) on, or go elsewhere. Clobbers R0 to R5."""
    asm.mov(R2, at)
    asm.mov(R3, R10)
    asm.alu("+=", R3, BUFFER)
    asm.mov(R4, size)
    asm.mov(R1, R6)
    asm.call(Helper.skb_load_bytes)
    asm.jump_if(R0, "!=", 0, otherwise)


def emit_be(asm: Asm, dst: Reg, place: int, bits: int) -> None:
    """`dst` = a number of the header in BUFFER."""
    asm.load(dst, R10, BUFFER + place, bits // 8)
    asm.to_be(dst, bits)
