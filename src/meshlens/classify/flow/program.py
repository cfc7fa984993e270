"""The kernel side of the task: find the packet's flow, and add it to its row while it is one of the first.

Which flow it is, is found by the code of `meshlens flows`. A later packet costs the finding, and gets the
mark and priority of its flow's class. `sample` is the definition of a row.
"""

from typing import Final, Literal

from meshlens.classify.features import MAX_VALUE
from meshlens.classify.flow import TASK
from meshlens.classify.flow.facts import Stack, emit_facts
from meshlens.classify.flow.features import FEATURES, OTHER_PORTS, PACKETS, PLACE
from meshlens.classify.flow.fill import emit_fill
from meshlens.classify.flow.sample import name_of
from meshlens.classify.kernel import entry
from meshlens.classify.kernel.entry import OUTCOMES, SAMPLES, VERDICT, Head, emit_cpu_part, row_offset
from meshlens.classify.kernel.sampler import Sampler
from meshlens.ebpf import (
    NOEXIST,
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    Reg,
    possible_cpus,
)
from meshlens.ebpf.contexts import Skb
from meshlens.probes.flows.layout import KEY_BYTES, unpack_key
from meshlens.probes.flows.parse import KEY, emit_parse
from meshlens.probes.snapshot import Direction
from meshlens.probes.tally import emit_tally
from meshlens.probes.wire import emit_leave_copies, emit_wire_packets

__all__ = ["SAMPLER", "entry_name", "flow_program"]

#: "exact": the monotonic clock; "skb": the skb's tstamp, so that frames of a file can be given to it.
Clock = Literal["exact", "skb"]

