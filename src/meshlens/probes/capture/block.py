"""A frame as a finished pcapng block: what a capture program writes into the ring once it has a place there.

The block is an enhanced packet block (draft-ietf-opsawg-pcapng). How its bytes
and what else is known of it are had is the matter of `capture.frame`.
"""

import sys
from typing import Final

from meshlens.ebpf import R0, R1, R2, R7, R8, R9, R10, Helper, Reg
from meshlens.probes.capture.frame import Frame
from meshlens.probes.capture.ring import Counts, RingLayout

__all__ = [
    "BLOCK_BYTES",
    "DROPS_BYTES",
    "FIXED_BYTES",
    "KEY",
    "START",
    "TIME",
    "VERDICT_BYTES",
    "WIRE_BYTES",
    "BlockWriter",
]

# Stack slots below R10: decision.access has those to -24, expressions those from -88 on.
START, TIME, BLOCK_BYTES, WIRE_BYTES, KEY, _OPTIONS = -32, -40, -48, -56, -64, -72

# The enhanced packet block: offsets of its fields, then options behind the padded data.
_PACKET_BLOCK: Final = 6
_TYPE, _LENGTH, _INTERFACE, _TIME_HIGH, _TIME_LOW, _CAPTURED, _WIRE, _DATA = 0, 4, 8, 12, 16, 20, 24, 28
_FLAGS_OPTION, _DROPS_OPTION, _ID_OPTION, _QUEUE_OPTION = 2, 4, 5, 6
_FLAGS_AT, _QUEUE_AT, _ID_AT, _END_AT = 0, 8, 16, 28
FIXED_BYTES: Final = _DATA + _END_AT + 8
DROPS_BYTES: Final = 12

# The verdict: its kind (eBPF at XDP), then the value as a number of the section's byte order, 64 bits.
_VERDICT_OPTION, _VERDICT_SIZE, _EBPF_XDP = 7, 9, 2
VERDICT_BYTES: Final = 16


