"""The kernel side of `meshlens count`: decide, then add the frame to one counter.

The counters are one mmap-able array value, a part for each CPU (`probes.count.readout`): that is one address
computation, no lookup, no contention, and user space reads without a system call.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from meshlens.decision.access import BufferedAccess, DirectAccess, buffer_map
from meshlens.decision.codegen import GraphLabels, emit_graph
from meshlens.decision.graph import Mark
from meshlens.decision.merge import DecisionGraph
from meshlens.ebpf import (
    BPF_F_MMAPABLE,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R9,
    R10,
    Asm,
    ByteOrder,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    Reg,
    possible_cpus,
)
from meshlens.ebpf.contexts import PACKET_OUTGOING, Skb, Xdp
from meshlens.filters.compiler import CompiledList
from meshlens.probes.count.readout import COUNTERS, MISSED, PAIR_BYTES, cpu_stride
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_leave_copies, emit_skb_length, emit_wire_size

__all__ = ["COUNTERS", "MISSED", "PAIR_BYTES", "Hook", "count_program", "cpu_stride"]

Hook = Literal["tc", "xdp", "socket"]

_VERDICTS: Final[dict[Hook, int]] = {"tc": -1, "xdp": 2, "socket": 0}  # TC_ACT_UNSPEC, XDP_PASS, keep nothing
_TYPES: Final[dict[Hook, ProgramType]] = {
    "tc": ProgramType.SCHED_CLS,
    "xdp": ProgramType.XDP,
    "socket": ProgramType.SOCKET_FILTER,
}

#: The map of a program with marks that says which frame each slot counted last.
_STAMPS: Final = "stamps"
# What a program with marks keeps on the stack, between the slots of decision.access and those of expressions:
# this CPU's counters and stamps, those of the row, the frame's number and size.
_PART, _STAMPS_PART, _ROW, _ROW_STAMPS, _NUMBER, _PACKETS, _BYTES = -32, -40, -48, -56, -64, -72, -80
_STAMP_BYTES: Final = 8

_DIRECTIONS: Final[dict[Direction, int]] = {"in": 0, "out": 1}


def count_program(
    compiled: CompiledList,
    hook: Hook,
    direction: Direction | None = None,
    *,
    byteorder: ByteOrder | None = None,
    cpus: int | None = None,
) -> ProgramSpec:
    """The program that counts on `hook` what goes in `direction`, None for both.

    A tc or XDP program is told its direction. A socket sees both, and its program passes over the other one.
    `byteorder` and `cpus` are this machine's unless the program is for another one.
    """
    asm = Asm(byteorder) if byteorder else Asm()
    program = _CountProgram(asm, hook, cpus or possible_cpus(), len(compiled.matches))
    program.start(direction, compiled.graphs)
    for number, graph in enumerate(compiled.graphs):
        program.graph(number, graph, compiled.first_slots[number], direction)
    program.end()
    return ProgramSpec("meshlens_count", _TYPES[hook], asm, maps=program.maps())


class _CountProgram:
    """The pieces of a counting program, in the order in which they are emitted."""

    def __init__(self, asm: Asm, hook: Hook, cpus: int, slots: int) -> None:
        self.asm, self.hook, self.cpus, self.slots = asm, hook, cpus, slots
        self.marks = self.stamps = False
        self.only_row: int | None = None
        self.rare: list[Callable[[], None]] = []

    def maps(self) -> dict[str, MapSpec]:
        """The counters, and what the program needs beside them."""
        maps = [_one_value(COUNTERS, self.cpus * cpu_stride(self.slots), BPF_F_MMAPABLE)]
        if self.stamps:
            maps.append(_one_value(_STAMPS, self.cpus * self.stamps_stride()))
        if self.hook != "xdp":
            maps += buffer_map().values()
        return {spec.name: spec for spec in maps}

    def stamps_stride(self) -> int:
        """For each CPU the number of the current frame, then for each slot that of the last frame in it."""
        return _STAMP_BYTES * (1 + len(MISSED) + self.slots)

    def start(self, direction: Direction | None, graphs: Sequence[DecisionGraph]) -> None:
        """Take the context; pass over a socket's frames of the other direction; prepare for marks."""
        asm = self.asm
        asm.block("start")
        asm.mov(R6, R1)
        if self.hook == "socket" and direction:
            asm.field(R0, R6, Skb.pkt_type)
            asm.jump_if(R0, "!=" if direction == "out" else "==", PACKET_OUTGOING, "out")
        if self.hook == "tc" and direction != "out":
            emit_leave_copies(asm, "out")
        self.marks = any(graph.marks for graph in graphs)
        self.stamps = any(node.once for graph in graphs for node in graph.nodes() if isinstance(node, Mark))
        if self.marks:
            self.prepare_marks()

    def graph(self, number: int, graph: DecisionGraph, first_slot: int, direction: Direction | None) -> None:
        """Decide, directly or from a copy, and count."""
        asm, elsewhere = self.asm, f"elsewhere {number}"
        way = _DIRECTIONS[direction] if direction else None
        labels = GraphLabels(len(MISSED) + first_slot, f"count {number}", f"done {number}")
        self.only_row = None if graph.rows else labels.first_slot
        if self.hook != "socket":
            skb = self.hook == "tc"
            asm.block(f"decide {number}")
            direct = DirectAccess(
                asm,
                Skb if skb else Xdp,
                way or 0,
                elsewhere=elsewhere if skb else None,
                restart=not graph.marks,
                lost="inconsistent",
            )
            emit_graph(asm, graph, direct, labels, self)
        if self.hook != "xdp":
            asm.block(f"decide {number}, from a copy")
            asm.label(elsewhere)
            emit_graph(asm, graph, BufferedAccess(asm, way, unreadable="unreadable"), labels, self)
        if asm.is_target(labels.count):
            asm.block(f"count {number}")
            asm.label(labels.count)
            self.count()
        asm.label(labels.done)

    def end(self) -> None:
        """The verdict, then what is out of the way."""
        asm = self.asm
        asm.label("out")
        asm.mov(R0, _VERDICTS[self.hook])
        asm.exit()
        self.misses()
        for place in self.rare:
            place()

    def count(self) -> None:
        """Add the frame to slot R9 + R1.

        The slot is a different constant on every path here. Hiding that from the verifier (two xors with
        any number, one bound) lets it look at what follows once instead of once for every slot.
        """
        asm = self.asm
        asm.alu("+=", R9, R1)
        if self.hook == "xdp":
            asm.field(R0, R6, Xdp.rx_queue_index)
        else:
            asm.field(R0, R6, Skb.len)
        asm.alu("^=", R9, R0)
        asm.alu("^=", R9, R0)
        asm.jump_if(R9, ">=", len(MISSED) + self.slots, "inconsistent")
        if self.marks:
            self.add_prepared()
        else:
            self.add()

    def add(self) -> None:
        """Add the frame to slot R9 of this CPU."""
        asm, known_cpu = self.asm, self.asm.new_label()
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, "<", self.cpus, known_cpu)
        asm.mov(R0, 0)
        asm.mov(R9, MISSED.index("unknown_cpu"))
        asm.label(known_cpu)
        asm.alu("*=", R0, cpu_stride(self.slots))
        asm.alu("*=", R9, PAIR_BYTES)
        asm.map_value(R2, COUNTERS)
        asm.alu("+=", R2, R9)
        asm.alu("+=", R2, R0)
        self.size()
        self.bump(R2, 0, R3)
        self.bump(R2, 8, R4)

    def add_prepared(self) -> None:
        """As `add`, by what was worked out for marks."""
        asm = self.asm
        asm.load(R2, R10, _PART, 8)
        asm.alu("*=", R9, PAIR_BYTES)
        asm.alu("+=", R2, R9)
        self.bump_prepared()

    def size(self) -> None:
        """R3 = packets, R4 = bytes; leaves R2 and R6 alone."""
        asm = self.asm
        if self.hook == "tc":
            self.rare.append(emit_wire_size(asm))
            return
        asm.mov(R3, 1)
        if self.hook == "socket":
            emit_skb_length(asm, R4, R0)
        else:
            asm.field(R4, R6, Xdp.data_end)
            asm.field(R0, R6, Xdp.data)
            asm.alu("-=", R4, R0)

    def bump(self, base: Reg, offset: int, amount: Reg) -> None:
        """*(base + offset) += amount. A CPU's counters are its own: no atomic operation is needed."""
        self.asm.load(R0, base, offset, 8)
        self.asm.alu("+=", R0, amount)
        self.asm.store(base, offset, R0, 8)

    def prepare_marks(self) -> None:
        """Put onto the stack what every mark needs, and give the frame a number."""
        asm = self.asm
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, ">=", self.cpus, "unknown_cpu")
        asm.mov(R1, R0)
        asm.alu("*=", R1, cpu_stride(self.slots))
        asm.map_value(R2, COUNTERS)
        asm.alu("+=", R2, R1)
        asm.store(R10, _PART, R2, 8)
        if self.stamps:
            asm.alu("*=", R0, self.stamps_stride())
            asm.map_value(R2, _STAMPS)
            asm.alu("+=", R2, R0)
            asm.load(R1, R2, 0, 8)
            asm.alu("+=", R1, 1)
            asm.store(R2, 0, R1, 8)
            asm.alu("+=", R2, _STAMP_BYTES)
            asm.store(R10, _STAMPS_PART, R2, 8)
            asm.store(R10, _NUMBER, R1, 8)
        self.size()
        asm.store(R10, _PACKETS, R3, 8)
        asm.store(R10, _BYTES, R4, 8)

    def row(self) -> None:
        """Where the slots from R9 on begin: pairs and stamps. A graph of one row knows it beforehand."""
        asm = self.asm
        if self.only_row is not None:
            return
        for whole, current, width in ((_PART, _ROW, PAIR_BYTES), (_STAMPS_PART, _ROW_STAMPS, _STAMP_BYTES)):
            if whole == _PART or self.stamps:
                asm.load(R2, R10, whole, 8)
                asm.mov(R3, R9)
                asm.alu("*=", R3, width)
                asm.alu("+=", R2, R3)
                asm.store(R10, current, R2, 8)

    def mark(self, slots: tuple[int, ...], once: tuple[int, ...]) -> None:
        asm = self.asm
        for slot in slots:
            self.bump_slot(slot)
        for slot in once:
            been = asm.new_label()
            self.in_row(_STAMPS_PART, _ROW_STAMPS, slot, _STAMP_BYTES)
            asm.load(R0, R2, 0, 8)
            asm.load(R1, R10, _NUMBER, 8)
            asm.jump_if(R0, "==", R1, been)
            asm.store(R2, 0, R1, 8)
            self.bump_slot(slot)
            asm.label(been)

    def bump_slot(self, slot: int) -> None:
        """Add the frame to the slot, which counts from the row's first."""
        self.in_row(_PART, _ROW, slot, PAIR_BYTES)
        self.bump_prepared()

    def in_row(self, whole: int, row: int, slot: int, width: int) -> None:
        """R2 = where the slot is, which counts from the row's first."""
        if self.only_row is None:
            self.asm.load(R2, R10, row, 8)
        else:
            self.asm.load(R2, R10, whole, 8)
            slot += self.only_row
        self.asm.alu("+=", R2, slot * width)

    def bump_prepared(self) -> None:
        """Add the frame to the pair at R2."""
        for amount, offset in ((_PACKETS, 0), (_BYTES, 8)):
            self.asm.load(R1, R10, amount, 8)
            self.bump(R2, offset, R1)

    def misses(self) -> None:
        """A frame that cannot be judged is counted by the reason, and no more is done with it."""
        asm, missed = self.asm, self.asm.new_label()
        used = [reason for reason in MISSED if asm.is_target(reason)]
        if not used:
            return
        asm.block("missed")
        for reason in used:
            asm.label(reason)
            asm.mov(R9, MISSED.index(reason))
            if reason is not used[-1]:
                asm.jump(missed)
        asm.label(missed)
        self.add()
        asm.jump("out")


def _one_value(name: str, size: int, flags: int = 0) -> MapSpec:
    return MapSpec(name, MapType.ARRAY, key_size=4, value_size=size, max_entries=1, flags=flags)
