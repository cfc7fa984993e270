"""The kernel side of `meshlens capture`: filter, then lay out a finished pcapng block in the ring.

See `probes.capture.ring` for the ring, and `probes.capture.block` for the block.
"""

from typing import Final

from meshlens.decision.access import BufferedAccess, buffer_map
from meshlens.decision.codegen import GraphLabels, emit_graph
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R7,
    R8,
    R9,
    R10,
    Helper,
    MapSpec,
    ProgramSpec,
)
from meshlens.errors import UsageError
from meshlens.filters.compiler import CompiledList
from meshlens.probes.capture.block import (
    BLOCK_BYTES,
    DROPS_BYTES,
    FIXED_BYTES,
    KEY,
    START,
    TIME,
    VERDICT_BYTES,
    WIRE_BYTES,
    BlockWriter,
)
from meshlens.probes.capture.frame import Frame
from meshlens.probes.capture.ring import CHUNK_BYTES, RingLayout
from meshlens.probes.one_filter import NoMarks

__all__ = ["capture_program"]

#: How often a CPU tries to move `head` while others do so too, before the frame counts as dropped.
_TRIES: Final = 16

_ELSEWHERE, _LOST, _UNREADABLE = "elsewhere", "inconsistent", "unreadable"


def capture_program(
    layout: RingLayout,
    compiled: CompiledList | None,
    frame: Frame,
    interface: int,
    limit: int | None = None,
) -> ProgramSpec:
    """The program that captures what `compiled`, a list of one filter, matches of frames; None: everything.

    `interface` is the number of the interface in the file; `limit` how many frames all programs together
    capture at most. Raises UsageError for a filter that is too entangled to be decided in one pass.
    """
    program = _CaptureProgram(layout, frame, interface, limit)
    program.start()
    if compiled is None or program.decide(compiled):
        program.capture()
    program.end()
    return frame.program(layout.maps() | program.maps)


class _CaptureProgram(BlockWriter):
    """The pieces of a capturing program, in the order in which they are emitted."""

    def __init__(self, layout: RingLayout, frame: Frame, interface: int, limit: int | None) -> None:
        super().__init__(layout, frame, interface)
        self.limit = limit
        self.maps: dict[str, MapSpec] = {}

    def start(self) -> None:
        self.asm.block("start")
        self.frame.start("out")

    def decide(self, compiled: CompiledList) -> bool:
        """Go to `capture` with the frames that match, if any can; count the others."""
        if any(graph.marks for graph in compiled.graphs) or len(compiled.graphs) > 1:
            raise UsageError("the filter is too entangled to be decided in one pass: simplify it")
        (graph,) = compiled.graphs
        asm, labels = self.asm, GraphLabels(0, "matched", "filtered")
        first, *others = self.frame.accesses(_ELSEWHERE, _LOST, _UNREADABLE)
        asm.block("decide")
        emit_graph(asm, graph, first, labels, NoMarks())
        used = [first]
        for other in others:
            if asm.is_target(_ELSEWHERE):
                asm.block("decide, from a copy")
                asm.label(_ELSEWHERE)
                emit_graph(asm, graph, other, labels, NoMarks())
                used.append(other)
        if any(isinstance(access, BufferedAccess) for access in used):
            self.maps = buffer_map()
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
        self.write()
        self.publish()
        asm.jump("out")
        self.refuse()

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
        self.frame.measure()
        asm.store(R10, WIRE_BYTES, R0, 8)
        asm.jump_if(R7, "<=", self.layout.snapshot_bytes, whole)
        asm.mov(R7, self.layout.snapshot_bytes)
        asm.label(whole)
        asm.jump_if(R7, ">", 0, some)  # "!=" teaches a verifier before Linux 6.8 nothing
        asm.mov(R7, 1)  # never: a frame has a header
        asm.label(some)
        asm.mov(R1, R7)
        asm.alu("+=", R1, 3)
        asm.alu("&=", R1, -4)
        asm.alu("+=", R1, FIXED_BYTES + (VERDICT_BYTES if self.frame.has_verdict else 0))
        self.unreported(R2)
        with asm.if_(R2, "!=", 0):
            asm.alu("+=", R1, DROPS_BYTES)
        asm.store(R10, BLOCK_BYTES, R1, 8)

    def reserve(self) -> None:
        """Move `head` behind a block of our own; on the stack where it begins and the time."""
        asm = self.asm
        for number in range(_TRIES):
            asm.map_value(R1, "control")
            asm.load(R2, R1, self.layout.HEAD, 8)
            if number == 0:
                asm.store(R9, self.layout.BUSY, R2, 8)
            asm.store(R10, START, R2, 8)
            asm.alu(">>=", R2, 32)
            asm.load(R3, R1, self.layout.TAIL, 8)
            asm.alu("-=", R2, R3)
            asm.jump_if(R2, ">=", self.layout.chunks, "full")
            asm.call(Helper.ktime_get_ns)
            asm.map_value(R1, "control")
            asm.load(R2, R1, self.layout.CLOCK, 8)
            asm.alu("+=", R0, R2)
            asm.store(R10, TIME, R0, 8)
            asm.load(R0, R10, START, 8)
            asm.load(R2, R10, BLOCK_BYTES, 8)
            asm.alu("+=", R2, R0)
            asm.mov32(R3, R2)
            with asm.if_(R3, ">=", CHUNK_BYTES):  # ours is the last of this chunk
                asm.alu(">>=", R2, 32)
                asm.alu("+=", R2, 1)
                asm.alu("<<=", R2, 32)
            asm.atomic_compare_exchange(R1, self.layout.HEAD, R2, 8)
            asm.load(R2, R10, START, 8)
            asm.jump_if(R0, "==", R2, "reserved")
        asm.jump("full")
        asm.label("reserved")

    def find_block(self) -> None:
        """R8 = the block; note where its chunk ends if it is the last one in it."""
        asm = self.asm
        asm.load(R1, R10, START, 8)
        asm.mov32(R8, R1)
        asm.alu(">>=", R1, 32)
        asm.alu("&=", R1, self.layout.chunks - 1)
        asm.store(R10, KEY, R1, 4)
        asm.load(R2, R10, BLOCK_BYTES, 8)
        asm.alu("+=", R2, R8)
        with asm.if_(R2, ">=", CHUNK_BYTES):
            asm.alu("<<=", R1, 3)
            asm.map_value(R3, "control", self.layout.ENDS)
            asm.alu("+=", R3, R1)
            asm.store(R3, 0, R2, 8)
        asm.map_fd(R1, "ring")
        asm.mov(R2, R10)
        asm.alu("+=", R2, KEY)
        asm.call(Helper.map_lookup_elem)
        # Neither ever happens, but the verifier cannot know.
        asm.jump_if(R0, "==", 0, "full")
        asm.jump_if(R8, ">=", CHUNK_BYTES, "full")
        asm.alu("+=", R8, R0)

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
        asm.mov(R0, self.frame.result)
        asm.exit()
        used = [label for label in (_LOST, _UNREADABLE) if asm.is_target(label)]
        for label in used:
            asm.label(label)
        if used:
            self.count("unjudged")
            asm.jump("out")
