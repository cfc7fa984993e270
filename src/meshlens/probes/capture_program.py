"""The kernel side of `meshlens capture`: filter, then lay out a finished pcapng block in the ring.

See `probes.capture_ring` for the ring. The block is an enhanced packet block; the frame's bytes are copied
by a helper, which also reaches those beyond a skb's linear part, and the VLAN tag that stands in a skb's
metadata is put back where it was on the wire, as libpcap does.
"""

import sys
from typing import Final, Literal

from meshlens.decision.access import BufferedAccess, DirectAccess, buffer_map
from meshlens.decision.codegen import GraphLabels, emit_graph
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    MapSpec,
    ProgramSpec,
    ProgramType,
    Reg,
)
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.errors import UsageError
from meshlens.filters.compiler import CompiledList
from meshlens.probes.capture_ring import CHUNK_BYTES, Counts, RingLayout
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_skb_length

__all__ = ["CAPTURE_POINTS", "CapturePoint", "capture_program"]

CapturePoint = Literal["entry", "tc-in", "tc-out"]
CAPTURE_POINTS: Final[tuple[CapturePoint, ...]] = ("tc-in", "tc-out", "entry")

_DIRECTIONS: Final[dict[CapturePoint, Direction]] = {"entry": "in", "tc-in": "in", "tc-out": "out"}
_VERDICTS: Final = {ProgramType.SCHED_CLS: -1, ProgramType.XDP: 2}  # TC_ACT_UNSPEC, XDP_PASS

# Stack slots below R10: decision.access has those to -24, expressions those from -88 on.
_START, _TIME, _BLOCK_BYTES, _WIRE_BYTES, _KEY, _OPTIONS = -32, -40, -48, -56, -64, -72

#: How often a CPU tries to move `head` while others do so too, before the frame counts as dropped.
_TRIES: Final = 16

_TAG_OFFSET, _TAG_BYTES = 12, 4

# The enhanced packet block: offsets of its fields, then options behind the padded data.
_PACKET_BLOCK: Final = 6
_TYPE, _LENGTH, _INTERFACE, _TIME_HIGH, _TIME_LOW, _CAPTURED, _WIRE, _DATA = 0, 4, 8, 12, 16, 20, 24, 28
_FLAGS_OPTION, _DROPS_OPTION, _ID_OPTION, _QUEUE_OPTION = 2, 4, 5, 6
_FLAGS_AT, _QUEUE_AT, _ID_AT, _END_AT = 0, 8, 16, 28
_FIXED_BYTES: Final = _DATA + _END_AT + 8
_DROPS_BYTES: Final = 12

#: epb_flags: bits 0 and 1 the direction, 2 to 4 to whom, by a nibble for each skb->pkt_type
#: (host, broadcast, multicast, otherhost; include/uapi/linux/if_packet.h).
_FLAG_DIRECTIONS: Final[dict[Direction, int]] = {"in": 1, "out": 2}
_RECEPTIONS: Final = 0x4231

_LOST, _UNREADABLE = "inconsistent", "unreadable"


def capture_program(
    layout: RingLayout,
    compiled: CompiledList | None,
    point: CapturePoint,
    interface: int,
    limit: int | None = None,
) -> ProgramSpec:
    """The program that captures at `point` what `compiled`, a list of one filter, matches; None: everything.

    `interface` is the number of the interface in the file; `limit` how many frames all programs together
    capture at most. Raises UsageError for a filter that is too entangled to be decided in one pass.
    """
    program = _CaptureProgram(layout, point, interface, limit)
    program.start()
    if compiled is None or program.decide(compiled):
        program.capture()
    program.end()
    maps = layout.maps() | program.maps
    return ProgramSpec("meshlens_capture", program.type, program.asm, maps=maps)


