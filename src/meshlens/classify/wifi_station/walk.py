"""Going along the elements of a frame, in the kernel: first into slots, then from slots into the row.

The elements are as many as a frame likes, so this is a loop (Linux 5.3). All that it finds goes into memory
that the verifier does not look into: nothing but the number of elements tells one round from the next.
"""

from typing import Final

from meshlens.classify.kernel.entry import emit_cpu_part
from meshlens.classify.wifi_station.features import CONTENT_BYTES, MAX_ELEMENTS, SLOTS, VENDOR
from meshlens.classify.wifi_station.layout import (
    CPU_BYTES,
    ELEMENT_BYTES,
    ELEMENTS,
    SCRATCH,
    SLOT_BYTES,
    SLOT_CONTENT,
    SLOT_LENGTH,
    SLOT_PLACE,
    slot_at,
)
from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R8, R9, R10, Asm, Helper, Slot
from meshlens.packet.elements import EXTENSION

__all__ = ["emit_fill", "emit_walk"]

#: In a CPU's part of SCRATCH.
_OTHERS: Final = 0


def emit_walk(asm: Asm, begin: Slot, end: Slot, stack: int) -> None:
    """Put the elements of the skb R6 between `begin` and `end` into slots.

    R7 = this CPU's part of SCRATCH, R9 = how many elements there are; clobbers all but R6, and the stack
    down to `stack` - 24.
    """
    kind, head, length = Slot(stack - 8, ELEMENT_BYTES), Slot(stack - 16, 2), Slot(stack - 24, 8)
    asm.block("elements")
    emit_cpu_part(asm, SCRATCH, CPU_BYTES)
    asm.mov(R7, R0)
    asm.store(R7, _OTHERS, 0, 8)
    for number in range(len(SLOTS)):
        asm.store(R7, slot_at(number) + SLOT_PLACE, 0, 1)
    asm.get(R8, begin)
    asm.mov(R9, 0)
    asm.label("element")
    asm.jump_if(R9, ">=", MAX_ELEMENTS, "walked")
    _emit_past_end(asm, end, 2)
    asm.call(Helper.skb_load_bytes, R6, R8, head, 2)
    asm.jump_if(R0, "!=", 0, "walked")
    asm.load(R1, R10, head.offset, 1)
    asm.load(R2, R10, head.offset + 1, 1)
    asm.put(length, R2)
    asm.alu("+=", R8, R2)  # before anything is known of the length: all ways through a round look the same
    _emit_past_end(asm, end, 2)
    asm.alu("+=", R8, 2)
    asm.store(R10, kind.offset, R1, 4)
    asm.store(R10, kind.offset + 4, 0, 4)
    _emit_kind(asm, kind)
    asm.alu("+=", R9, 1)
    asm.call(Helper.map_lookup_elem, ELEMENTS, kind)
    asm.jump_if(R0, "==", 0, "no slot")
    asm.load(R1, R0, 0, 4)
    asm.jump_if(R1, ">=", len(SLOTS), "element")  # never: only the verifier does not know
    asm.alu("*=", R1, SLOT_BYTES)
    asm.alu("+=", R1, R7)
    _emit_slot(asm, length)
    asm.jump("element")
    asm.label("no slot")
    asm.load(R1, R7, _OTHERS, 8)
    asm.alu("+=", R1, 1)
    asm.store(R7, _OTHERS, R1, 8)
    asm.jump("element")
    asm.label("walked")


def _emit_past_end(asm: Asm, end: Slot, more: int) -> None:
    """Stop if R8 + `more` is beyond the end. Leaves R1 and R2."""
    asm.mov(R3, R8)
    asm.alu("+=", R3, more)
    asm.get(R4, end)
    asm.jump_if(R3, "s>", R4, "walked")


def _emit_kind(asm: Asm, kind: Slot) -> None:
    """What tells vendors' elements and extensions apart; R1 is the number, R2 the length."""
    told, vendor = asm.new_label(), asm.new_label()
    asm.mov(R3, R8)
    asm.alu("-=", R3, R2)
    asm.jump_if(R1, "==", VENDOR, vendor)
    asm.jump_if(R1, "!=", EXTENSION, told)
    asm.jump_if(R2, "==", 0, "walked")
    asm.mov(R2, R3)
    asm.call(Helper.skb_load_bytes, R6, R2, Slot(kind.offset + 4, 4), 1)
    asm.jump(told)
    asm.label(vendor)
    asm.jump_if(R2, "<", 4, told)
    asm.mov(R2, R3)
    asm.call(Helper.skb_load_bytes, R6, R2, Slot(kind.offset + 4, 4), 4)
    asm.label(told)


def _emit_slot(asm: Asm, length: Slot) -> None:
    """Put the element into the slot R1, if that is empty."""
    first = slot_at(0)
    asm.load(R2, R1, first + SLOT_PLACE, 1)
    asm.jump_if(R2, "!=", 0, "element")
    asm.get(R4, length)
    asm.store(R1, first + SLOT_PLACE, R9, 1)
    asm.store(R1, first + SLOT_LENGTH, R4, 1)
    for place in range(0, CONTENT_BYTES, 8):
        asm.store(R1, first + SLOT_CONTENT + place, 0, 8)
    asm.mov(R2, R8)
    asm.alu("-=", R2, R4)
    asm.jump_if(R4, "<", 1, "element")  # not "== 0": of that, Linux 6.1 learns nothing about the bounds
    with asm.if_(R4, ">", CONTENT_BYTES):
        asm.mov(R4, CONTENT_BYTES)
    asm.mov(R3, R1)
    asm.alu("+=", R3, first + SLOT_CONTENT)
    asm.mov(R1, R6)
    asm.call(Helper.skb_load_bytes)


def emit_fill(asm: Asm, elements: int, others: int, slots: int) -> None:
    """Fill what is empty in the block R8 of a row; `elements`, `others` and `slots` stand there.

    R7 is this CPU's part of SCRATCH, R9 the number of elements; clobbers R1 and R2.
    """
    asm.load(R1, R8, elements, 4)
    with asm.if_(R9, ">", R1):
        asm.store(R8, elements, R9, 4)
    asm.load(R2, R7, _OTHERS, 8)
    asm.load(R1, R8, others, 4)
    with asm.if_(R2, ">", R1):
        asm.store(R8, others, R2, 4)
    place = slots
    for number, slot in enumerate(SLOTS):
        there, at = asm.new_label(), slot_at(number)
        asm.load(R1, R7, at + SLOT_PLACE, 1)
        asm.jump_if(R1, "==", 0, there)
        asm.load(R2, R8, place, 4)
        asm.jump_if(R2, "!=", 0, there)
        sources = [SLOT_PLACE, SLOT_LENGTH, *(SLOT_CONTENT + byte for _, byte in slot.bytes)]
        for feature, source in enumerate(sources):
            asm.load(R1, R7, at + source, 1)
            asm.store(R8, place + 4 * feature, R1, 4)
        asm.label(there)
        place += 4 * slot.features