#: The name of the map in which each CPU makes up a new entry: it has to be whole when others see it.
FRESH: Final = "fresh"
_ENTRY_BYTES: Final = entry.ROW + 4 * len(FEATURES)
_FRESH_STRIDE: Final = -(-_ENTRY_BYTES // 64) * 64
#: In the head: which way the first packet went.
_FIRST_WAY: Final = entry.OWN
_A_PORT, _B_PORT, _PROTOCOL, _CPU = KEY + 32, KEY + 34, KEY + 36, KEY + 38
_ETHERNET: Final = 1


def flow_program(
    direction: Direction, *, max_entries: int, clock_offset_ns: int = 0, clock: Clock = "exact"
) -> ProgramSpec:
    """The program for one direction, at tc. The monotonic clock + `clock_offset_ns` is the time."""
    asm = Asm()
    _FlowProgram(asm, clock, clock_offset_ns).emit(direction)
    maps = entry.sample_maps(KEY_BYTES, len(FEATURES), max_entries)
    maps[FRESH] = MapSpec(FRESH, MapType.ARRAY, 4, possible_cpus() * _FRESH_STRIDE, 1)
    return ProgramSpec("meshlens_kinds", ProgramType.SCHED_CLS, asm, maps=maps)


class _FlowProgram:
    """The pieces of the program. R6 is the context, R7 the entry, R8 the way, R9 the TCP flags."""

    def __init__(self, asm: Asm, clock: Clock, offset_ns: int) -> None:
        self.asm, self.clock, self.offset_ns = asm, clock, offset_ns
        self.stack = Stack.of(asm)

    def emit(self, direction: Direction) -> None:
        asm, stack = self.asm, self.stack
        asm.block("start")
        asm.mov(R6, R1)
        if direction == "in":
            emit_leave_copies(asm, "out")
        place_rare = emit_wire_packets(asm, stack.packets.offset, stack.octets.offset, stack.segment.offset)
        emit_parse(asm, "tc", (stack.ip.offset, stack.transport.offset))
        asm.block("find the flow")
        asm.put(stack.flags, R9)
        asm.store(R10, _CPU, 0, 2)  # all CPUs share an entry
        asm.call(Helper.map_lookup_elem, SAMPLES, stack.key)
        asm.jump_if(R0, "==", 0, "new")
        asm.label("found")
        asm.mov(R7, R0)
        asm.load(R1, R7, entry.PACKETS, 4)
        asm.jump_if(R1, ">=", PACKETS, "full")
        self.against_first()
        asm.block("read the headers")
        emit_facts(asm, stack)
        emit_fill(asm, stack, "full")
        asm.block("judge the flow")
        entry.emit_run_model(asm, stack.key, stack.packets, stack.octets)
        asm.block("do as its class says")
        asm.label("full")
        entry.emit_action(asm, R7, stack.packets, stack.octets)
        asm.label("out")
        asm.ret(VERDICT)
        place_rare()
        self.begin()
        for label, outcome in (
            ("not_ip", "elsewhere"),
            ("unreadable", "unreadable"),
            ("no room", "map_full"),
        ):
            self.without_entry(label, outcome)

    def time(self) -> None:
        """R1 = the time."""
        asm = self.asm
        if self.clock == "skb":
            asm.field(R1, R6, Skb.tstamp)
            return
        asm.call(Helper.ktime_get_ns)
        asm.ld_imm64(R1, self.offset_ns)
        asm.alu("+=", R1, R0)

    def against_first(self) -> None:
        """Way and time of the packet, in comparison with the first one of its flow."""
        asm, stack, not_before, known = self.asm, self.stack, self.asm.new_label(), self.asm.new_label()
        asm.load(R1, R7, _FIRST_WAY, 4)
        asm.alu("^=", R8, R1)
        asm.alu("&=", R8, 1)
        asm.put(stack.back, R8)
        self.time()
        asm.load(R2, R7, entry.FIRST_NS, 8)
        asm.alu("-=", R1, R2)
        asm.jump_if(R1, "s>=", 0, not_before)
        asm.mov(R1, 0)
        asm.label(not_before)
        asm.alu("/=", R1, 1000)
        asm.jump_if(R1, "<=", MAX_VALUE, known)
        asm.mov(R1, MAX_VALUE)
        asm.label(known)
        asm.put(stack.time, R1)

    def begin(self) -> None:
        """There is no entry: make one that is whole at once; the others of its first packets may be near."""
        asm, ordered = self.asm, self.asm.new_label()
        asm.block("a new flow")
        asm.label("new")
        emit_cpu_part(asm, FRESH, _FRESH_STRIDE)
        asm.mov(R7, R0)
        self.time()
        asm.store(R7, entry.FIRST_NS, R1, 8)
        asm.store(R7, _FIRST_WAY, R8, 4)
        asm.load(R1, R10, _PROTOCOL, 1)
        self.set("protocol", R1)
        for register, port in ((R1, _A_PORT), (R2, _B_PORT)):
            asm.load(register, R10, port, 2)
            asm.to_be(register, 16)
        asm.jump_if(R8, "==", 0, ordered)
        for one, other in ((R3, R1), (R1, R2), (R2, R3)):
            asm.mov(one, other)
        asm.label(ordered)
        self.set("src_port", R1)
        self.set("dst_port", R2)
        with asm.if_(R1, ">", R2):
            asm.mov(R1, R2)
        self.set("low_port", R1)
        for port, service in OTHER_PORTS.items():
            asm.mov(R2, service)
            asm.jump_if(R1, "==", port, "served")
        asm.mov(R2, R1)
        asm.label("served")
        self.set("service_port", R2)
        asm.call(Helper.map_update_elem, SAMPLES, self.stack.key, R7, NOEXIST)
        asm.call(Helper.map_lookup_elem, SAMPLES, self.stack.key)
        asm.jump_if(R0, "!=", 0, "found")  # ours, or that of a CPU that was faster
        asm.jump("no room")

    def set(self, name: str, value: Reg) -> None:
        self.asm.store(R7, row_offset(PLACE[name]), value, 4)

    def without_entry(self, label: str, outcome: str) -> None:
        """Count a skb that belongs to no flow, or to one that there is no room for."""
        asm, known = self.asm, self.asm.new_label()
        asm.block(outcome)
        asm.label(label)
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, "<", possible_cpus(), known)
        asm.mov(R0, 0)  # never: only the verifier does not know
        asm.label(known)
        asm.get(R3, self.stack.packets)
        emit_tally(asm, OUTCOMES.index(outcome), R3)
        asm.jump("out")


def entry_name(key: bytes, head: Head | None = None, /) -> str:
    """The name of the flow of an entry, from the end that sent its first packet."""
    return name_of(unpack_key(key), head.own if head else 0)


SAMPLER: Final = Sampler(TASK, KEY_BYTES, frozenset({_ETHERNET}), ("in", "out"), flow_program, entry_name)
