"""Adding the packets of a skb to the row of their flow; `sample.FlowRow` is the definition.

Several CPUs may add to one flow at the same time. A packet takes its place by an atomic addition and writes
to that alone; what both directions count is added atomically.
"""

from typing import Final

from meshlens.classify.flow.facts import Stack
from meshlens.classify.flow.features import (
    CONTENT_BYTES,
    DATA_PACKETS,
    END_FEATURES,
    KEPT_BYTES,
    LENGTH_PLACES,
    PACKETS,
    PLACE,
)
from meshlens.classify.flow.sample import MAX_REST
from meshlens.classify.kernel import entry
from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Helper
from meshlens.ebpf.contexts import Skb

__all__ = ["emit_fill"]


def _at(name: str) -> int:
    """Where a feature stands in an entry."""
    return entry.row_offset(PLACE[name])


_END_BYTES: Final = 4 * END_FEATURES
_SIZE, _PAYLOAD, _FLAGS = _at("size_1"), _at("payload_1"), _at("flags_1")
#: Where these would stand for the first packet, which has none.
_WAY, _TIME = _at("way_2") - 4, _at("time_2") - 4


def emit_fill(asm: Asm, stack: Stack, full: str) -> None:
    """Add the skb to the row of the entry in R7; goes to `full` if it came too late.

    Clobbers R0 to R5, R8 and R9.
    """
    asm.block("take places in the row")
    asm.get(R3, stack.packets)
    asm.mov(R1, R3)
    asm.atomic_fetch_add(R7, entry.PACKETS, R1, 4)
    asm.jump_if(R1, ">=", PACKETS, full)
    asm.put(stack.place, R1)
    asm.put(stack.left, R3)
    asm.get(R1, stack.octets)
    asm.put(stack.rest, R1)
    asm.put(stack.first_data, 0)
    asm.get(R1, stack.back)
    asm.alu("*=", R1, _END_BYTES)
    asm.mov(R9, R7)
    asm.alu("+=", R9, R1)
    filled = asm.new_label()
    for number in range(PACKETS):  # a skb may stand for that many
        asm.block(f"packet {number + 1} of the skb")
        _Packet(asm, stack).emit(filled)
    asm.label(filled)
    asm.block("the first data of an end")
    asm.get(R8, stack.first_data)
    with asm.if_(R8, ">=", 1):
        _emit_look(asm, stack)


class _Packet:
    """One packet: R8 = where in the row, R9 = the entry, moved so that `src` features are its sender's."""

    def __init__(self, asm: Asm, stack: Stack) -> None:
        self.asm, self.stack = asm, stack

    def emit(self, filled: str) -> None:
        """Add it, or go to `filled` if there is none left or no place."""
        asm, stack = self.asm, self.stack
        asm.get(R8, stack.place)
        asm.get(R3, stack.left)
        asm.jump_if(R3, "==", 0, filled)
        asm.jump_if(R8, ">=", PACKETS, filled)
        self.size()
        asm.mov(R2, R8)
        asm.alu("<<=", R2, 2)
        asm.alu("+=", R2, R7)
        asm.store(R2, _SIZE, R4, 4)
        asm.store(R2, _PAYLOAD, R5, 4)
        asm.get(R1, stack.flags)
        asm.store(R2, _FLAGS, R1, 4)
        with asm.if_(R8, "!=", 0):
            asm.get(R1, stack.back)
            asm.alu("+=", R1, 1)
            asm.store(R2, _WAY, R1, 4)
            asm.get(R1, stack.time)
            asm.store(R2, _TIME, R1, 4)
        self.of_end()
        for slot, step in ((stack.place, 1), (stack.left, -1)):
            asm.get(R1, slot)
            asm.alu("+=", R1, step)
            asm.put(slot, R1)

    def size(self) -> None:
        """R4, R5 = bytes of the packet and of its payload; what is left of the skb's stays for the others."""
        asm, stack, last = self.asm, self.stack, self.asm.new_label()
        asm.get(R4, stack.rest)
        asm.get(R5, stack.payload)
        asm.jump_if(R3, "==", 1, last)
        asm.mov(R1, R4)
        asm.get(R4, stack.segment)
        asm.alu("-=", R1, R4)
        asm.put(stack.rest, R1)
        asm.field(R1, R6, Skb.gso_size)
        asm.jump_if(R5, "<=", R1, last)
        asm.mov(R2, R5)
        asm.alu("-=", R2, R1)
        asm.mov(R5, R1)
        asm.put(stack.payload, R2)
        asm.jump(end := asm.new_label())
        asm.label(last)
        asm.put(stack.payload, 0)
        asm.label(end)

    def of_end(self) -> None:
        """What its sender has sent so far, and what its first packet was like."""
        asm, stack, done = self.asm, self.stack, self.asm.new_label()
        self.one_more("src_packets")
        with asm.if_(R1, "==", 0):
            for name in ("ttl", "tcp_header", "window", "mss"):
                asm.get(R2, getattr(stack, name))
                asm.store(R9, _at(f"src_{name}"), R2, 4)
        asm.jump_if(R5, "==", 0, done)
        asm.atomic_add(R9, _at("src_data"), R5, 4)
        self.one_more("src_data_packets")
        asm.jump_if(R1, ">=", DATA_PACKETS, done)
        asm.mov(R2, R1)
        asm.alu("<<=", R2, 2)
        asm.alu("+=", R2, R9)
        asm.store(R2, _at("src_data_1"), R5, 4)
        asm.jump_if(R1, "!=", 0, done)
        asm.put(stack.first_data, R5)
        asm.label(done)

    def one_more(self, name: str) -> None:
        """R1 = how many there were."""
        self.asm.mov(R1, 1)
        self.asm.atomic_fetch_add(R9, _at(name), R1, 4)


