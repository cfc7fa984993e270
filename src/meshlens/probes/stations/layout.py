"""What the station program keeps of a station, and how it lies in the maps.

An entry is a *fragment*: what one CPU saw of the station. No two CPUs write one entry, so nothing is locked,
and user space adds the fragments up. Of the first DHCP request and the first TCP SYN of a station the bytes
are kept in a map of their own; they are rare, and user space reads them.
"""

import struct
from dataclasses import dataclass, field
from typing import Final, Self

from meshlens.ebpf import MapSpec, MapType
from meshlens.ebpf.constants import BPF_F_NO_PREALLOC
from meshlens.probes.stations.protocols import CLASSES
from meshlens.probes.stations.record import StationKind
from meshlens.probes.stations.tables import tables_map
from meshlens.probes.tally import TALLY, read_outcomes, tally_map

__all__ = [
    "BLANK",
    "BLANK_FIRST",
    "CAST_START",
    "CLASS_START",
    "DHCP",
    "EVERY_GAP",
    "FACTS_SEEN",
    "FIRSTS",
    "FIRST_BYTES",
    "FIRST_DATA",
    "FIRST_SEEN",
    "GAP_BEGIN",
    "GAP_BINS",
    "GAP_START",
    "GAP_TURN",
    "IN",
    "KINDS",
    "LAST",
    "OUT",
    "OUTCOMES",
    "SIZE_BINS",
    "SIZE_START",
    "STATIONS",
    "SYN",
    "TAG_STEP",
    "TALLY",
    "VALUE_BYTES",
    "VLAN_START",
    "First",
    "Fragment",
    "pack_first_key",
    "pack_key",
    "read_tally",
    "station_maps",
    "unpack_first_key",
    "unpack_key",
]

#: The names of the maps: stations, first packets, what new entries begin as.
STATIONS: Final = "stations"
FIRSTS: Final = "first_packets"
BLANK: Final = "blank"
BLANK_FIRST: Final = "blank_first"

#: The packet is counted for a station; it went out to a group of stations; there was no room for its
#: station, its inner station, its originator; it is shorter than an Ethernet header.
OUTCOMES: Final = ("station", "group", "map_full", "inner_map_full", "originator_map_full", "unreadable")

KINDS: Final[tuple[StationKind, ...]] = ("station", "inner", "originator")
# The address; then the number of the CPU and that of the kind in one.
_KEY: Final = struct.Struct("=6sH")
TAG_STEP: Final = 4

# first, last; when the gap began that is to be measured, 0: none is; packets and bytes in, packets and bytes
# out; facts: 64 bytes, what every frame touches. Then packets in by destination, with a VLAN tag, by size, by
# gap, by class.
FIRST_SEEN, LAST, GAP_BEGIN, IN, OUT, FACTS_SEEN = 0, 8, 16, 24, 40, 56
#: Gap bin n has 2**n to 2**(n+1)-1 microseconds, size bin n as many bytes; the last ones all above, too.
SIZE_BINS, GAP_BINS = 16, 24
#: A clock that can tell gaps costs as much as all the rest. So of the first packets of a station every gap is
#: measured, and then one in so many (a power of 2).
EVERY_GAP, GAP_TURN = 1024, 16
CAST_START: Final = 64
VLAN_START: Final = CAST_START + 3 * 8
SIZE_START: Final = VLAN_START + 8
GAP_START: Final = SIZE_START + 8 * SIZE_BINS
CLASS_START: Final = GAP_START + 8 * GAP_BINS
VALUE_BYTES: Final = CLASS_START + 8 * len(CLASSES)
_VALUE: Final = struct.Struct(f"={VALUE_BYTES // 8}Q")

#: Which first packets are kept: of a TCP SYN the TCP header, of a DHCP request what follows the BOOTP fields.
SYN, DHCP = 0, 1
#: Every host has to take 312 bytes of options (RFC 2131), magic number included.
FIRST_BYTES: Final = 312
# How many bytes there are, and the TTL or hop limit of the packet.
_FIRST_HEAD: Final = struct.Struct("=II")
FIRST_DATA: Final = _FIRST_HEAD.size


