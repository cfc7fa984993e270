"""The part of the station program that adds a frame to the entry of its station."""

from typing import Final, Literal

from meshlens.ebpf import NOEXIST, R0, R1, R2, R3, R4, R6, R9, R10, Asm, Helper, Reg
from meshlens.ebpf.contexts import Skb
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.dissect import CAST, FACTS, KEY, emit_table
from meshlens.probes.stations.layout import (
    CAST_START,
    CLASS_START,
    EVERY_GAP,
    FACTS_SEEN,
    FIRST_SEEN,
    GAP_BEGIN,
    GAP_BINS,
    GAP_START,
    GAP_TURN,
    IN,
    LAST,
    OUT,
    SIZE_BINS,
    SIZE_START,
    VLAN_START,
)
from meshlens.probes.stations.protocols import IS_VLAN, SEEN_MASK
from meshlens.probes.stations.tables import CLASS_FACTS, LOG2, TABLES

__all__ = [
    "BYTES",
    "NOW",
    "PACKETS",
    "SEGMENT",
    "Clock",
    "emit_entry",
    "emit_exact_time",
    "emit_lookup",
    "emit_new",
]

#: The stack: what the frame is on the wire (SEGMENT: bytes of each of its packets but the last), and when.
PACKETS, BYTES, SEGMENT, NOW = -32, -40, -48, -88

_ENTRY: Final = -104

#: "coarse": that of the last tick of the kernel, 1 to 10 ms ago, and the exact one where a gap is measured;
#: "exact": always the exact one, for kernels before 5.11; "skb": the skb's tstamp, which a test may set.
Clock = Literal["coarse", "exact", "skb"]

_GAP_BITS: Final = 34  # longer gaps, 17 s, are in the last bin anyway
# x // 1000 = (x >> 3) // 125; this divides by 125 what is less than 2**32, because 7 * 2**32 < 2**35.
_FACTOR, _SHIFT = 274_877_907, 35


def emit_lookup(asm: Asm, name: str) -> None:
    """R0 = the entry of KEY, or 0."""
    asm.map_fd(R1, name)
    asm.mov(R2, R10)
    asm.alu("+=", R2, KEY)
    asm.call(Helper.map_lookup_elem)


def emit_new(asm: Asm, name: str, blank: str) -> None:
    """Make an entry of KEY, of the zeros in the map `blank`; R0 = 0 if there was none and there is now."""
    asm.map_fd(R1, name)
    asm.mov(R2, R10)
    asm.alu("+=", R2, KEY)
    asm.map_value(R3, blank)
    asm.mov(R4, NOEXIST)
    asm.call(Helper.map_update_elem)


def emit_entry(asm: Asm, direction: Direction, clock: Clock) -> None:
    """Add the frame of class R9 to the entry R0. Clobbers R1 to R5."""
    asm.load(R1, R10, NOW, 8)
    _emit_times(asm, monotonic=clock != "skb")
    if direction == "in":
        _emit_gap(asm, clock)
        _emit_facts_of_class(asm)
    _emit_facts(asm, direction)
    _emit_sizes(asm)
    _emit_sums(asm, direction)


def _emit_times(asm: Asm, *, monotonic: bool) -> None:
    """R1 is the time, which goes back in files only."""
    if monotonic:
        asm.store(R0, LAST, R1, 8)
        return
    for place, comparison in ((LAST, ">"), (FIRST_SEEN, "<")):
        asm.load(R2, R0, place, 8)
        with asm.if_(R1, comparison, R2):
            asm.store(R0, place, R1, 8)


def _emit_gap(asm: Asm, clock: Clock) -> None:
    """Count the time since the packet before; of a busy station only now and then, see `layout`."""
    measure, busy, begin, done = (asm.new_label() for _ in range(4))
    asm.load(R1, R0, GAP_BEGIN, 8)
    asm.jump_if(R1, "!=", 0, measure)
    asm.load(R2, R0, IN, 8)
    asm.jump_if(R2, "<", EVERY_GAP, measure)
    asm.alu("&=", R2, GAP_TURN - 1)
    asm.jump_if(R2, "!=", GAP_TURN - 1, done)
    asm.label(measure)
    asm.store(R10, _ENTRY, R0, 8)
    emit_exact_time(asm, clock)
    asm.mov(R1, R0)
    asm.load(R0, R10, _ENTRY, 8)
    asm.load(R2, R0, GAP_BEGIN, 8)
    asm.jump_if(R2, "==", 0, begin)
    asm.load(R3, R0, IN, 8)
    asm.store(R0, GAP_BEGIN, 0, 8)
    asm.jump_if(R3, ">=", EVERY_GAP, busy)
    asm.store(R0, GAP_BEGIN, R1, 8)
    asm.label(busy)
    _emit_gap_bin(asm)
    asm.jump(done)
    asm.label(begin)
    asm.store(R0, GAP_BEGIN, R1, 8)
    asm.label(done)