def _emit_look(asm: Asm, stack: Stack) -> None:
    """What the first data of an end look like: R8 bytes; `sample.FlowRow` says how."""
    few, counted = asm.new_label(), asm.new_label()
    buffer = stack.buffer.offset
    asm.jump_if(R8, "<=", CONTENT_BYTES, few)
    asm.mov(R8, CONTENT_BYTES)
    asm.label(few)
    for operation, number in (("-=", 1), ("&=", CONTENT_BYTES - 1), ("+=", 1)):
        asm.alu(operation, R8, number)  # nothing changes: older verifiers lose sight of its range
    for offset in range(0, CONTENT_BYTES, 8):
        asm.store(R10, buffer + offset, 0, 8)
    asm.get(R2, stack.begin)
    asm.call(Helper.skb_load_bytes, R6, R2, stack.buffer, R8)
    for register in (R2, R3, R4, R5):
        asm.mov(register, 0)
    for place in range(CONTENT_BYTES):
        asm.jump_if(R8, "<=", place, counted)
        asm.load(R1, R10, buffer + place, 1)
        if place < KEPT_BYTES:
            asm.mov(R0, R1)
            asm.alu("+=", R0, 1)
            asm.store(R9, _at(f"src_byte_{place + 1}"), R0, 4)
        _count_byte(asm)
    asm.label(counted)
    for register, name in ((R2, "printable"), (R3, "zeros"), (R4, "high")):
        asm.store(R9, _at(f"src_{name}"), register, 4)
    _emit_ones(asm)
    asm.store(R9, _at("src_kinds"), R5, 4)
    asm.get(R4, stack.first_data)
    for place in LENGTH_PLACES:
        _emit_length(asm, buffer + place, place)


def _count_byte(asm: Asm) -> None:
    """Add the byte R1 to R2 (printable), R3 (zero), R4 (0x80 and above), R5 (a bit for each 8 values).

    Without branches it is one path to the verifier: what is negative has its highest bit set.
    """
    for total, below, sign in ((R2, 0x7F, "+="), (R2, 0x20, "-="), (R3, 1, "+=")):
        asm.mov(R0, R1)
        asm.alu("-=", R0, below)
        asm.alu(">>=", R0, 63)
        asm.alu(sign, total, R0)
    asm.mov(R0, R1)
    asm.alu(">>=", R0, 7)
    asm.alu("+=", R4, R0)
    asm.alu(">>=", R1, 3)
    asm.mov(R0, 1)
    asm.alu("<<=", R0, R1)
    asm.alu("|=", R5, R0)


def _emit_ones(asm: Asm) -> None:
    """R5 = how many of its 32 bits are set, added up in pairs, fours and eights. Clobbers R0."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F)):
        asm.mov(R0, R5)
        asm.alu(">>=", R0, shift)
        asm.alu("&=", R0, mask)
        asm.alu("&=", R5, mask)
        asm.alu("+=", R5, R0)
    asm.alu32("*=", R5, 0x01010101)
    asm.alu32(">>=", R5, 24)


def _emit_length(asm: Asm, offset: int, place: int) -> None:
    """What the number at `place` of the R8 bytes leaves of the R4 bytes of payload. Clobbers R1 and R2."""
    no_length = asm.new_label()
    asm.jump_if(R8, "<", place + 2, no_length)
    asm.load(R1, R10, offset, 1)
    asm.alu("<<=", R1, 8)
    asm.load(R2, R10, offset + 1, 1)
    asm.alu("|=", R1, R2)
    asm.mov(R2, R4)
    asm.alu("-=", R2, R1)
    asm.jump_if(R2, ">=", MAX_REST, no_length)
    asm.alu("+=", R2, 1)
    asm.store(R9, _at(f"src_length_{place}"), R2, 4)
    asm.label(no_length)