class BlockWriter:
    """Emits what counts and writes one frame of an interface.

    R6 is the context, R7 the bytes of the frame to copy, R8 the block, R9 this CPU's part of `control`.
    """

    def __init__(self, layout: RingLayout, frame: Frame, interface: int) -> None:
        self.asm, self.frame = frame.asm, frame
        self.layout, self.interface = layout, interface

    def write(self) -> None:
        """Fill the block at R8."""
        self.fill_head()
        self.copy()
        self.options()

    def own_part(self) -> None:
        """R9 = this CPU's part of `control`."""
        asm, known = self.asm, self.asm.new_label()
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, "<", self.layout.cpus, known)
        asm.mov(R0, 0)  # never: the verifier wants to see it
        asm.label(known)
        asm.alu("*=", R0, self.layout.cpu_stride)
        asm.map_value(R9, "control", self.layout.cpu_parts)
        asm.alu("+=", R9, R0)

    def add(self, field: str, amount: Reg | int = 1) -> None:
        """Add to one of the Counts in R9. Leaves all registers but R0 alone."""
        asm, at = self.asm, self.layout.counts_at(self.interface) + 8 * Counts._fields.index(field)
        asm.load(R0, R9, at, 8)
        asm.alu("+=", R0, amount)
        asm.store(R9, at, R0, 8)

    def count(self, field: str) -> None:
        self.own_part()
        self.add(field)

    def unreported(self, dst: Reg) -> None:
        """`dst` = frames dropped on this CPU since the one before; uses R0."""
        asm, at = self.asm, self.layout.counts_at(self.interface)
        asm.load(dst, R9, at + 8 * Counts._fields.index("dropped"), 8)
        asm.load(R0, R9, at + 8 * Counts._fields.index("reported"), 8)
        asm.alu("-=", dst, R0)

    def fill_head(self) -> None:
        asm = self.asm
        asm.store(R8, _TYPE, _PACKET_BLOCK, 4)
        asm.load(R1, R10, BLOCK_BYTES, 8)
        asm.store(R8, _LENGTH, R1, 4)
        asm.store(R8, _INTERFACE, self.interface, 4)
        asm.load(R1, R10, TIME, 8)
        asm.store(R8, _TIME_LOW, R1, 4)
        asm.alu(">>=", R1, 32)
        asm.store(R8, _TIME_HIGH, R1, 4)
        asm.store(R8, _CAPTURED, R7, 4)
        asm.load(R1, R10, WIRE_BYTES, 8)
        asm.store(R8, _WIRE, R1, 4)

    def copy(self) -> None:
        """The frame's bytes, padded with zeros. A frame that the kernel keeps to itself has none."""
        asm, copied, failed = self.asm, self.asm.new_label(), self.asm.new_label()
        asm.mov(R1, R7)
        asm.alu("+=", R1, 3)
        asm.alu("&=", R1, -4)
        asm.alu("+=", R1, R8)
        asm.store(R10, _OPTIONS, R1, 8)
        asm.store(R1, _DATA - 4, 0, 4)
        self.frame.copy(_DATA, failed, copied)
        asm.label(failed)
        asm.store(R8, _CAPTURED, 0, 4)
        asm.store(R8, _DATA, 0, 4)  # the end of options, which now begin here
        asm.label(copied)

    def options(self) -> None:
        """Flags, queue, packet id, what was lost before, the end; R8 = behind the padded data."""
        asm = self.asm
        asm.load(R8, R10, _OPTIONS, 8)
        if self.frame.has_verdict:
            self.frame.verdict(R1)
            self.verdict(R1)
            asm.alu("+=", R8, VERDICT_BYTES)
        self.option(_FLAGS_AT, _FLAGS_OPTION, 4)
        self.frame.flags(R1)
        asm.store(R8, _DATA + _FLAGS_AT + 4, R1, 4)
        self.option(_QUEUE_AT, _QUEUE_OPTION, 4)
        self.frame.queue(R1)
        asm.store(R8, _DATA + _QUEUE_AT + 4, R1, 4)
        # The position in the ring is a number that no other frame of this capture has.
        self.option(_ID_AT, _ID_OPTION, 8)
        asm.load(R1, R10, START, 8)
        self.store_u64(_ID_AT + 4, R1)
        self.unreported(R1)
        with asm.if_(R1, "!=", 0):
            self.add("reported", R1)
            self.option(_END_AT, _DROPS_OPTION, 8)
            self.store_u64(_END_AT + 4, R1)
            asm.alu("+=", R8, DROPS_BYTES)
        asm.store(R8, _DATA + _END_AT, 0, 4)
        asm.load(R1, R10, BLOCK_BYTES, 8)
        asm.store(R8, _DATA + _END_AT + 4, R1, 4)

    def verdict(self, value: Reg) -> None:
        """The option with a verdict of 32 bits. Its bytes stand anywhere, hence one by one."""
        asm, at = self.asm, _DATA + 4
        asm.store(R8, _DATA, _VERDICT_OPTION, 2)
        asm.store(R8, _DATA + 2, _VERDICT_SIZE, 2)
        for word in range(at, at + 12, 4):
            asm.store(R8, word, 0, 4)
        asm.store(R8, at, _EBPF_XDP, 1)
        for number in range(4):
            asm.store(R8, at + (1 + number if sys.byteorder == "little" else 8 - number), value, 1)
            asm.alu(">>=", value, 8)

    def option(self, at: int, code: int, size: int) -> None:
        self.asm.store(R8, _DATA + at, code, 2)
        self.asm.store(R8, _DATA + at + 2, size, 2)

    def store_u64(self, at: int, value: Reg) -> None:
        """In two halves: options are aligned to 4 bytes. Uses R2."""
        asm, low_first = self.asm, sys.byteorder == "little"
        asm.mov(R2, value)
        asm.alu(">>=", R2, 32)
        asm.store(R8, _DATA + at + (0 if low_first else 4), value, 4)
        asm.store(R8, _DATA + at + (4 if low_first else 0), R2, 4)
