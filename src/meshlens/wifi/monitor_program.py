"""The kernel side of `meshlens wifi` on monitor interfaces: find who sent a frame, and add the frame to it.

An entry belongs to one CPU (its number is part of the key), where tc programs run one after another: what is
written needs no lock and no atomic operation. No frame is an event: user space reads the entries.
`monitor_frame` is the definition of what is taken of a frame, `monitor_table.MonitorTable` of what is added.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
    Reg,
    possible_cpus,
)
from meshlens.ebpf.contexts import Skb
from meshlens.filters.compiler import CompiledList
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.packet.radiotap import FIELD_OF
from meshlens.probes.one_filter import emit_filter
from meshlens.wifi.monitor_fields import (
    AMPDU,
    BSSID,
    DAMAGED,
    FIELD_IN,
    FREQUENCY,
    KEY,
    KIND,
    NOISE,
    PRESENT,
    RATE,
    SIGNAL,
    SIZE,
)
from meshlens.wifi.monitor_frame import IEEE80211_RADIOTAP
from meshlens.wifi.monitor_layout import (
    BLANK,
    KINDS_AT,
    NAMELESS,
    OUTCOME_BYTES,
    OUTCOMES,
    RATES,
    SIGNAL_STEP_DB,
    SIGNALS_AT,
    TALLY,
    TRANSMITTERS,
    at,
    monitor_maps,
)
from meshlens.wifi.monitor_parse import emit_bare, emit_dot11, emit_linear, emit_radiotap

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
        self.add()
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

    def add(self) -> None:
        """Add the frame of time R0 to the entry R7."""
        asm = self.asm
        for name, comparison in (("first_ns", "<"), ("last_ns", ">")):  # a file's times may go back
            asm.load(R1, R7, *at(name))
            with asm.if_(R0, comparison, R1):
                self.put(name, R0)
        asm.load(R4, R10, SIZE, 8)
        asm.load(R1, R10, KIND, 8)
        asm.alu("&=", R1, 63)  # it is: only the verifier does not know
        asm.alu("<<=", R1, 4)
        asm.alu("+=", R1, R7)
        self.increase(R1, KINDS_AT, 1)
        self.increase(R1, KINDS_AT + 8, R4)
        with asm.if_(R9, "&", HeaderFlag.RETRY):
            self.increase(R7, at("retries").offset, 1)
        with self.told(SIGNAL):
            self.signal()
        with self.told(NOISE):
            self.put("noise_last", R1)
            self.increase(R7, at("noise_sum").offset, R1)
            self.increase(R7, at("noise_frames").offset, 1)
        with self.told(AMPDU):
            self.ampdu()
        with self.told(FREQUENCY):
            self.put("frequency", R1)
        self.bssid()

    def bssid(self) -> None:
        """Keep the BSSID, if there is one: not that of no BSS (zeros), nor that of any (a group address)."""
        asm, none, place = self.asm, self.asm.new_label(), at("bssid").offset
        asm.load(R1, R10, BSSID, 4)
        asm.load(R2, R10, BSSID + 4, 2)
        asm.load(R3, R10, BSSID, 1)
        asm.jump_if(R3, "&", 1, none)
        asm.mov(R3, R1)
        asm.alu("|=", R3, R2)
        asm.jump_if(R3, "==", 0, none)
        asm.store(R7, place, R1, 4)
        asm.store(R7, place + 4, R2, 2)
        asm.label(none)

    @contextmanager
    def told(self, place: int) -> Iterator[None]:
        """What the `with` contains runs if radiotap has the field of `place`, with its number in R1."""
        asm = self.asm
        asm.load(R0, R10, PRESENT, 8)
        asm.load(R1, R10, place, 8)
        with asm.if_(R0, "&", 1 << FIELD_OF[FIELD_IN[place]].bit):
            yield

    def signal(self) -> None:
        """Add the signal R1, dBm + BIAS_DB."""
        asm = self.asm
        self.put("signal_last", R1)
        self.increase(R7, at("signal_sum").offset, R1)
        for name, comparison in (("signal_min", "<"), ("signal_max", ">")):
            asm.load(R2, R7, *at(name))
            with asm.if_(R1, comparison, R2):
                self.put(name, R1)
        asm.alu("&=", R1, 0xFF)
        asm.alu(">>=", R1, SIGNAL_STEP_DB.bit_length() - 1)
        asm.alu("<<=", R1, 3)
        asm.alu("+=", R1, R7)
        self.increase(R1, SIGNALS_AT, 1)

    def ampdu(self) -> None:
        """Add a frame of the A-MPDU R1; another number than before begins another one."""
        asm, same = self.asm, self.asm.new_label()
        asm.load(R2, R7, *at("ampdu_frames"))
        asm.load(R3, R7, *at("ampdu_reference"))
        self.increase(R7, at("ampdu_frames").offset, 1)
        self.put("ampdu_reference", R1)
        with asm.if_(R2, "!=", 0):
            asm.jump_if(R1, "==", R3, same)
        self.increase(R7, at("ampdus").offset, 1)
        asm.label(same)

    def put(self, name: str, value: Reg) -> None:
        offset, size = at(name)
        self.asm.store(R7, offset, value, size)

    def increase(self, base: Reg, offset: int, amount: Reg | int) -> None:
        """Add to 8 bytes."""
        asm = self.asm
        asm.load(R0, base, offset, 8)
        asm.alu("+=", R0, amount)
        asm.store(base, offset, R0, 8)

    def add_to_rate(self) -> None:
        """Add the frame to its rate, if it tells one."""
        asm = self.asm
        asm.load(R1, R10, RATE, 4)
        asm.jump_if(R1, "==", 0, "rate added")
        self.lookup(RATES)
        asm.jump_if(R0, "==", 0, "new rate")
        asm.mov(R1, R0)
        self.increase(R1, 0, 1)
        asm.load(R2, R10, SIZE, 8)
        self.increase(R1, 8, R2)
        asm.alu(">>=", R9, HeaderFlag.RETRY.bit_length() - 1)
        asm.alu("&=", R9, 1)
        self.increase(R1, 16, R9)
        asm.label("rate added")

    def count(self, outcome: str) -> None:
        """Tally the frame."""
        asm = self.asm
        asm.load(R0, R10, KEY + 6, 2)
        asm.alu("&=", R0, NAMELESS - 1)
        with asm.if_(R0, "<", possible_cpus()):  # always: only the verifier does not know
            asm.alu("*=", R0, OUTCOME_BYTES)
            asm.map_value(R1, TALLY, 8 * OUTCOMES.index(outcome))
            asm.alu("+=", R1, R0)
            self.increase(R1, 0, 1)

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
        self.increase(R7, at("damaged").offset, 1)
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
