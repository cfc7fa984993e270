"""The kernel side of `meshlens wifi` on monitor interfaces: find who sent a frame, and add the frame to it.

An entry belongs to one CPU (its number is part of the key), where tc programs run one after another: what is
written needs no lock and no atomic operation. No frame is an event: user space reads the entries.
`frame` is the definition of what is taken of a frame, `table.MonitorTable` of what is added.
"""

from typing import Final, Literal

from meshlens.decision.access import buffer_map
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R9,
    R10,
    Asm,
    Helper,
    ProgramSpec,
    ProgramType,
    possible_cpus,
)
from meshlens.ebpf.contexts import Skb
from meshlens.filters.compiler import CompiledList
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.probes.one_filter import emit_filter
from meshlens.probes.tally import emit_tally
from meshlens.wifi.monitor.entry import emit_add, emit_increase
from meshlens.wifi.monitor.fields import (
    DAMAGED,
    KEY,
    RATE,
    SIZE,
)
from meshlens.wifi.monitor.frame import IEEE80211_RADIOTAP
from meshlens.wifi.monitor.layout import (
    BLANK,
    NAMELESS,
    OUTCOMES,
    RATES,
    TRANSMITTERS,
    at,
    monitor_maps,
)
from meshlens.wifi.monitor.parse import emit_bare, emit_dot11, emit_linear, emit_radiotap

__all__ = ["Clock", "monitor_program"]

#: "coarse": the time of the last tick, 1 to 10 ms old, for a few nanoseconds (Linux 5.11). "fine": to the
#: nanosecond, for about 30. "skb": the skb's own, and all is kept as one CPU's; so frames of a file can be
#: given to the program (BPF_PROG_TEST_RUN).
Clock = Literal["coarse", "fine", "skb"]

_UNSPEC: Final = -1  # TC_ACT_UNSPEC: the next program decides
#: What a rate begins as, on the stack.
_NEW_RATE: Final = -136


def monitor_program(
    max_transmitters: int,
    *,
    link_type: int = IEEE80211_RADIOTAP,
    compiled: CompiledList | None = None,
    clock: Clock = "coarse",
    clock_offset_ns: int = 0,
) -> ProgramSpec:
    """The program for the tc ingress of an interface; `compiled`: the list of the one filter to match.

    `clock_offset_ns` is added to the monotonic clock, to give the time since the epoch.
    """
    program = _MonitorProgram(Asm())
    program.emit(link_type, compiled, clock, clock_offset_ns)
    maps = monitor_maps(max_transmitters) | (buffer_map() if compiled else {})
    return ProgramSpec("meshlens_wifi", ProgramType.SCHED_CLS, program.asm, maps=maps)


