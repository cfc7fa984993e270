"""The kernel side of `meshlens flows`: find the frame's flow and add the frame to it.

An entry belongs to one CPU (its number is part of the key), where tc programs run one after another: what is
written needs no lock and no atomic operation. No packet is an event: an entry leaves the kernel when user
space fetches it, or in one piece through a ring buffer when a packet comes that is too late for it.
`flow_packet` is the definition of which flow a frame belongs to.
"""

from collections.abc import Callable
from typing import Final, Literal

from meshlens.decision.access import BufferedAccess, DirectAccess, buffer_map
from meshlens.decision.codegen import GraphLabels, emit_graph
from meshlens.decision.merge import DecisionGraph
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
    Helper,
    ProgramSpec,
    ProgramType,
    Reg,
    possible_cpus,
)
from meshlens.ebpf.contexts import PACKET_OUTGOING, Skb, Xdp
from meshlens.filters.compiler import CompiledList
from meshlens.probes.flow_layout import (
    EXPORT,
    FIRST_SEEN,
    FLOWS,
    FOREVER_NS,
    HEAD_BYTES,
    HEAD_START,
    KEY_BYTES,
    value_bytes,
)
from meshlens.probes.flow_maps import BLANK, OUTCOME_BYTES, OUTCOMES, TALLY, FlowOptions, flow_maps
from meshlens.probes.flow_parse import KEY, emit_parse
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_leave_copies, emit_skb_length, emit_wire_size

__all__ = ["Clock", "Hook", "flow_program"]

Hook = Literal["tc", "xdp", "socket"]
Clock = Literal["tick", "exact", "skb"]

_TYPES: Final[dict[Hook, ProgramType]] = {
    "tc": ProgramType.SCHED_CLS,
    "xdp": ProgramType.XDP,
    "socket": ProgramType.SOCKET_FILTER,
}
_VERDICTS: Final[dict[Hook, int]] = {"tc": -1, "xdp": 2, "socket": 0}  # TC_ACT_UNSPEC, XDP_PASS, keep nothing
_DIRECTIONS: Final[dict[Direction | None, int]] = {"in": 0, "out": 1, None: 2}

# The stack behind the key (flow_parse); filters leave these alone.
_PACKETS, _BYTES, _SEGMENT, _CPU = -48, -56, -64, -72

# Offsets in a value; see flow_layout.
_LAST, _PERIOD_END = FIRST_SEEN + 8, FIRST_SEEN + 16
_SUM_PACKETS, _SUM_BYTES = FIRST_SEEN + 24, FIRST_SEEN + 40
_FLAGS, _WAY, _DIRECTION, _KEPT = FIRST_SEEN + 56, FIRST_SEEN + 58, FIRST_SEEN + 59, FIRST_SEEN + 60


def flow_program(
    options: FlowOptions,
    direction: Direction | None,
    *,
    hook: Hook = "tc",
    compiled: CompiledList | None = None,
    clock: Clock = "tick",
    clock_offset_ns: int = 0,
) -> ProgramSpec:
    """The program for one hook; `compiled`: the list of the one filter that a frame has to match.

    A socket sees both directions; its program passes over the other one. It counts skbs as libpcap is handed
    them, where the others know what a skb is on the wire.

    The monotonic clock + `clock_offset_ns` is the time. `clock` "tick": it is read exactly for the packets of
    the head; for those after it, the time of the kernel's last tick will do, which takes 3 ns where the exact
    one takes up to 30 (bpf_ktime_get_coarse_ns(), Linux 5.11). "exact": it always is. "skb": the skb's tstamp
    is the time, and all is kept as one CPU's; so frames of a file can be given to it (BPF_PROG_TEST_RUN).
    """
    program = _FlowProgram(Asm(), options, hook, _DIRECTIONS[direction], clock, clock_offset_ns)
    maps = flow_maps(options)
    if hook == "socket" or (compiled and hook != "xdp"):
        maps |= buffer_map()
    program.emit(compiled)
    return ProgramSpec("meshlens_flows", _TYPES[hook], program.asm, maps=maps)