def emit_exact_time(asm: Asm, clock: Clock) -> None:
    """R0 = the time. Clobbers R1 to R5."""
    if clock == "skb":
        asm.field(R0, R6, Skb.tstamp)
    else:
        asm.call(Helper.ktime_get_ns)


def _emit_gap_bin(asm: Asm) -> None:
    """Count the time from R2 to R1."""
    bounded = asm.new_label()
    asm.alu("-=", R1, R2)
    with asm.if_(R1, "s<", 0):
        asm.mov(R1, 0)
    asm.mov(R2, R1)
    asm.alu(">>=", R2, _GAP_BITS)
    asm.jump_if(R2, "==", 0, bounded)
    asm.ld_imm64(R1, (1 << _GAP_BITS) - 1)
    asm.label(bounded)
    asm.alu(">>=", R1, 3)
    asm.alu("*=", R1, _FACTOR)
    asm.alu(">>=", R1, _SHIFT)
    asm.mov(R3, 1)
    _emit_bin(asm, GAP_START, GAP_BINS)


def _emit_bin(asm: Asm, start: int, bins: int) -> None:
    """Add R3 to the bin of R1, of which there are a multiple of 8. Clobbers R1 and R2."""
    counted = asm.new_label()
    with asm.if_(R1, ">=", 1 << bins):
        asm.mov(R1, (1 << bins) - 1)
    for shift in reversed(range(0, bins, 8)):
        smaller = asm.new_label()
        if shift:
            asm.jump_if(R1, "<", 1 << shift, smaller)
            asm.alu(">>=", R1, shift)
        emit_table(asm, R1, LOG2, R2)
        asm.alu("&=", R1, 7)
        asm.alu("<<=", R1, 3)
        asm.alu("+=", R1, R0)
        _emit_add(asm, R1, start + 8 * shift)
        asm.jump(counted)
        asm.label(smaller)
    asm.label(counted)


def _emit_add(asm: Asm, base: Reg, offset: int, amount: Reg = R3) -> None:
    """Add to a number of 8 bytes. Clobbers R2."""
    asm.load(R2, base, offset, 8)
    asm.alu("+=", R2, amount)
    asm.store(base, offset, R2, 8)


def _emit_facts_of_class(asm: Asm) -> None:
    asm.mov(R1, R9)
    asm.alu("<<=", R1, 2)
    asm.map_value(R2, TABLES, CLASS_FACTS)
    asm.alu("+=", R2, R1)
    asm.load(R1, R2, 0, 4)
    asm.load(R2, R10, FACTS, 4)
    asm.alu("|=", R2, R1)
    asm.store(R10, FACTS, R2, 4)


def _emit_facts(asm: Asm, direction: Direction) -> None:
    asm.load(R1, R10, FACTS, 4)
    with asm.if_(R1, "!=", 0):
        if direction == "in":
            asm.mov(R3, R1)
            asm.alu("&=", R3, SEEN_MASK)
            asm.load(R2, R0, FACTS_SEEN, 8)
            asm.alu("|=", R2, R3)
            asm.store(R0, FACTS_SEEN, R2, 8)
        with asm.if_(R1, "&", IS_VLAN):
            asm.load(R3, R10, PACKETS, 8)
            _emit_add(asm, R0, VLAN_START)


def _emit_sizes(asm: Asm) -> None:
    """Count each packet by its bytes; all but the last have as many as the segment."""
    single = asm.new_label()
    asm.load(R3, R10, PACKETS, 8)
    asm.load(R1, R10, BYTES, 8)
    asm.jump_if(R3, "==", 1, single)
    asm.load(R1, R10, SEGMENT, 8)
    asm.alu("-=", R3, 1)
    asm.mov(R4, R1)
    asm.alu("*=", R4, R3)
    _emit_bin(asm, SIZE_START, SIZE_BINS)
    asm.load(R1, R10, BYTES, 8)
    asm.alu("-=", R1, R4)
    asm.mov(R3, 1)
    asm.label(single)
    _emit_bin(asm, SIZE_START, SIZE_BINS)


def _emit_sums(asm: Asm, direction: Direction) -> None:
    start = IN if direction == "in" else OUT
    asm.load(R3, R10, PACKETS, 8)
    asm.load(R4, R10, BYTES, 8)
    _emit_add(asm, R0, start)
    _emit_add(asm, R0, start + 8, R4)
    asm.mov(R1, R9)
    asm.alu("<<=", R1, 3)
    asm.alu("+=", R1, R0)
    _emit_add(asm, R1, CLASS_START)
    if direction == "in":
        asm.load(R1, R10, CAST, 8)
        asm.alu("+=", R1, R0)
        _emit_add(asm, R1, CAST_START)