class _MonitorProgram:
    """The pieces of the program, in the order in which they are emitted.

    R6 is the skb all the time; from the header on, R9 is its second byte, and R7 the transmitter's entry.
    """

    def __init__(self, asm: Asm) -> None:
        self.asm = asm

    def emit(self, link_type: int, compiled: CompiledList | None, clock: Clock, offset_ns: int) -> None:
        asm = self.asm
        asm.block("start")
        asm.mov(R6, R1)
        self.cpu(clock)
        if compiled:
            emit_filter(asm, compiled, "in", out="out", unreadable="unreadable")
        emit_linear(asm)
        asm.block("radiotap")
        (emit_radiotap if link_type == IEEE80211_RADIOTAP else emit_bare)(asm)
        asm.block("802.11")
        emit_dot11(asm)
        asm.block("find the transmitter")
        self.find()
        asm.block("add the frame")
        asm.label("add")
        self.time(clock, offset_ns)
        emit_add(asm)
        asm.block("add to the rate")
        self.add_to_rate()
        self.count("counted")
        asm.label("out")
        asm.ret(_UNSPEC)
        self.begin()
        self.begin_rate()
        self.reasons()

    def cpu(self, clock: Clock) -> None:
        """The CPU's number into the key."""
        asm = self.asm
        asm.mov(R0, 0)
        if clock != "skb":
            asm.call(Helper.get_smp_processor_id)
        asm.store(R10, KEY + 6, R0, 2)

    def find(self) -> None:
        """R7 = the transmitter's entry."""
        asm = self.asm
        self.lookup(TRANSMITTERS)
        asm.load(R1, R10, DAMAGED, 8)
        asm.jump_if(R1, "!=", 0, "damaged")
        asm.jump_if(R0, "==", 0, "new")
        asm.mov(R7, R0)

    def lookup(self, name: str) -> None:
        """R0 = the entry of KEY, or with RATE behind it."""
        asm = self.asm
        asm.map_fd(R1, name)
        asm.mov(R2, R10)
        asm.alu("+=", R2, KEY)
        asm.call(Helper.map_lookup_elem)

    def time(self, clock: Clock, offset_ns: int) -> None:
        """R0 = the time."""
        asm = self.asm
        if clock == "skb":
            asm.field(R0, R6, Skb.tstamp)
            return
        asm.call(Helper.ktime_get_coarse_ns if clock == "coarse" else Helper.ktime_get_ns)
        asm.ld_imm64(R1, offset_ns)
        asm.alu("+=", R0, R1)

    def add_to_rate(self) -> None:
        """Add the frame to its rate, if it tells one."""
        asm = self.asm
        asm.load(R1, R10, RATE, 4)
        asm.jump_if(R1, "==", 0, "rate added")
        self.lookup(RATES)
        asm.jump_if(R0, "==", 0, "new rate")
        asm.mov(R1, R0)
        emit_increase(asm, R1, 0, 1)
        asm.load(R2, R10, SIZE, 8)
        emit_increase(asm, R1, 8, R2)
        asm.alu(">>=", R9, HeaderFlag.RETRY.bit_length() - 1)
        asm.alu("&=", R9, 1)
        emit_increase(asm, R1, 16, R9)
        asm.label("rate added")

    def count(self, outcome: str) -> None:
        """Tally the frame."""
        asm = self.asm
        asm.load(R0, R10, KEY + 6, 2)
        asm.alu("&=", R0, NAMELESS - 1)
        with asm.if_(R0, "<", possible_cpus()):  # always: only the verifier does not know
            emit_tally(asm, OUTCOMES.index(outcome), 1)

    def begin(self) -> None:
        """There is no entry: make one."""
        asm = self.asm
        asm.block("a new transmitter")
        asm.label("new")
        asm.map_fd(R1, TRANSMITTERS)
        asm.mov(R2, R10)
        asm.alu("+=", R2, KEY)
        asm.map_value(R3, BLANK)
        asm.mov(R4, 0)
        asm.call(Helper.map_update_elem)
        asm.jump_if(R0, "!=", 0, "transmitters_full")
        self.lookup(TRANSMITTERS)
        asm.jump_if(R0, "==", 0, "transmitters_full")
        asm.mov(R7, R0)
        for name in ("first_ns", "signal_min"):
            offset, size = at(name)
            asm.store(R7, offset, -1, size)
        asm.jump("add")

    def begin_rate(self) -> None:
        """There is no entry for the rate: make one of this frame alone."""
        asm = self.asm
        asm.block("a new rate")
        asm.label("new rate")
        asm.load(R1, R10, SIZE, 8)
        asm.alu(">>=", R9, HeaderFlag.RETRY.bit_length() - 1)
        asm.alu("&=", R9, 1)
        for place, value in ((0, 1), (8, R1), (16, R9)):
            asm.store(R10, _NEW_RATE + place, value, 8)
        asm.map_fd(R1, RATES)
        for register, place in ((R2, KEY), (R3, _NEW_RATE)):
            asm.mov(register, R10)
            asm.alu("+=", register, place)
        asm.mov(R4, 0)
        asm.call(Helper.map_update_elem)
        asm.jump_if(R0, "==", 0, "rate added")
        self.count("rates_full")
        asm.jump("rate added")

    def reasons(self) -> None:
        """Damaged frames, and those that are in no entry."""
        asm, unknown = self.asm, self.asm.new_label()
        asm.block("damaged")
        asm.label("damaged")
        asm.jump_if(R0, "==", 0, unknown)
        asm.mov(R7, R0)
        emit_increase(asm, R7, at("damaged").offset, 1)
        self.count("counted")
        asm.jump("out")
        asm.label("no header")
        asm.load(R1, R10, DAMAGED, 8)
        asm.jump_if(R1, "==", 0, "unreadable")
        asm.label(unknown)
        self.count("damaged")
        asm.jump("out")
        asm.block("not counted")
        for reason in ("unreadable", "transmitters_full"):
            asm.label(reason)
            self.count(reason)
            asm.jump("out")
