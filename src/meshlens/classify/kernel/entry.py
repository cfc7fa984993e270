"""A station or flow in the kernel: the entry with its row, and what the program that fills rows calls.

The map SAMPLES has an entry for each sample, seen by all CPUs: a `Head`, then the row, one u32 a feature in
the order of the task's features. The task's program, at tc, makes entries and fills rows. For each packet
that it has an entry for, it ends in one of two ways, with the context in R6:

    asm.mov(R7, R0)                               # the entry, in any of R7 to R9
    ...                                           # a row that changed and deserves a verdict:
    emit_run_model(asm, KEY, PACKETS, BYTES)      # goes to the model, which does all that emit_action does
    asm.label("nothing new")                      # ... or there is none: go on
    emit_action(asm, R7, PACKETS, BYTES)          # the mark and priority of its class, and count the packet
    asm.ret(VERDICT)

Both clobber R0 to R5 and nothing else, and use no stack. KEY, PACKETS and BYTES are slots: the sample's key
(at an address that is a multiple of its largest power of two, 8 at most), and what the skb is on the wire
(probes.wire; 8 bytes each). A packet without an entry is counted by `emit_tally`, by its place in OUTCOMES.

A new entry is made of zeros and the time: what matters is that first_ns is set and label is 0. The model
writes label, votes and runs; `packets` is the task's, to count as far as its window goes.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from meshlens.ebpf import (
    BPF_F_MMAPABLE,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    Reg,
    Slot,
)
from meshlens.ebpf import possible_cpus as cpus
from meshlens.ebpf.contexts import Skb
from meshlens.probes.tally import tally_map

__all__ = [
    "ACTIONS",
    "CALLS",
    "CLASS_COUNTS",
    "FIRST_NS",
    "LABEL",
    "MAX_CLASSES",
    "MODEL",
    "NO_LABEL",
    "OUTCOMES",
    "OWN",
    "PACKETS",
    "PLACES",
    "ROW",
    "RUNS",
    "SAMPLES",
    "SEEN",
    "TICK",
    "UNKNOWN",
    "VERDICT",
    "VOTES",
    "Head",
    "emit_action",
    "emit_cpu_part",
    "emit_run_model",
    "place_of",
    "row_offset",
    "sample_maps",
    "unpack_row",
]

#: The names of the maps: samples; the model's programs, of which the first one is called; for each CPU the
#: sample that the model is called for; what to do with the packets of a class; packets of each class, by CPU;
#: user space's time.
SAMPLES: Final = "samples"
MODEL: Final = "model"
CALLS: Final = "calls"
ACTIONS: Final = "actions"
CLASS_COUNTS: Final = "class_counts"
TICK: Final = "tick"

#: Where the fields of a head stand; the row follows.
FIRST_NS, LABEL, VOTES, RUNS, PACKETS, SEEN, OWN = 0, 8, 12, 16, 20, 24, 28
ROW: Final = 32
_HEAD: Final = struct.Struct("=Q6I")

#: TC_ACT_UNSPEC: what our programs return, so that others decide.
VERDICT: Final = -1

#: The field `label`: class + 1; 0 before the first verdict; UNKNOWN where the votes are too few.
NO_LABEL: Final = 0
UNKNOWN: Final = 0xFFFFFFFF
#: Packets of a class are counted, and their action stands, at the place `label & (PLACES - 1)`.
PLACES: Final = 1024
MAX_CLASSES: Final = PLACES - 2

#: What becomes of a packet: it belongs to a sample; to none that this task knows (not IP, to a group, …); to
#: one that there is no room for; it cannot be read; the model did not come to its end.
OUTCOMES: Final = ("sample", "elsewhere", "map_full", "unreadable", "undecided")

#: At most 33 tail calls follow one another (MAX_TAIL_CALL_CNT, include/linux/bpf.h); one leads to the model.
MAX_PROGRAMS: Final = 32

_PAIR_BYTES: Final = 16
_COUNTS_BYTES: Final = PLACES * _PAIR_BYTES
_ACTION_BYTES: Final = 8
#: In a call: packets and bytes of the skb, then the key.
CALL_PACKETS, CALL_BYTES, CALL_KEY = 0, 8, 16
_CACHE_LINE: Final = 64


class Head(NamedTuple):
    """What stands before the row.

    `first_ns`: the time of its first packet, since the epoch; `votes`: of the class that won, see Model;
    `runs`: how often the model ran; `packets`: as far as the task counts them; `seen`: the TICK of its latest
    packet; `own`: what the task wants to remember.
    """

    first_ns: int = 0
    label: int = NO_LABEL
    votes: int = 0
    runs: int = 0
    packets: int = 0
    seen: int = 0
    own: int = 0

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From a value of SAMPLES."""
        return cls(*_HEAD.unpack_from(value))

    def pack(self, row: Sequence[int] = ()) -> bytes:
        """As a value of SAMPLES, with `row`."""
        return _HEAD.pack(*self) + struct.pack(f"={len(row)}I", *row)

    @property
    def class_index(self) -> int | None:
        """The position of its class; None where there is no verdict yet and where it is unknown."""
        return None if self.label in (NO_LABEL, UNKNOWN) else self.label - 1


