"""The part of the flow program that adds a frame to its flow's entry, and begins and ends entries.

An entry belongs to one CPU (its number is part of the key), where programs run one after another: what is
written needs no lock and no atomic operation.
"""

from typing import Literal

from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Helper
from meshlens.ebpf.contexts import Skb
from meshlens.probes.flows.layout import (
    EXPORT,
    FIRST_SEEN,
    FLOWS,
    FOREVER_NS,
    HEAD_BYTES,
    HEAD_START,
    KEY_BYTES,
    value_bytes,
)
from meshlens.probes.flows.maps import BLANK, OUTCOMES, FlowOptions
from meshlens.probes.flows.parse import KEY
from meshlens.probes.tally import emit_tally

__all__ = ["BYTES", "CPU", "PACKETS", "SEGMENT", "Clock", "EntryWriter"]

Clock = Literal["tick", "exact", "skb"]

# The stack behind the key (`parse`); filters leave these alone.
PACKETS, BYTES, SEGMENT, CPU = -48, -56, -64, -72

# Offsets in a value; see `layout`.
_LAST, _PERIOD_END = FIRST_SEEN + 8, FIRST_SEEN + 16
_SUM_PACKETS, _SUM_BYTES = FIRST_SEEN + 24, FIRST_SEEN + 40
_FLAGS, _WAY, _DIRECTION, _KEPT = FIRST_SEEN + 56, FIRST_SEEN + 58, FIRST_SEEN + 59, FIRST_SEEN + 60


class EntryWriter:
    """Emits what is done with an entry. R7 is the entry, R8 the way of the frame, R9 its TCP flags.

    R6 is the context; what the frame is on the wire and the CPU stand on the stack. `direction` is 0 in, 1
    out, 2 unknown.
    """

    def __init__(self, asm: Asm, options: FlowOptions, direction: int, clock: Clock, offset_ns: int) -> None:
        self.asm, self.options, self.direction = asm, options, direction
        self.clock, self.offset_ns = clock, offset_ns

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
        asm.load(R1, R10, CPU, 8)
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
        asm.load(R3, R10, PACKETS, 8)
        asm.load(R4, R10, BYTES, 8)
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
        asm.load(R0, R10, SEGMENT, 8)
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
        asm.load(R0, R10, CPU, 8)
        emit_tally(asm, OUTCOMES.index(outcome), R3)

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
