"""The kernel side of `meshlens flows`: find the frame's flow and add the frame to it.

No packet is an event: packets are added to entries (`flows.entry`), and an entry leaves the kernel when user
space fetches it, or in one piece through a ring buffer when a packet comes that is too late for it.
`flows.packet` is the definition of which flow a frame belongs to.
"""

from collections.abc import Callable
from typing import Final, Literal

from meshlens.decision.access import buffer_map
from meshlens.ebpf import (
    R0,
    R1,
    R3,
    R4,
    R6,
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
from meshlens.probes.chain import emit_verdict, next_map
from meshlens.probes.flows.entry import BYTES, CPU, PACKETS, SEGMENT, Clock, EntryWriter
from meshlens.probes.flows.maps import FlowOptions, flow_maps
from meshlens.probes.flows.parse import emit_parse
from meshlens.probes.one_filter import emit_filter
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_leave_copies, emit_skb_length, emit_wire_packets

__all__ = ["Clock", "Hook", "flow_program"]

Hook = Literal["tc", "xdp", "socket"]

_TYPES: Final[dict[Hook, ProgramType]] = {
    "tc": ProgramType.SCHED_CLS,
    "xdp": ProgramType.XDP,
    "socket": ProgramType.SOCKET_FILTER,
}
_VERDICTS: Final[dict[Hook, int]] = {"tc": -1, "xdp": 2, "socket": 0}  # TC_ACT_UNSPEC, XDP_PASS, keep nothing
_DIRECTIONS: Final[dict[Direction | None, int]] = {"in": 0, "out": 1, None: 2}


def flow_program(
    options: FlowOptions,
    direction: Direction | None,
    *,
    hook: Hook = "tc",
    compiled: CompiledList | None = None,
    clock: Clock = "tick",
    clock_offset_ns: int = 0,
    chained: bool = False,
) -> ProgramSpec:
    """The program for one hook; `compiled`: the list of the one filter that a frame has to match.

    A socket sees both directions; its program passes over the other one. It counts skbs as libpcap is handed
    them, where the others know what a skb is on the wire.

    The monotonic clock + `clock_offset_ns` is the time. `clock` "tick": it is read exactly for the packets of
    the head; for those after it, the time of the kernel's last tick will do, which takes 3 ns where the exact
    one takes up to 30 (bpf_ktime_get_coarse_ns(), Linux 5.11). "exact": it always is. "skb": the skb's tstamp
    is the time, and all is kept as one CPU's; so frames of a file can be given to it (BPF_PROG_TEST_RUN).

    `chained`: another program may follow; see `chain`.
    """
    program = _FlowProgram(Asm(), options, hook, _DIRECTIONS[direction], clock, clock_offset_ns)
    maps = flow_maps(options)
    if hook == "socket" or (compiled and hook != "xdp"):
        maps |= buffer_map()
    if chained:
        maps |= next_map()
    program.emit(compiled, direction, chained=chained)
    return ProgramSpec("meshlens_flows", _TYPES[hook], program.asm, maps=maps)


class _FlowProgram(EntryWriter):
    """The pieces of the program, in the order in which they are emitted. R6 is the context all the time."""

    def __init__(
        self, asm: Asm, options: FlowOptions, hook: Hook, direction: int, clock: Clock, offset_ns: int
    ) -> None:
        super().__init__(asm, options, direction, clock, offset_ns)
        self.hook = hook
        self.rare: list[Callable[[], None]] = []

    def emit(self, compiled: CompiledList | None, direction: Direction | None, *, chained: bool) -> None:
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
        if compiled:
            emit_filter(asm, compiled, direction, out="out", unreadable="unreadable", hook=self.hook)
        emit_parse(asm, self.hook)
        asm.block("find the flow")
        self.find()
        asm.block("add the frame")
        asm.label("add")
        self.add()
        asm.label("out")
        emit_verdict(asm, _VERDICTS[self.hook], chained=chained)
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
        asm.store(R10, CPU, R0, 8)

    def measure(self) -> None:
        """What the frame is on the wire, to the stack: packets, bytes, those of each packet but the last."""
        asm = self.asm
        if self.hook == "tc":
            self.rare.append(emit_wire_packets(asm, PACKETS, BYTES, SEGMENT))
            return
        asm.store(R10, PACKETS, 1, 8)
        self.length(R4)
        asm.store(R10, BYTES, R4, 8)
        asm.store(R10, SEGMENT, R4, 8)

    def length(self, dst: Reg) -> None:
        """`dst` = the bytes of the frame; uses R0."""
        asm = self.asm
        if self.hook == "xdp":
            asm.field(dst, R6, Xdp.data_end)
            asm.field(R0, R6, Xdp.data)
            asm.alu("-=", dst, R0)
        else:
            emit_skb_length(asm, dst, R0)

    def reasons(self) -> None:
        """Frames that are in no flow, by the reason."""
        asm = self.asm
        asm.block("in no flow")
        for reason in ("not_ip", "unreadable", "map_full"):
            asm.label(reason)
            asm.load(R3, R10, PACKETS, 8)
            self.count(reason)
            asm.jump("out")
