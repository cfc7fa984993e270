"""The maps of the station sampler beside those that all tasks have, and its place on the stack.

A row is written by whichever CPU has a packet of its station. The place of a packet in the row is claimed by
one atomic addition; sums are added to without, so that of two packets at the very same time on two CPUs one
may be missing in a sum. Frames of a Wi-Fi or Ethernet port come in on one CPU, but for cards that spread
flows over several.
"""

from typing import Final

from meshlens.classify.ethernet_station.features import FEATURES, KIND_OF_CLASS, PLACE, STATE
from meshlens.classify.kernel.entry import ROW, row_offset, sample_maps
from meshlens.ebpf import Map, MapSpec, MapType, Slot, possible_cpus
from meshlens.probes.stations.dissect import IP_AT, KEY
from meshlens.probes.stations.entry import BYTES, PACKETS
from meshlens.probes.stations.protocols import CLASSES
from meshlens.probes.stations.tables import TABLES, fill_tables, tables_map

__all__ = [
    "BEFORE", "BEHIND", "BLANK", "BUFFER", "CODE", "END", "ENTRY", "EXPECTS_LENGTH", "GAP", "IS_TCP",
    "KEY_SLOT", "KIND", "KINDS_MAP", "KIND_MASK", "LEFT", "OCTETS_SLOT", "PACKETS_SLOT", "SCRATCH",
    "SCRATCH_BYTES", "SIZE", "TRANSPORT", "US", "ethernet_maps", "fill", "offset",
]  # fmt: skip

#: The names of the maps: what a new entry begins as, the kind of each class, room to walk through options.
BLANK: Final = "blank"
KINDS_MAP: Final = "kinds"
SCRATCH: Final = "scratch"

KEY_SLOT: Final = Slot(KEY, 6)
PACKETS_SLOT, OCTETS_SLOT = Slot(PACKETS, 8), Slot(BYTES, 8)
# Below what the dissection has, 8 bytes each; BUFFER is room for a header.
ENTRY, BEHIND, SIZE, KIND, TRANSPORT, US, GAP, BEFORE, END = (IP_AT - 8 * n for n in range(1, 10))
BUFFER: Final = END - 24

#: In the map of kinds, behind the kind: whether the class is of TCP.
KIND_MASK, IS_TCP = 0x0F, 0x20
_TCP_CLASSES: Final = frozenset(number for number, names in enumerate(CLASSES) if "tcp" in names)
_KINDS_BYTES: Final = 256

#: In each CPU's scratch: bytes of options, then where the walk is.
CODE, LEFT, EXPECTS_LENGTH = 320, 328, 336
SCRATCH_BYTES: Final = 384


def offset(name: str) -> int:
    """Where a feature, or what is remembered behind them, stands in an entry."""
    return row_offset(PLACE[name])


def ethernet_maps(max_entries: int) -> dict[str, MapSpec]:
    """The maps of the programs of both directions."""
    numbers = len(FEATURES) + len(STATE)
    specs = (
        MapSpec(BLANK, MapType.ARRAY, 4, ROW + 4 * numbers, 1),
        MapSpec(KINDS_MAP, MapType.ARRAY, 4, _KINDS_BYTES, 1),
        MapSpec(SCRATCH, MapType.ARRAY, 4, possible_cpus() * SCRATCH_BYTES, 1),
    )
    shared = sample_maps(KEY_SLOT.size, numbers, max_entries)
    return shared | {spec.name: spec for spec in specs} | tables_map()


def fill(maps: dict[str, Map]) -> None:
    """Write the tables into their maps."""
    fill_tables(maps[TABLES])
    kinds = bytearray(_KINDS_BYTES)
    for number, kind in enumerate(KIND_OF_CLASS):
        kinds[number] = kind | (IS_TCP if number in _TCP_CLASSES else 0)
    maps[KINDS_MAP].update(0, bytes(kinds))