class _FlowProgram:
    """The pieces of the program, in the order in which they are emitted. R6 is the context all the time."""

    def __init__(
        self, asm: Asm, options: FlowOptions, hook: Hook, direction: int, clock: Clock, offset_ns: int
    ) -> None:
        self.asm, self.options, self.hook, self.direction = asm, options, hook, direction
        self.clock, self.offset_ns = clock, offset_ns
        self.rare: list[Callable[[], None]] = []

    def emit(self, compiled: CompiledList | None) -> None:
        asm = self.asm
        asm.block("start")
        asm.mov(R6, R1)
        if self.hook == "socket":
            asm.field(R0, R6, Skb.pkt_type)
            asm.jump_if(R0, "!=" if self.direction == 1 else "==", PACKET_OUTGOING, "out")
        elif self.hook == "tc" and self.direction == 0:
            emit_leave_copies(asm, "out")
        self.cpu()
        self.measure()
        for graph in compiled.graphs if compiled else ():
            self.filter(graph)
        emit_parse(asm, self.hook)
        asm.block("find the flow")
        self.find()
        asm.block("add the frame")
        asm.label("add")
        self.add()
        asm.label("out")
        asm.ret(_VERDICTS[self.hook])
        for place in self.rare:
            place()
        self.too_late()
        self.begin()
        self.reasons()

    def cpu(self) -> None:
        """The CPU's number, onto the stack."""
        asm, known = self.asm, self.asm.new_label()
        asm.mov(R0, 0)
        if self.clock != "skb":
            asm.call(Helper.get_smp_processor_id)
            asm.jump_if(R0, "<", possible_cpus(), known)
            asm.mov(R0, 0)  # never: only the verifier does not know
        asm.label(known)
        asm.store(R10, _CPU, R0, 8)

    def measure(self) -> None:
        """What the frame is on the wire, to the stack: packets, bytes, those of each packet but the last."""
        asm, measured = self.asm, self.asm.new_label()
        if self.hook == "tc":
            self.rare.append(emit_wire_size(asm))
        else:
            asm.mov(R3, 1)
            self.length(R4)
        asm.store(R10, _PACKETS, R3, 8)
        asm.store(R10, _BYTES, R4, 8)
        asm.store(R10, _SEGMENT, R4, 8)
        if self.hook != "tc":
            return
        asm.jump_if(R3, "<=", 1, measured)
        # All bytes without those of the skb are what each packet but one adds of headers.
        emit_skb_length(asm, R1, R0)
        asm.alu("-=", R4, R1)
        asm.alu("-=", R3, 1)
        asm.alu("/=", R4, R3)
        asm.field(R1, R6, Skb.gso_size)
        asm.alu("+=", R4, R1)
        asm.store(R10, _SEGMENT, R4, 8)
        asm.label(measured)

    def length(self, dst: Reg) -> None:
        """`dst` = the bytes of the frame; uses R0."""
        asm = self.asm
        if self.hook == "xdp":
            asm.field(dst, R6, Xdp.data_end)
            asm.field(R0, R6, Xdp.data)
            asm.alu("-=", dst, R0)
        else:
            emit_skb_length(asm, dst, R0)

    def filter(self, graph: DecisionGraph) -> None:
        """Go `out` with frames that the filter does not match."""
        asm = self.asm
        labels = GraphLabels(0, "matched", "out")
        way = min(self.direction, 1)
        if self.hook != "socket":
            skb = self.hook == "tc"
            elsewhere = "elsewhere" if skb else None
            direct = DirectAccess(asm, Skb if skb else Xdp, way, elsewhere=elsewhere, lost="unreadable")
            asm.block("filter")
            emit_graph(asm, graph, direct, labels, _NoMarks())
        if self.hook != "xdp":
            asm.block("filter, from a copy")
            asm.label("elsewhere")
            emit_graph(asm, graph, BufferedAccess(asm, way, unreadable="unreadable"), labels, _NoMarks())
        asm.label("matched")

    def time(self, helper: Helper = Helper.ktime_get_ns) -> None:
        """R1 = the time."""
        asm = self.asm
        if self.clock == "skb":
            asm.field(R1, R6, Skb.tstamp)
            return
        asm.call(helper)
        asm.ld_imm64(R1, self.offset_ns)
        asm.alu("+=", R1, R0)

    def time_for_entry(self) -> None:
        """R1 = the time, as exact as the entry R7 needs it."""
        asm, head = self.asm, self.options.head
        if self.clock != "tick":
            self.time()
        elif not head:
            self.time(Helper.ktime_get_coarse_ns)
        else:
            asm.load(R1, R7, _KEPT, 4)
            with asm.if_(R1, ">=", head):
                self.time(Helper.ktime_get_coarse_ns)
            with asm.else_():
                self.time()

    def find(self) -> None:
        """R7 = the flow's entry, R1 = the time."""
        asm = self.asm
        asm.load(R1, R10, _CPU, 8)
        asm.store(R10, KEY + KEY_BYTES - 2, R1, 2)
        self.lookup()
        asm.jump_if(R0, "==", 0, "new")
        asm.mov(R7, R0)
        self.time_for_entry()
        asm.load(R2, R7, _PERIOD_END, 8)
        asm.jump_if(R1, ">=", R2, "too late")
        asm.load(R2, R7, _LAST, 8)
        asm.mov(R3, R1)
        asm.alu("-=", R3, R2)
        asm.ld_imm64(R2, self.options.idle_ns)
        asm.jump_if(R3, "s>", R2, "too late")

    def lookup(self) -> None:
        asm = self.asm
        asm.map_fd(R1, FLOWS)
        asm.mov(R2, R10)
        asm.alu("+=", R2, KEY)
        asm.call(Helper.map_lookup_elem)

    def add(self) -> None:
        """Add the frame of time R1, way R8 and TCP flags R9 to the entry R7."""
        asm = self.asm
        done = asm.new_label()
        asm.load(R2, R7, _LAST, 8)
        with asm.if_(R1, ">", R2):  # the last tick may be before the last packet
            asm.store(R7, _LAST, R1, 8)
        if self.clock == "skb":  # the times of a file may go back
            asm.load(R2, R7, FIRST_SEEN, 8)
            with asm.if_(R1, "<", R2):
                asm.store(R7, FIRST_SEEN, R1, 8)
        asm.mov(R2, R7)
        asm.alu("+=", R2, R8)
        asm.load(R0, R2, _FLAGS, 1)
        asm.alu("|=", R0, R9)
        asm.store(R2, _FLAGS, R0, 1)
        asm.mov(R2, R8)
        asm.alu("<<=", R2, 3)
        asm.alu("+=", R2, R7)
        asm.load(R3, R10, _PACKETS, 8)
        asm.load(R4, R10, _BYTES, 8)
        for total, amount in ((_SUM_PACKETS, R3), (_SUM_BYTES, R4)):
            asm.load(R0, R2, total, 8)
            asm.alu("+=", R0, amount)
            asm.store(R2, total, R0, 8)
        if self.options.head:
            asm.load(R5, R7, _KEPT, 4)
            asm.jump_if(R5, ">=", self.options.head, done)
            self.keep()
        asm.label(done)
        self.count("flow")

    def keep(self) -> None:
        """Put the frame to the head, at place R5: R1 when, R3 packets, R4 bytes, R8 the way."""
        asm = self.asm
        asm.mov(R2, R5)
        asm.alu("*=", R2, HEAD_BYTES)
        asm.alu("+=", R2, R7)
        asm.store(R2, HEAD_START, R1, 8)
        asm.store(R2, HEAD_START + 8, R4, 4)
        asm.load(R0, R10, _SEGMENT, 8)
        asm.store(R2, HEAD_START + 12, R0, 2)
        asm.mov(R0, R8)
        asm.alu("<<=", R0, 15)
        asm.alu("|=", R0, R3)
        asm.store(R2, HEAD_START + 14, R0, 2)
        asm.alu("+=", R5, 1)
        asm.store(R7, _KEPT, R5, 4)

    def count(self, outcome: str) -> None:
        """Tally R3 packets."""
        asm = self.asm
        asm.load(R0, R10, _CPU, 8)
        asm.alu("*=", R0, OUTCOME_BYTES)
        asm.map_value(R1, TALLY, 8 * OUTCOMES.index(outcome))
        asm.alu("+=", R1, R0)
        asm.load(R0, R1, 0, 8)
        asm.alu("+=", R0, R3)
        asm.store(R1, 0, R0, 8)

    def too_late(self) -> None:
        """The entry R7 ended before this frame: send it out, and begin it anew."""
        asm, sent = self.asm, self.asm.new_label()
        asm.block("the flow ended")
        asm.label("too late")
        asm.call(Helper.ringbuf_output, EXPORT, R7, value_bytes(self.options.head), 0)
        asm.jump_if(R0, "==", 0, sent)
        asm.load(R3, R7, _SUM_PACKETS, 8)
        asm.load(R0, R7, _SUM_PACKETS + 8, 8)
        asm.alu("+=", R3, R0)
        self.count("ring_full")
        asm.label(sent)
        for offset in range(_SUM_PACKETS, HEAD_START, 8):
            asm.store(R7, offset, 0, 8)
        asm.jump("fill")

    def begin(self) -> None:
        """There is no entry: make one, and fill in what its first packet tells."""
        asm = self.asm
        asm.block("a new flow")
        asm.label("new")
        asm.map_fd(R1, FLOWS)
        asm.mov(R2, R10)
        asm.alu("+=", R2, KEY)
        asm.map_value(R3, BLANK)
        asm.mov(R4, 0)
        asm.call(Helper.map_update_elem)
        asm.jump_if(R0, "!=", 0, "map_full")
        self.lookup()
        asm.jump_if(R0, "==", 0, "map_full")
        asm.mov(R7, R0)
        for offset in range(0, KEY_BYTES, 8):
            asm.load(R1, R10, KEY + offset, 8)
            asm.store(R7, offset, R1, 8)
        asm.label("fill")
        asm.store(R7, _WAY, R8, 1)
        asm.store(R7, _DIRECTION, self.direction, 1)
        self.time()
        self.period_end()
        asm.store(R7, _PERIOD_END, R2, 8)
        asm.store(R7, _LAST, R1, 8)
        asm.store(R7, FIRST_SEEN, R1, 8)
        asm.jump("add")

    def period_end(self) -> None:
        """R2 = when the period of the time R1 ends."""
        asm, period = self.asm, self.options.active_ns
        if not period:
            asm.ld_imm64(R2, FOREVER_NS)
            return
        asm.ld_imm64(R3, period)
        asm.mov(R2, R1)
        asm.alu("/=", R2, R3)
        asm.alu("+=", R2, 1)
        asm.alu("*=", R2, R3)

    def reasons(self) -> None:
        """Frames that are in no flow, by the reason."""
        asm = self.asm
        asm.block("in no flow")
        for reason in ("not_ip", "unreadable", "map_full"):
            asm.label(reason)
            asm.load(R3, R10, _PACKETS, 8)
            self.count(reason)
            asm.jump("out")


class _NoMarks:
    """One filter has one class of frames: nothing is marked on the way to the verdict."""

    def row(self) -> None:
        raise AssertionError("one filter has no rows")

    def mark(self, slots: tuple[int, ...], once: tuple[int, ...]) -> None:
        raise AssertionError("one filter needs no marks")