class _CaptureProgram:
    """The pieces of a capturing program, in the order in which they are emitted.

    R6 is the context; in `capture`, R7 the bytes of the frame to copy, R8 the block, R9 this CPU's part of
    `control`.
    """

    def __init__(self, layout: RingLayout, point: CapturePoint, interface: int, limit: int | None) -> None:
        self.asm = Asm()
        self.layout, self.point, self.interface, self.limit = layout, point, interface, limit
        self.direction = _DIRECTIONS[point]
        self.skb = point != "entry"
        self.type = ProgramType.SCHED_CLS if self.skb else ProgramType.XDP
        self.maps: dict[str, MapSpec] = {}

    def start(self) -> None:
        self.asm.block("start")
        self.asm.mov(R6, R1)

    def decide(self, compiled: CompiledList) -> bool:
        """Go to `capture` with the frames that match, if any can; count the others."""
        if any(graph.marks for graph in compiled.graphs) or len(compiled.graphs) > 1:
            raise UsageError("the filter is too entangled to be decided in one pass: simplify it")
        (graph,) = compiled.graphs
        asm, way = self.asm, 0 if self.direction == "in" else 1
        labels = GraphLabels(0, "matched", "filtered")
        elsewhere = "elsewhere" if self.skb else None
        direct = DirectAccess(asm, Skb if self.skb else Xdp, way, elsewhere=elsewhere, lost=_LOST)
        asm.block("decide")
        emit_graph(asm, graph, direct, labels, _NoMarks())
        if elsewhere and asm.is_target(elsewhere):
            self.maps = buffer_map()
            asm.block("decide, from a copy")
            asm.label(elsewhere)
            emit_graph(asm, graph, BufferedAccess(asm, way, unreadable=_UNREADABLE), labels, _NoMarks())
        if asm.is_target("matched"):
            asm.label("matched")
            self.keep_slots([slot for slot, matching in enumerate(graph.matches) if matching])
        if asm.is_target("filtered") or asm.is_target("capture"):
            asm.label("filtered")
            self.count("filtered")
            asm.jump("out")
        return asm.is_target("capture")

    def keep_slots(self, slots: list[int]) -> None:
        """Go on to `capture` if slot R9 + R1 is among those that the filter wants."""
        asm = self.asm
        asm.alu("+=", R9, R1)
        for slot in slots:
            asm.jump_if(R9, "==", slot, "capture")

    def capture(self) -> None:
        """Measure, reserve, fill, publish."""
        asm = self.asm
        asm.block("capture")
        asm.label("capture")
        self.own_part()
        self.mind_limit()
        self.measure()
        self.reserve()
        self.find_block()
        self.fill_head()
        self.copy()
        self.options()
        self.publish()
        asm.jump("out")
        self.refuse()

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

    def mind_limit(self) -> None:
        """Take a number; frames beyond the limit are neither captured nor counted."""
        if self.limit is None:
            return
        asm, granted = self.asm, self.asm.new_label()
        asm.map_value(R2, "control", self.layout.TAKEN)
        asm.load(R1, R2, 0, 8)
        asm.ld_imm64(R3, self.limit)
        asm.jump_if(R1, "s>=", R3, "out")
        asm.mov(R1, 1)
        asm.atomic_fetch_add(R2, 0, R1, 8)
        asm.jump_if(R1, "s<", R3, granted)
        asm.mov(R1, -1)
        asm.atomic_add(R2, 0, R1, 8)
        asm.jump("out")
        asm.label(granted)

    def measure(self) -> None:
        """R7 = bytes to copy, at least 1; on the stack the bytes on the wire and those of the block."""
        asm, whole, some = self.asm, self.asm.new_label(), self.asm.new_label()
        if self.skb:
            emit_skb_length(asm, R7, R0)
        else:
            asm.field(R7, R6, Xdp.data_end)
            asm.field(R0, R6, Xdp.data)
            asm.alu("-=", R7, R0)
        asm.store(R10, _WIRE_BYTES, R7, 8)
        asm.jump_if(R7, "<=", self.layout.snapshot_bytes, whole)
        asm.mov(R7, self.layout.snapshot_bytes)
        asm.label(whole)
        asm.jump_if(R7, "!=", 0, some)
        asm.mov(R7, 1)  # never: a frame has a header
        asm.label(some)
        asm.mov(R1, R7)
        asm.alu("+=", R1, 3)
        asm.alu("&=", R1, -4)
        asm.alu("+=", R1, _FIXED_BYTES)
        self.unreported(R2)
        with asm.if_(R2, "!=", 0):
            asm.alu("+=", R1, _DROPS_BYTES)
        asm.store(R10, _BLOCK_BYTES, R1, 8)

    def unreported(self, dst: Reg) -> None:
        """`dst` = frames dropped on this CPU since the one before; uses R0."""
        asm, at = self.asm, self.layout.counts_at(self.interface)
        asm.load(dst, R9, at + 8 * Counts._fields.index("dropped"), 8)
        asm.load(R0, R9, at + 8 * Counts._fields.index("reported"), 8)
        asm.alu("-=", dst, R0)

    def reserve(self) -> None:
        """Move `head` behind a block of our own; on the stack where it begins and the time."""
        asm = self.asm
        for number in range(_TRIES):
            asm.map_value(R1, "control")
            asm.load(R2, R1, self.layout.HEAD, 8)
            if number == 0:
                asm.store(R9, self.layout.BUSY, R2, 8)
            asm.store(R10, _START, R2, 8)
            asm.alu(">>=", R2, 32)
            asm.load(R3, R1, self.layout.TAIL, 8)
            asm.alu("-=", R2, R3)
            asm.jump_if(R2, ">=", self.layout.chunks, "full")
            asm.call(Helper.ktime_get_ns)
            asm.map_value(R1, "control")
            asm.load(R2, R1, self.layout.CLOCK, 8)
            asm.alu("+=", R0, R2)
            asm.store(R10, _TIME, R0, 8)
            asm.load(R0, R10, _START, 8)
            asm.load(R2, R10, _BLOCK_BYTES, 8)
            asm.alu("+=", R2, R0)
            asm.mov32(R3, R2)
            with asm.if_(R3, ">=", CHUNK_BYTES):  # ours is the last of this chunk
                asm.alu(">>=", R2, 32)
                asm.alu("+=", R2, 1)
                asm.alu("<<=", R2, 32)
            asm.atomic_compare_exchange(R1, self.layout.HEAD, R2, 8)
            asm.load(R2, R10, _START, 8)
            asm.jump_if(R0, "==", R2, "reserved")
        asm.jump("full")
        asm.label("reserved")

    def find_block(self) -> None:
        """R8 = the block; note where its chunk ends if it is the last one in it."""
        asm = self.asm
        asm.load(R1, R10, _START, 8)
        asm.mov32(R8, R1)
        asm.alu(">>=", R1, 32)
        asm.alu("&=", R1, self.layout.chunks - 1)
        asm.store(R10, _KEY, R1, 4)
        asm.load(R2, R10, _BLOCK_BYTES, 8)
        asm.alu("+=", R2, R8)
        with asm.if_(R2, ">=", CHUNK_BYTES):
            asm.alu("<<=", R1, 3)
            asm.map_value(R3, "control", self.layout.ENDS)
            asm.alu("+=", R3, R1)
            asm.store(R3, 0, R2, 8)
        asm.map_fd(R1, "ring")
        asm.mov(R2, R10)
        asm.alu("+=", R2, _KEY)
        asm.call(Helper.map_lookup_elem)
        # Neither ever happens, but the verifier cannot know.
        asm.jump_if(R0, "==", 0, "full")
        asm.jump_if(R8, ">=", CHUNK_BYTES, "full")
        asm.alu("+=", R8, R0)

    def fill_head(self) -> None:
        asm = self.asm
        asm.store(R8, _TYPE, _PACKET_BLOCK, 4)
        asm.load(R1, R10, _BLOCK_BYTES, 8)
        asm.store(R8, _LENGTH, R1, 4)
        asm.store(R8, _INTERFACE, self.interface, 4)
        asm.load(R1, R10, _TIME, 8)
        asm.store(R8, _TIME_LOW, R1, 4)
        asm.alu(">>=", R1, 32)
        asm.store(R8, _TIME_HIGH, R1, 4)
        asm.store(R8, _CAPTURED, R7, 4)
        asm.load(R1, R10, _WIRE_BYTES, 8)
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
        asm.load(R1, R10, _START, 8)
        self.store_u64(_ID_AT + 4, R1)
        self.unreported(R1)
        with asm.if_(R1, "!=", 0):
            self.add("reported", R1)
            self.option(_END_AT, _DROPS_OPTION, 8)
            self.store_u64(_END_AT + 4, R1)
            asm.alu("+=", R8, _DROPS_BYTES)
        asm.store(R8, _DATA + _END_AT, 0, 4)
        asm.load(R1, R10, _BLOCK_BYTES, 8)
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

    def publish(self) -> None:
        """Count, then say that the block is finished: an exchange orders it behind all stores before."""
        asm = self.asm
        self.add("captured")
        asm.mov(R1, -1)
        asm.atomic_exchange(R9, self.layout.BUSY, R1, 8)

    def refuse(self) -> None:
        """No room: count the frame as dropped, and give its number back."""
        asm = self.asm
        asm.block("dropped")
        asm.label("full")
        self.add("dropped")
        asm.mov(R1, -1)
        asm.store(R9, self.layout.BUSY, R1, 8)
        if self.limit is not None:
            asm.map_value(R2, "control", self.layout.TAKEN)
            asm.atomic_add(R2, 0, R1, 8)
        asm.jump("out")

    def end(self) -> None:
        """The verdict, and what is out of the way."""
        asm = self.asm
        asm.label("out")
        asm.mov(R0, _VERDICTS[self.type])
        asm.exit()
        used = [label for label in (_LOST, _UNREADABLE) if asm.is_target(label)]
        for label in used:
            asm.label(label)
        if used:
            self.count("unjudged")
            asm.jump("out")


class _NoMarks:
    """One filter has no marks."""

    def row(self) -> None:
        raise AssertionError("a graph without marks")

    def mark(self, slots: tuple[int, ...], once: tuple[int, ...]) -> None:
        raise AssertionError("a graph without marks")
