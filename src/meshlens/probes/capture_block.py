"""A frame as a finished pcapng block: what a capture program writes into the ring once it has a place there.

The block is an enhanced packet block (draft-ietf-opsawg-pcapng). The frame's bytes are copied by a helper,
which also reaches those beyond a skb's linear part, and the VLAN tag that stands in a skb's metadata is put
back where it was on the wire, as libpcap does.
"""

import sys
from typing import Final, Literal

from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R8, R9, R10, Asm, Helper, Reg
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.probes.capture_ring import Counts, RingLayout
from meshlens.probes.snapshot import Direction

__all__ = [
    "BLOCK_BYTES",
    "CAPTURE_POINTS",
    "DIRECTIONS",
    "DROPS_BYTES",
    "FIXED_BYTES",
    "KEY",
    "START",
    "TIME",
    "WIRE_BYTES",
    "BlockWriter",
    "CapturePoint",
]

CapturePoint = Literal["entry", "tc-in", "tc-out"]
CAPTURE_POINTS: Final[tuple[CapturePoint, ...]] = ("tc-in", "tc-out", "entry")

DIRECTIONS: Final[dict[CapturePoint, Direction]] = {"entry": "in", "tc-in": "in", "tc-out": "out"}

# Stack slots below R10: decision.access has those to -24, expressions those from -88 on.
START, TIME, BLOCK_BYTES, WIRE_BYTES, KEY, _OPTIONS = -32, -40, -48, -56, -64, -72

_TAG_OFFSET, _TAG_BYTES = 12, 4

# The enhanced packet block: offsets of its fields, then options behind the padded data.
_PACKET_BLOCK: Final = 6
_TYPE, _LENGTH, _INTERFACE, _TIME_HIGH, _TIME_LOW, _CAPTURED, _WIRE, _DATA = 0, 4, 8, 12, 16, 20, 24, 28
_FLAGS_OPTION, _DROPS_OPTION, _ID_OPTION, _QUEUE_OPTION = 2, 4, 5, 6
_FLAGS_AT, _QUEUE_AT, _ID_AT, _END_AT = 0, 8, 16, 28
FIXED_BYTES: Final = _DATA + _END_AT + 8
DROPS_BYTES: Final = 12

#: epb_flags: bits 0 and 1 the direction, 2 to 4 to whom, by a nibble for each skb->pkt_type
#: (host, broadcast, multicast, otherhost; include/uapi/linux/if_packet.h).
_FLAG_DIRECTIONS: Final[dict[Direction, int]] = {"in": 1, "out": 2}
_RECEPTIONS: Final = 0x4231


class BlockWriter:
    """Emits what counts and writes one frame of an interface.

    R6 is the context, R7 the bytes of the frame to copy, R8 the block, R9 this CPU's part of `control`.
    """

    def __init__(self, layout: RingLayout, point: CapturePoint, interface: int) -> None:
        self.asm = Asm()
        self.layout, self.point, self.interface = layout, point, interface
        self.direction = DIRECTIONS[point]
        self.skb = point != "entry"

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
        if self.skb:
            tagged = asm.new_label()
            asm.field(R1, R6, Skb.vlan_present)
            asm.jump_if(R1, "!=", 0, tagged)
            self.load_bytes(0, 0)
            asm.jump_if(R0, "==", 0, copied)
            asm.jump(failed)
            asm.label(tagged)
            self.copy_tagged(failed, copied)
        else:
            self.load_bytes(0, 0)
            asm.jump_if(R0, "==", 0, copied)
        asm.label(failed)
        asm.store(R8, _CAPTURED, 0, 4)
        asm.store(R8, _DATA, 0, 4)  # the end of options, which now begin here
        asm.label(copied)

    def load_bytes(self, start: int, put: int, size: int | None = None) -> None:
        """Copy `size` bytes (default: those left of R7) from byte `start` of the frame to byte `put`."""
        asm = self.asm
        asm.mov(R1, R6)
        asm.mov(R2, start)
        asm.mov(R3, R8)
        asm.alu("+=", R3, _DATA + put)
        asm.mov(R4, R7 if size is None else size)
        if size is None and put:
            asm.alu("-=", R4, put)
        asm.call(Helper.skb_load_bytes if self.skb else Helper.xdp_load_bytes)

    def copy_tagged(self, failed: str, copied: str) -> None:
        """Addresses, the tag from the metadata, the rest. Snapshots are no shorter than that."""
        asm, behind = self.asm, _TAG_OFFSET + _TAG_BYTES
        asm.jump_if(R7, "<=", behind, failed)
        self.load_bytes(0, 0, _TAG_OFFSET)
        asm.jump_if(R0, "!=", 0, failed)
        asm.field(R1, R6, Skb.vlan_proto)  # in network order already
        asm.store(R8, _DATA + _TAG_OFFSET, R1, 2)
        asm.field(R1, R6, Skb.vlan_tci)
        asm.to_be(R1, 16)
        asm.store(R8, _DATA + _TAG_OFFSET + 2, R1, 2)
        self.load_bytes(_TAG_OFFSET, behind)
        asm.jump_if(R0, "==", 0, copied)
        asm.jump(failed)

    def options(self) -> None:
        """Flags, queue, packet id, what was lost before, the end; R8 = behind the padded data."""
        asm = self.asm
        asm.load(R8, R10, _OPTIONS, 8)
        self.option(_FLAGS_AT, _FLAGS_OPTION, 4)
        self.flags(R1)
        asm.store(R8, _DATA + _FLAGS_AT + 4, R1, 4)
        self.option(_QUEUE_AT, _QUEUE_OPTION, 4)
        self.queue(R1)
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

    def flags(self, dst: Reg) -> None:
        asm, direction = self.asm, _FLAG_DIRECTIONS[self.direction]
        if self.point != "tc-in":  # what goes out has no addressee of ours, and XDP does not know
            asm.mov(dst, direction)
            return
        asm.field(R2, R6, Skb.pkt_type)
        asm.alu("<<=", R2, 2)
        asm.alu("&=", R2, 31)
        asm.mov(dst, _RECEPTIONS)
        asm.alu(">>=", dst, R2)
        asm.alu("&=", dst, 7)
        asm.alu("<<=", dst, 2)
        asm.alu("|=", dst, direction)

    def queue(self, dst: Reg) -> None:
        """The queue; on the way in a skb holds its number plus one, or 0 if nobody said (skbuff.h)."""
        asm = self.asm
        if not self.skb:
            asm.field(dst, R6, Xdp.rx_queue_index)
            return
        asm.field(dst, R6, Skb.queue_mapping)
        if self.direction == "in":
            with asm.if_(dst, "!=", 0):
                asm.alu("-=", dst, 1)
