"""The kernel side of `meshlens interfaces`: add every frame to the counters of this CPU.

`traffic.layout.frame_of` is the definition of what a frame is counted as.
"""

import sys
from typing import Final

from meshlens.ebpf import (
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
    ByteOrder,
    Helper,
    ProgramSpec,
    ProgramType,
    Reg,
    possible_cpus,
)
from meshlens.ebpf.contexts import Skb
from meshlens.packet.ethertypes import LLC
from meshlens.probes.traffic import layout as at
from meshlens.probes.wire import emit_leave_copies, emit_skb_length, emit_wire_size

__all__ = ["traffic_program"]

_UNSPEC: Final = -1  # TC_ACT_UNSPEC: the next program decides
_HEADER_BYTES: Final = 14
_TAG_BYTES: Final = 4
_PULLED_BYTES: Final = _HEADER_BYTES + 2 * _TAG_BYTES
_TAGS: Final = (0x8100, 0x88A8)
_BASE: Final = -8  # on the stack: this CPU's counters


def traffic_program(byteorder: ByteOrder = sys.byteorder) -> ProgramSpec:
    """The program for tc, both directions alike.

    It is there twice: the second one runs after the header has been fetched, where it does not stand in the
    linear part of the skb. No loop is needed then, which the verifier of old kernels would refuse.
    """
    asm = Asm(byteorder)
    asm.block("start")
    asm.mov(R6, R1)
    emit_leave_copies(asm, "out")
    asm.call(Helper.get_smp_processor_id)
    with asm.if_(R0, ">=", possible_cpus()):
        asm.mov(R0, 0)  # never: only the verifier does not know
    asm.alu("*=", R0, at.CPU_BYTES)
    asm.map_value(R2, at.COUNTERS)
    asm.alu("+=", R2, R0)
    _Count(asm, pulled=False).emit()
    asm.block("fetch the header")
    asm.label("short")
    asm.store(R10, _BASE, R2, 8)
    asm.field(R2, R6, Skb.len)
    with asm.if_(R2, ">", _PULLED_BYTES):
        asm.mov(R2, _PULLED_BYTES)
    asm.call(Helper.skb_pull_data, R6, R2)
    asm.load(R2, R10, _BASE, 8)
    _Count(asm, pulled=True).emit()
    asm.block("unreadable")
    asm.label("unreadable")
    _add(asm, R2, 0, R3)
    asm.label("out")
    asm.ret(_UNSPEC)
    return ProgramSpec("meshlens_ifaces", ProgramType.SCHED_CLS, asm, maps={at.COUNTERS: at.counters_map()})


def _add(asm: Asm, base: Reg, offset: int, amount: Reg | int) -> None:
    """*(base + offset) += amount. A CPU's counters are its own: no atomic operation is needed."""
    asm.load(R0, base, offset, 8)
    asm.alu("+=", R0, amount)
    asm.store(base, offset, R0, 8)


