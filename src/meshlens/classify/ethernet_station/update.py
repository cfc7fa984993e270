"""The part of the program that adds a packet to the row of its station; `sample.Entry.add` defines it.

R6 is the context and R7 the entry all the time.
"""

from typing import Final

from meshlens.classify.ethernet_station.features import (
    GAP_BINS,
    KINDS,
    PER_KIND,
    SIZE_BINS,
    SLOTS,
    SMALL,
    SMALL_STEP,
    STEP,
    WINDOW,
    WINDOW_US,
)
from meshlens.classify.ethernet_station.layout import (
    BEFORE,
    GAP,
    IS_TCP,
    KIND,
    KIND_MASK,
    KINDS_MAP,
    SIZE,
    TRANSPORT,
    US,
    offset,
)
from meshlens.classify.ethernet_station.row import emit_count
from meshlens.classify.ethernet_station.sample import ECHO_US, MAX_SIZE
from meshlens.classify.ethernet_station.upper import emit_options, emit_upper
from meshlens.classify.kernel import entry
from meshlens.ebpf import R1, R2, R3, R7, R8, R9, R10, Asm
from meshlens.probes.stations.dissect import CAST, emit_table
from meshlens.probes.stations.entry import NOW, SEGMENT
from meshlens.probes.stations.protocols import CLASSES
from meshlens.probes.stations.tables import LOG2

__all__ = ["emit_update"]

_PER_KIND_BYTES: Final = 4 * len(PER_KIND)


def emit_update(asm: Asm, *, unchanged: str, atomic_fetch: bool) -> None:
    """Add the frame, dissected (class R9, BEHIND, FACTS, CAST, IP_AT), to the row.

    Goes to `unchanged` with what does not count. Clobbers R0 to R5, R8, R9.
    """
    asm.block("what the packet is")
    _emit_kind(asm, unchanged)
    _emit_times(asm, unchanged)
    _emit_leave_echoes(asm, unchanged)
    _emit_claim(asm, unchanged, atomic_fetch=atomic_fetch)
    emit_upper(asm)
    asm.block("sizes")
    _emit_sizes(asm)
    asm.block("times")
    _emit_gap(asm)
    _emit_slots(asm)
    asm.load(R1, R10, BEFORE, 8)
    asm.alu("+=", R1, 1)
    asm.store(R7, offset("packets"), R1, 4)
    emit_options(asm)


def _emit_kind(asm: Asm, unchanged: str) -> None:
    asm.load(R1, R10, SEGMENT, 8)
    with asm.if_(R1, ">", MAX_SIZE):
        asm.mov(R1, MAX_SIZE)
    asm.store(R10, SIZE, R1, 8)
    asm.jump_if(R9, ">=", len(CLASSES), unchanged)  # never: only the verifier does not know
    asm.map_value(R2, KINDS_MAP)
    asm.alu("+=", R2, R9)
    asm.load(R1, R2, 0, 1)
    asm.mov(R2, R1)
    asm.alu("&=", R1, KIND_MASK)
    asm.store(R10, KIND, R1, 8)
    asm.alu("&=", R2, IS_TCP)
    asm.store(R10, TRANSPORT, R2, 8)


def _emit_times(asm: Asm, late: str) -> None:
    """US = microseconds since the first packet, R3 = GAP = since the one before; leaves what is `late`."""
    early = asm.new_label()
    asm.load(R1, R10, NOW, 8)
    asm.load(R2, R7, entry.FIRST_NS, 8)
    asm.mov(R3, 0)
    asm.jump_if(R1, "<=", R2, early)
    asm.mov(R3, R1)
    asm.alu("-=", R3, R2)
    asm.alu("/=", R3, 1000)
    with asm.if_(R3, ">", WINDOW_US):
        asm.store(R7, offset("closed"), 1, 4)
        asm.jump(late)
    asm.label(early)
    asm.store(R10, US, R3, 8)
    asm.load(R2, R7, offset("last_us"), 4)
    asm.alu("-=", R3, R2)
    with asm.if_(R3, "s<", 0):
        asm.mov(R3, 0)
    asm.store(R10, GAP, R3, 8)


def _emit_leave_echoes(asm: Asm, unchanged: str) -> None:
    """Leave a group frame that is like the last one, R3 microseconds after it; else remember it."""
    counts = asm.new_label()
    asm.load(R1, R10, SIZE, 8)
    asm.alu("*=", R1, len(KINDS))
    asm.load(R2, R10, KIND, 8)
    asm.alu("+=", R1, R2)
    asm.load(R2, R10, CAST, 8)
    asm.jump_if(R2, "==", 0, counts)
    asm.load(R2, R7, offset("last"), 4)
    asm.jump_if(R1, "!=", R2, counts)
    asm.jump_if(R3, "<", ECHO_US, unchanged)
    asm.label(counts)
    asm.store(R7, offset("last"), R1, 4)
    asm.load(R1, R10, US, 8)
    asm.store(R7, offset("last_us"), R1, 4)


