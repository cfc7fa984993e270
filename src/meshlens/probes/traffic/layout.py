"""What the interface probe counts of a frame, in plain Python, and where the program keeps it.

The counters are one mmap-able array value, a part for each CPU, which no other CPU writes. A part holds

- what could not be read;
- a small hash of ethertypes with packets and bytes. Its hash function gives each ethertype that has a name a
  place of its own, and these are written there before the first frame; others take what is free, looked for
  in a few places. What finds none goes to one place for all others, so that nothing is lost;
- packets by kind of destination and by size, in steps of 16 bytes up to 2047 bytes and by powers of two
  above. That takes a shift where a logarithm takes a search, and folds into powers of two without loss.

All sums (packets, bytes, unicast) follow from these: a frame is added in three numbers.
"""

import struct
from array import array
from dataclasses import replace
from operator import add, sub
from typing import Final, Literal, NamedTuple

from meshlens.ebpf import BPF_F_MMAPABLE, MapSpec, MapType, possible_cpus
from meshlens.packet.ethertypes import LLC, NAMES, OTHER
from meshlens.probes.snapshot import Direction
from meshlens.probes.traffic.record import Traffic

__all__ = [
    "CASTS", "CAST_BYTES", "COUNTERS", "CPU_BYTES", "ENTRY_BYTES", "ETHERTYPES_AT", "FIRST_ETHERTYPE",
    "HASH_FACTOR", "HASH_SHIFT", "OTHER_AT", "PLACES", "POWERS", "PROBES", "SIZES", "SIZES_AT", "STEPS",
    "STEP_SHIFT", "Cast", "Frame", "counters_map", "frame_of", "minus", "nothing", "plus", "prepare",
    "read_counters", "read_missed", "size_class",
]  # fmt: skip

Cast = Literal["unicast", "multicast", "broadcast"]
#: By destination, in the order of their counters.
CASTS: Final[tuple[Cast, ...]] = ("unicast", "multicast", "broadcast")

COUNTERS: Final = "traffic"

#: What is less is a length (IEEE 802.3 3.2.6).
FIRST_ETHERTYPE: Final = 0x0600
_TAGS: Final = (0x8100, 0x88A8)
_MAX_TAGS: Final = 2

# The hash of ethertypes: an entry is (ethertype, packets, bytes, nothing), each of 64 bits.
PLACES: Final = 128
PROBES: Final = 4
ENTRY_BYTES: Final = 32
# No two of NAMES meet, and nowhere do so many stand in a row that another one finds no room. Found by trying.
HASH_FACTOR: Final = 591
HASH_SHIFT: Final = 8

STEP_SHIFT: Final = 4
STEPS: Final = 2048 >> STEP_SHIFT
#: 2048 to 4095 bytes and so on; the last one is 65536 and above.
POWERS: Final = 6
#: How many powers of two are told; the last one stands for all above, too.
SIZES: Final = 17