class _Count:
    """Count one frame and end.

    R6 is the skb, R2 this CPU's counters. Then R3 and R4 are packets and bytes on the wire, R5 is the
    ethertype, R7 and R8 are the frame's bytes and their end, R9 is where the counters of its kind of
    destination begin.
    """

    def __init__(self, asm: Asm, *, pulled: bool) -> None:
        self.asm, self.pulled = asm, pulled
        self.group, self.cast_known, self.tagged, self.length, self.find, self.elsewhere, self.add = (
            asm.new_label() for _ in range(7)
        )

    def emit(self) -> None:
        asm = self.asm
        several, out = asm.new_label(), asm.new_label()
        asm.block("measure")
        rare = emit_wire_size(asm)
        asm.block("read the header")
        self.read_header()
        asm.block("count by ethertype")
        self.count_ethertype()
        asm.block("count by size")
        asm.jump_if(R3, "!=", 1, several)
        self.count_size(R4, 1)
        asm.label(out)
        asm.ret(_UNSPEC)
        asm.block("several packets in one skb")
        rare()
        asm.label(several)
        self.count_several()
        asm.jump(out)
        asm.block("group address")
        self.read_group()
        asm.block("VLAN tags, lengths")
        self.read_tags()
        asm.block("another place for the ethertype")
        self.find_elsewhere()

    def read_header(self) -> None:
        asm = self.asm
        asm.field(R7, R6, Skb.data)
        asm.field(R8, R6, Skb.data_end)
        self.need(_HEADER_BYTES, "unreadable" if self.pulled else "short")
        asm.load(R5, R7, 12, 2)
        asm.to_be(R5, 16)
        asm.mov(R9, at.SIZES_AT)
        asm.load(R0, R7, 0, 1)
        asm.jump_if(R0, "&", 1, self.group)
        asm.label(self.cast_known)
        for ethertype in _TAGS:
            asm.jump_if(R5, "==", ethertype, self.tagged)
        asm.jump_if(R5, "<", at.FIRST_ETHERTYPE, self.length)
        asm.label(self.find)

    def need(self, size: int, otherwise: str) -> None:
        asm = self.asm
        asm.mov(R1, R7)
        asm.alu("+=", R1, size)
        asm.jump_if(R1, ">", R8, otherwise)

    def read_group(self) -> None:
        """R9 for a frame to a group: multicast, or broadcast if all bits of the address are set."""
        asm = self.asm
        asm.label(self.group)
        asm.mov(R9, at.SIZES_AT + at.CAST_BYTES)
        asm.load(R0, R7, 0, 4)
        asm.jump32_if(R0, "!=", 0xFFFFFFFF, self.cast_known)
        asm.load(R0, R7, 4, 2)
        asm.jump_if(R0, "!=", 0xFFFF, self.cast_known)
        asm.mov(R9, at.SIZES_AT + 2 * at.CAST_BYTES)
        asm.jump(self.cast_known)

    def read_tags(self) -> None:
        """R5 = what stands behind the tags, as far as there is something."""
        asm, second = self.asm, self.asm.new_label()
        asm.label(self.tagged)
        self.read_tag(1)
        for ethertype in _TAGS:
            asm.jump_if(R5, "==", ethertype, second)
        asm.jump_if(R5, ">=", at.FIRST_ETHERTYPE, self.find)
        asm.jump(self.length)
        asm.label(second)
        self.read_tag(2)
        asm.jump_if(R5, ">=", at.FIRST_ETHERTYPE, self.find)
        asm.label(self.length)
        asm.mov(R5, LLC)
        asm.jump(self.find)

    def read_tag(self, depth: int) -> None:
        asm = self.asm
        self.need(_HEADER_BYTES + depth * _TAG_BYTES, self.find if self.pulled else "short")
        asm.load(R5, R7, 12 + depth * _TAG_BYTES, 2)
        asm.to_be(R5, 16)

    def count_ethertype(self) -> None:
        """Add the frame to the entry of its ethertype, which mostly is where it is looked for first."""
        asm = self.asm
        asm.mov(R7, R5)
        asm.alu("*=", R7, at.HASH_FACTOR)
        asm.alu(">>=", R7, at.HASH_SHIFT)
        self.entry(0)
        asm.jump_if(R0, "!=", R5, self.elsewhere)
        asm.label(self.add)
        _add(asm, R1, at.ETHERTYPES_AT + 8, R3)
        _add(asm, R1, at.ETHERTYPES_AT + 16, R4)

    def entry(self, number: int) -> None:
        """R1 = the number-th entry after that of hash R7, R0 = its ethertype."""
        asm = self.asm
        asm.mov(R1, R7)
        if number:
            asm.alu("+=", R1, number)
        asm.alu("&=", R1, at.PLACES - 1)
        asm.alu("*=", R1, at.ENTRY_BYTES)
        asm.alu("+=", R1, R2)
        asm.load(R0, R1, at.ETHERTYPES_AT, 8)

    def find_elsewhere(self) -> None:
        """R1 = the entry of the ethertype, a free one that becomes its own, or the one of all others."""
        asm, free = self.asm, self.asm.new_label()
        asm.label(self.elsewhere)
        for number in range(at.PROBES):
            if number:
                self.entry(number)
                asm.jump_if(R0, "==", R5, self.add)
            asm.jump_if(R0, "==", 0, free)
        asm.mov(R1, R2)
        asm.alu("+=", R1, at.OTHER_AT - at.ETHERTYPES_AT)
        asm.jump(self.add)
        asm.label(free)
        asm.store(R1, at.ETHERTYPES_AT, R5, 8)
        asm.jump(self.add)

    def count_size(self, size: Reg, packets: Reg | int) -> None:
        """Add packets of `size` bytes to their step."""
        asm, found = self.asm, self.asm.new_label()
        asm.mov(R1, size)
        asm.alu(">>=", R1, at.STEP_SHIFT)
        asm.jump_if(R1, "<", at.STEPS, found)
        asm.mov(R0, R1)
        asm.mov(R1, at.STEPS)
        for power in range(1, at.POWERS):
            asm.jump_if(R0, "<", at.STEPS << power, found)
            asm.alu("+=", R1, 1)
        asm.label(found)
        asm.alu("*=", R1, 8)
        asm.alu("+=", R1, R9)
        asm.alu("+=", R1, R2)
        _add(asm, R1, 0, packets)

    def count_several(self) -> None:
        """All packets but the last one are of the same size: gso_size, and what each has of headers."""
        asm = self.asm
        emit_skb_length(asm, R1, R0)
        asm.mov(R8, R4)
        asm.alu("-=", R8, R1)
        asm.alu("-=", R3, 1)
        asm.alu("/=", R8, R3)
        asm.field(R1, R6, Skb.gso_size)
        asm.alu("+=", R8, R1)
        self.count_size(R8, R3)
        asm.alu("*=", R8, R3)
        asm.alu("-=", R4, R8)
        self.count_size(R4, 1)