def unpack_row(value: bytes) -> tuple[int, ...]:
    """The row in a value of SAMPLES."""
    return struct.unpack_from(f"={(len(value) - ROW) // 4}I", value, ROW)


def row_offset(position: int) -> int:
    """Where the feature at `position` stands in an entry."""
    return ROW + 4 * position


def place_of(class_index: int | None) -> int:
    """Where a class, or None for unknown, stands among counts and actions."""
    return PLACES - 1 if class_index is None else class_index + 1


def call_bytes(key_bytes: int) -> int:
    """How much of CALLS is one CPU's: whole cache lines."""
    return -(-(CALL_KEY + key_bytes) // _CACHE_LINE) * _CACHE_LINE


def sample_maps(key_bytes: int, features: int, max_entries: int) -> dict[str, MapSpec]:
    """The maps that the programs of one task share, for both directions; all of the task's `features`."""

    def one_value(name: str, size: int) -> MapSpec:
        return MapSpec(name, MapType.ARRAY, 4, size, 1, BPF_F_MMAPABLE)

    specs = (
        MapSpec(SAMPLES, MapType.HASH, key_bytes, ROW + 4 * features, max_entries),
        MapSpec(MODEL, MapType.PROG_ARRAY, 4, 4, MAX_PROGRAMS),
        one_value(CALLS, cpus() * call_bytes(key_bytes)),
        one_value(ACTIONS, PLACES * _ACTION_BYTES),
        one_value(CLASS_COUNTS, cpus() * _COUNTS_BYTES),
        one_value(TICK, 8),
        tally_map(),
    )
    return {spec.name: spec for spec in specs}


def emit_run_model(asm: Asm, key: Slot, packets: Slot, octets: Slot) -> None:
    """Let the model decide about the entry of `key`, act for this packet, and end the program.

    Comes back where no model is loaded. R6 is the context; clobbers R0 to R5.
    """
    emit_cpu_part(asm, CALLS, call_bytes(key.size))
    for slot, place in ((packets, CALL_PACKETS), (octets, CALL_BYTES)):
        asm.get(R1, slot)
        asm.store(R0, place, R1, 8)
    _emit_copy(asm, key, CALL_KEY)
    asm.mov(R1, R6)
    asm.map_fd(R2, MODEL)
    asm.mov(R3, 0)
    asm.call(Helper.tail_call)


def emit_action(asm: Asm, entry: Reg, packets: Slot, octets: Slot) -> None:
    """Count the packet for its sample's class, and give it the mark and priority of that class, if any.

    `entry` is R7, R8 or R9; R6 is the context; clobbers R0 to R5.
    """
    emit_action_of(asm, entry, R10, packets.offset, octets.offset)


def emit_action_of(asm: Asm, entry: Reg, base: Reg, packets: int, octets: int) -> None:
    """`emit_action`, with packets and bytes at these offsets from `base`, which survives calls."""
    seen = asm.new_label()
    asm.map_value(R1, TICK)
    asm.load(R1, R1, 0, 4)
    asm.load(R2, entry, SEEN, 4)
    asm.jump_if(R1, "==", R2, seen)  # many packets have one tick: the cache line stays shared
    asm.store(entry, SEEN, R1, 4)
    asm.label(seen)
    emit_cpu_part(asm, CLASS_COUNTS, _COUNTS_BYTES)
    asm.load(R4, entry, LABEL, 4)
    asm.alu("&=", R4, PLACES - 1)
    asm.mov(R1, R4)
    asm.alu("*=", R1, _PAIR_BYTES)
    asm.alu("+=", R0, R1)
    for place, amount in ((0, packets), (8, octets)):
        asm.load(R1, R0, place, 8)
        asm.load(R2, base, amount, 8)
        asm.alu("+=", R1, R2)
        asm.store(R0, place, R1, 8)
    asm.map_value(R2, ACTIONS)
    asm.alu("*=", R4, _ACTION_BYTES)
    asm.alu("+=", R2, R4)
    for place, field in ((0, Skb.mark), (4, Skb.priority)):
        asm.load(R1, R2, place, 4)
        with asm.if_(R1, "!=", 0):
            asm.store(R6, field.offset, R1, field.size)


def emit_cpu_part(asm: Asm, name: str, stride: int) -> None:
    """R0 = this CPU's part of the one value of map `name`. Clobbers R1 to R5."""
    known = asm.new_label()
    asm.call(Helper.get_smp_processor_id)
    asm.jump_if(R0, "<", cpus(), known)
    asm.mov(R0, 0)  # never: only the verifier does not know
    asm.label(known)
    asm.alu("*=", R0, stride)
    asm.map_value(R1, name)
    asm.alu("+=", R0, R1)


def _emit_copy(asm: Asm, slot: Slot, to: int) -> None:
    """Copy from the stack to R0 + `to`, in the largest pieces that its alignment allows. Clobbers R1."""
    done = 0
    while done < slot.size:
        size = next(
            each for each in (8, 4, 2, 1) if slot.size - done >= each and (slot.offset + done) % each == 0
        )
        asm.load(R1, R10, slot.offset + done, size)
        asm.store(R0, to + done, R1, size)
        done += size