def _emit_claim(asm: Asm, unchanged: str, *, atomic_fetch: bool) -> None:
    """BEFORE = the packets before this one, and so its place; another CPU may have had the last."""
    asm.mov(R1, 1)
    if atomic_fetch:
        asm.atomic_fetch_add(R7, entry.PACKETS, R1, 4)
    else:
        asm.load(R2, R7, entry.PACKETS, 4)
        asm.atomic_add(R7, entry.PACKETS, R1, 4)
        asm.mov(R1, R2)
    asm.jump_if(R1, ">=", WINDOW, unchanged)
    asm.store(R10, BEFORE, R1, 8)
    asm.load(R2, R10, CAST, 8)  # 8 times the place of its count
    asm.alu(">>=", R2, 1)
    asm.alu("+=", R2, R7)
    asm.load(R1, R2, offset("unicast"), 4)
    asm.alu("+=", R1, 1)
    asm.store(R2, offset("unicast"), R1, 4)


def _emit_sizes(asm: Asm) -> None:
    known, small = asm.new_label(), asm.new_label()
    asm.load(R8, R10, SIZE, 8)
    emit_count(asm, "bytes", R8)
    asm.mov(R3, R8)
    asm.jump_if(R3, "<", SMALL, small)
    asm.alu("-=", R3, SMALL - SMALL // SMALL_STEP * STEP)
    asm.alu("/=", R3, STEP)
    asm.jump(known)
    asm.label(small)
    asm.alu("/=", R3, SMALL_STEP)
    asm.label(known)
    _emit_bin(asm, "sized_0", SIZE_BINS)
    asm.load(R9, R10, KIND, 8)
    asm.alu("*=", R9, _PER_KIND_BYTES)
    asm.alu("+=", R9, R7)
    place = {what: offset(f"{KINDS[0]}_{what}") for what in PER_KIND}
    asm.load(R1, R9, place["packets"], 4)
    with asm.if_(R1, "==", 0):
        asm.store(R9, place["first"], R8, 4)
        asm.store(R9, place["least"], R8, 4)
        asm.load(R2, R10, US, 8)
        asm.alu("/=", R2, 1000)
        asm.alu("+=", R2, 1)
        asm.store(R9, place["since"], R2, 4)
    for what, amount in (("packets", 1), ("bytes", R8)):
        asm.load(R1, R9, place[what], 4)
        asm.alu("+=", R1, amount)
        asm.store(R9, place[what], R1, 4)
    for what, comparison in (("least", ">"), ("most", "<")):
        asm.load(R1, R9, place[what], 4)
        with asm.if_(R1, comparison, R8):
            asm.store(R9, place[what], R8, 4)


def _emit_gap(asm: Asm) -> None:
    """R8 = the bits of the gap; count it, but for the first packet."""
    asm.load(R9, R10, GAP, 8)
    asm.mov(R3, R9)
    asm.mov(R8, 0)
    for shift in (16, 8):
        with asm.if_(R3, ">=", 1 << shift):
            asm.alu(">>=", R3, shift)
            asm.alu("+=", R8, shift)
    with asm.if_(R3, "!=", 0):
        asm.alu("+=", R8, 1)
    asm.alu("&=", R3, 0xFF)
    emit_table(asm, R3, LOG2, R2)
    asm.alu("+=", R8, R3)
    asm.load(R1, R10, BEFORE, 8)
    with asm.if_(R1, "!=", 0):
        asm.alu("/=", R9, 1000)
        asm.load(R1, R7, offset("pause"), 4)
        with asm.if_(R1, "<", R9):
            asm.store(R7, offset("pause"), R9, 4)
        asm.mov(R3, R8)
        with asm.if_(R3, "!=", 0):
            asm.alu("-=", R3, 1)
        asm.alu(">>=", R3, 1)
        _emit_bin(asm, "gapped_0", GAP_BINS)


def _emit_slots(asm: Asm) -> None:
    """What is known of the first packets each; R8 is the bits of the gap."""
    asm.load(R3, R10, US, 8)
    asm.alu("/=", R3, 1000)
    asm.store(R7, offset("span"), R3, 4)
    asm.load(R2, R10, BEFORE, 8)
    with asm.if_(R2, "<", SLOTS):
        asm.alu("<<=", R2, 2)
        asm.alu("+=", R2, R7)
        asm.store(R2, offset("at_0"), R3, 4)
        asm.store(R2, offset("gap_0"), R8, 4)
        asm.load(R1, R10, SIZE, 8)
        asm.store(R2, offset("size_0"), R1, 4)
        asm.load(R1, R10, KIND, 8)
        asm.alu("+=", R1, 1)
        asm.store(R2, offset("kind_0"), R1, 4)
        asm.load(R1, R7, offset("addresses"), 4)
        asm.store(R2, offset("reached_0"), R1, 4)


def _emit_bin(asm: Asm, first: str, bins: int) -> None:
    """Count in the bin of R3, of what is beyond all in the last one. Clobbers R1 and R3."""
    with asm.if_(R3, ">=", bins):
        asm.mov(R3, bins - 1)
    asm.alu("<<=", R3, 2)
    asm.alu("+=", R3, R7)
    asm.load(R1, R3, offset(first), 4)
    asm.alu("+=", R1, 1)
    asm.store(R3, offset(first), R1, 4)