_UNREADABLE_AT: Final = 0
ETHERTYPES_AT: Final = 64
OTHER_AT: Final = ETHERTYPES_AT + PLACES * ENTRY_BYTES
SIZES_AT: Final = OTHER_AT + ENTRY_BYTES
CAST_BYTES: Final = 8 * (STEPS + POWERS)
CPU_BYTES: Final = -(-(SIZES_AT + len(CASTS) * CAST_BYTES) // 64) * 64


class Frame(NamedTuple):
    """What is counted of a frame."""

    ethertype: int
    cast: Cast


def frame_of(data: bytes) -> Frame | None:
    """What a frame is counted as; None if it ends within the Ethernet header.

    The ethertype is the one behind up to two VLAN tags; a frame that ends with a tag carries that tag.
    """
    if len(data) < 14:
        return None
    at = 12
    for _ in range(_MAX_TAGS):
        if int.from_bytes(data[at : at + 2]) in _TAGS and len(data) >= at + 6:
            at += 4
    ethertype = int.from_bytes(data[at : at + 2])
    cast: Cast = "unicast"
    if data[0] & 1:
        cast = "broadcast" if data[:6] == b"\xff" * 6 else "multicast"
    return Frame(LLC if ethertype < FIRST_ETHERTYPE else ethertype, cast)


def size_class(size: int) -> int:
    """The place of a size in `Traffic.sizes`."""
    return min(max(size, 1).bit_length() - 1, SIZES - 1)


def counters_map() -> MapSpec:
    """The map of one program."""
    return MapSpec(COUNTERS, MapType.ARRAY, 4, possible_cpus() * CPU_BYTES, 1, BPF_F_MMAPABLE)


def prepare(counters: memoryview) -> None:
    """Give the ethertypes that have names their places, before the program runs."""
    for cpu in range(len(counters) // CPU_BYTES):
        for ethertype in NAMES.keys() - {OTHER}:
            place = ethertype * HASH_FACTOR >> HASH_SHIFT & PLACES - 1
            struct.pack_into("=Q", counters, cpu * CPU_BYTES + ETHERTYPES_AT + place * ENTRY_BYTES, ethertype)


def read_missed(counters: memoryview | bytes) -> dict[str, int]:
    """Packets that could not be counted, by reason."""
    parts = range(0, len(counters), CPU_BYTES)
    return {"unreadable": sum(struct.unpack_from("=Q", counters, at + _UNREADABLE_AT)[0] for at in parts)}


def read_counters(counters: memoryview | bytes, direction: Direction) -> Traffic:
    """Add up what all CPUs counted. `counters` is the map's value, mapped or copied."""
    copied = bytes(counters)
    idle = bytes(CPU_BYTES - SIZES_AT)
    steps = [0] * (CAST_BYTES // 8 * len(CASTS))
    ethertypes: dict[int, tuple[int, int]] = {}
    for at in range(0, len(copied), CPU_BYTES):
        if copied[at + SIZES_AT : at + CPU_BYTES] == idle:
            continue  # most CPUs of a large machine see none of an interface's frames
        words = array("Q", copied[at : at + CPU_BYTES])
        for place in range(ETHERTYPES_AT // 8, SIZES_AT // 8, ENTRY_BYTES // 8):
            ethertype, packets, bytes_ = words[place : place + 3]
            if packets:
                number = OTHER if place * 8 == OTHER_AT else ethertype
                before = ethertypes.get(number, (0, 0))
                ethertypes[number] = before[0] + packets, before[1] + bytes_
        steps = list(map(add, steps, words[SIZES_AT // 8 :]))
    casts = [steps[at : at + CAST_BYTES // 8] for at in range(0, len(steps), CAST_BYTES // 8)]
    unicast, multicast, broadcast = map(sum, casts)
    return Traffic(
        direction,
        unicast + multicast + broadcast,
        sum(bytes_ for _, bytes_ in ethertypes.values()),
        unicast,
        multicast,
        broadcast,
        dict(sorted(ethertypes.items())),
        _sizes([sum(each) for each in zip(*casts, strict=True)]),
    )


def _sizes(steps: list[int]) -> tuple[int, ...]:
    """Powers of two from steps. No counted frame has less than 14 bytes: the first step is of one power."""
    sizes = [0] * SIZES
    for step, packets in enumerate(steps[:STEPS]):
        sizes[size_class(max(step << STEP_SHIFT, 14))] += packets
    for number, packets in enumerate(steps[STEPS:]):
        sizes[size_class(2048 << number)] += packets
    return tuple(sizes)


def nothing(direction: Direction) -> Traffic:
    """Traffic of an interface that has had none."""
    return Traffic(direction, 0, 0, 0, 0, 0, {}, (0,) * SIZES)


def plus(one: Traffic, other: Traffic) -> Traffic:
    """The sum of both."""
    return _combined(one, other, 1)


def minus(one: Traffic, other: Traffic) -> Traffic:
    """What `one` has more; `other` is the same interface before."""
    return _combined(one, other, -1)


def _combined(one: Traffic, other: Traffic, sign: int) -> Traffic:
    ethertypes = dict(one.ethertypes)
    for ethertype, (packets, bytes_) in other.ethertypes.items():
        before = ethertypes.get(ethertype, (0, 0))
        ethertypes[ethertype] = before[0] + sign * packets, before[1] + sign * bytes_
    return replace(
        one,
        packets=one.packets + sign * other.packets,
        bytes=one.bytes + sign * other.bytes,
        unicast=one.unicast + sign * other.unicast,
        multicast=one.multicast + sign * other.multicast,
        broadcast=one.broadcast + sign * other.broadcast,
        ethertypes={kind: pair for kind, pair in sorted(ethertypes.items()) if any(pair)},
        sizes=tuple(map(add if sign > 0 else sub, one.sizes, other.sizes)),
    )