@dataclass(slots=True)
class Fragment:
    """A station, or what one CPU saw of it; packets and bytes have index 0 for in, 1 for out."""

    first_ns: int = 0
    last_ns: int = 0
    gap_begin_ns: int = 0
    packets: list[int] = field(default_factory=lambda: [0, 0])
    octets: list[int] = field(default_factory=lambda: [0, 0])
    facts: int = 0
    casts: list[int] = field(default_factory=lambda: [0] * 3)
    vlan: int = 0
    sizes: list[int] = field(default_factory=lambda: [0] * SIZE_BINS)
    gaps: list[int] = field(default_factory=lambda: [0] * GAP_BINS)
    classes: list[int] = field(default_factory=lambda: [0] * len(CLASSES))

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From a value of the map."""
        words = list(_VALUE.unpack(value))
        sizes, gaps, classes = SIZE_START // 8, GAP_START // 8, CLASS_START // 8
        return cls(
            words[0], words[1], words[2], words[3:7:2], words[4:7:2], words[7], words[8:11], words[11],
            words[sizes:gaps], words[gaps:classes], words[classes:],
        )  # fmt: skip

    def copy(self) -> "Fragment":
        """One that can be added to without changing this one."""
        return Fragment(
            self.first_ns, self.last_ns, self.gap_begin_ns, self.packets[:], self.octets[:], self.facts,
            self.casts[:], self.vlan, self.sizes[:], self.gaps[:], self.classes[:],
        )  # fmt: skip

    def add(self, other: "Fragment") -> None:
        """Add what was seen elsewhere of the same station."""
        self.first_ns = min(self.first_ns, other.first_ns)
        self.last_ns = max(self.last_ns, other.last_ns)
        self.facts |= other.facts
        self.vlan += other.vlan
        for name in ("packets", "octets", "casts", "sizes", "gaps", "classes"):
            sums = map(sum, zip(getattr(self, name), getattr(other, name), strict=True))
            setattr(self, name, list(sums))


@dataclass(frozen=True, slots=True)
class First:
    """The first packet of its sort that a station sent: the TTL or hop limit, and bytes to be read."""

    ttl: int
    data: bytes

    @classmethod
    def unpack(cls, value: bytes) -> "First | None":
        """From a value of the map; None while the program has not filled it."""
        size, ttl = _FIRST_HEAD.unpack_from(value)
        return cls(ttl, value[FIRST_DATA : FIRST_DATA + size]) if size else None


def pack_key(mac: bytes, kind: StationKind, cpu: int = 0) -> bytes:
    """As the key of the map of stations."""
    return _KEY.pack(mac, cpu * TAG_STEP + KINDS.index(kind))


def unpack_key(key: bytes) -> tuple[bytes, StationKind]:
    """The address and the kind of a key, whichever CPU."""
    mac, tag = _KEY.unpack(key)
    return mac, KINDS[tag % TAG_STEP]


def pack_first_key(mac: bytes, which: int) -> bytes:
    """As the key of the map of first packets; `which` is SYN or DHCP."""
    return _KEY.pack(mac, which)


def unpack_first_key(key: bytes) -> tuple[bytes, int]:
    """The address, and SYN or DHCP."""
    mac, which = _KEY.unpack(key)
    return mac, which


def station_maps(max_stations: int) -> dict[str, MapSpec]:
    """The maps that the programs of one interface share.

    Room for stations is taken at the start, that for first packets when they come: most stations that are
    seen on a mesh never send one.
    """
    specs = (
        MapSpec(STATIONS, MapType.HASH, _KEY.size, VALUE_BYTES, max_stations),
        MapSpec(
            FIRSTS, MapType.HASH, _KEY.size, FIRST_DATA + FIRST_BYTES, 2 * max_stations, BPF_F_NO_PREALLOC
        ),
        tally_map(),
        MapSpec(BLANK, MapType.ARRAY, 4, VALUE_BYTES, 1),
        MapSpec(BLANK_FIRST, MapType.ARRAY, 4, FIRST_DATA + FIRST_BYTES, 1),
    )
    return {spec.name: spec for spec in specs} | tables_map()


def read_tally(tally: memoryview) -> dict[str, int]:
    """Packets by outcome, of all CPUs; `tally` is the mapped value."""
    return read_outcomes(tally, OUTCOMES)
