"""How the program keeps what it works with: the map of elements that count, and room for one frame's.

ELEMENTS leads from an element's kind to its slot. Each CPU has a part of SCRATCH, where the elements of the
frame at hand are put by slot, before they go into the row: there, the place of every byte is a constant.
"""

import struct
from typing import Final

from meshlens.classify.kernel.entry import sample_maps
from meshlens.classify.wifi_station.features import CONTENT_BYTES, FEATURES, SLOTS, Slot
from meshlens.ebpf import Map, MapSpec, MapType
from meshlens.ebpf import possible_cpus as cpus

__all__ = [
    "CPU_BYTES",
    "ELEMENTS",
    "ELEMENT_BYTES",
    "KEY_BYTES",
    "NEW",
    "SCRATCH",
    "SLOT_BYTES",
    "SLOT_CONTENT",
    "SLOT_LENGTH",
    "SLOT_PLACE",
    "fill",
    "slot_at",
    "station_maps",
]

#: The names of the maps; NEW is what entries begin as.
ELEMENTS: Final = "elements"
SCRATCH: Final = "scratch"
NEW: Final = "new"

#: A station's address.
KEY_BYTES: Final = 6
#: An element's number (in host order), then four bytes: OUI and type, an extension, or nothing.
_ELEMENT: Final = struct.Struct("=I4s")
ELEMENT_BYTES: Final = _ELEMENT.size

#: In a slot: the element's place in the frame (0: it is not there), its length, the begin of its content.
SLOT_PLACE, SLOT_LENGTH, SLOT_CONTENT = 0, 1, 8
SLOT_BYTES: Final = SLOT_CONTENT + CONTENT_BYTES
#: A CPU's part: how many elements have no slot, then the slots; whole cache lines.
_SLOTS_AT: Final = 8
CPU_BYTES: Final = -(-(_SLOTS_AT + SLOT_BYTES * len(SLOTS)) // 64) * 64


def slot_at(number: int) -> int:
    """Where a slot begins in a CPU's part."""
    return _SLOTS_AT + SLOT_BYTES * number


def _element(slot: Slot) -> bytes:
    """The key of a slot's element in ELEMENTS."""
    number, more = slot.key & 0xFF, slot.key >> 8
    return _ELEMENT.pack(number, more.to_bytes(4 if more > 0xFF else 1))


def station_maps(max_stations: int) -> dict[str, MapSpec]:
    """The maps of the program."""
    samples = sample_maps(KEY_BYTES, len(FEATURES), max_stations)
    specs = (
        MapSpec(ELEMENTS, MapType.HASH, ELEMENT_BYTES, 4, len(SLOTS)),
        MapSpec(SCRATCH, MapType.ARRAY, 4, cpus() * CPU_BYTES, 1),
        MapSpec(NEW, MapType.ARRAY, 4, samples["samples"].value_size, 1),
    )
    return samples | {spec.name: spec for spec in specs}


def fill(maps: dict[str, Map]) -> None:
    """Tell the program which elements count."""
    for number, slot in enumerate(SLOTS):
        maps[ELEMENTS].update(_element(slot), struct.pack("=I", number))
