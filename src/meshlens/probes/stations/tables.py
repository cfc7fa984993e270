"""What the station program looks up instead of comparing: byte tables in one array map.

A table costs one load from memory that is always in the cache. And the verifier follows one path behind it,
where comparisons would give it one for each number.
"""

import struct
from typing import Final

from meshlens.ebpf import Map, MapSpec, MapType
from meshlens.probes.stations.protocols import (
    CLASSES,
    ICMP6_FACTS,
    PROTOCOL_CLASSES,
    SERVICE_CLASSES,
    facts_of,
)

__all__ = [
    "CLASS_FACTS",
    "CLASS_ITSELF",
    "ICMP6_TYPES",
    "LOG2",
    "PROTOCOLS",
    "SERVICES",
    "SERVICE_PORTS",
    "TABLES",
    "fill_tables",
    "tables_map",
]

#: The name of the map.
TABLES: Final = "tables"
_BYTE: Final = 256
#: No service that is told apart has a port beyond; the ports that clients choose mostly lie above.
SERVICE_PORTS: Final = 8192

#: Where each table begins. n -> floor(log2(n)), 0 of 0; protocol -> what it adds to the class of the version.
LOG2, PROTOCOLS = 0, _BYTE
#: class -> class: for the verifier, who forgets then which it was; class -> facts, 4 bytes each.
CLASS_ITSELF, CLASS_FACTS = 2 * _BYTE, 3 * _BYTE
#: Type of ICMPv6 -> facts, 4 bytes each.
ICMP6_TYPES: Final = CLASS_FACTS + 4 * _BYTE
_SERVICES_START: Final = ICMP6_TYPES + 4 * _BYTE
#: Protocol -> where the table of its ports begins: port -> what it adds to the class of the version.
SERVICES: Final = {
    number: _SERVICES_START + SERVICE_PORTS * place for place, number in enumerate(SERVICE_CLASSES)
}
_SIZE: Final = _SERVICES_START + SERVICE_PORTS * len(SERVICES)


def tables_map() -> dict[str, MapSpec]:
    """The map; it has to be filled before the program runs."""
    return {TABLES: MapSpec(TABLES, MapType.ARRAY, 4, _SIZE, 1)}


def fill_tables(tables: Map) -> None:
    """Write the tables into their map."""
    tables.update(0, _tables())


def _tables() -> bytes:
    content = bytearray(_SIZE)
    content[LOG2 : LOG2 + _BYTE] = bytes(max(number.bit_length() - 1, 0) for number in range(_BYTE))
    content[CLASS_ITSELF : CLASS_ITSELF + _BYTE] = bytes(range(_BYTE))
    for number, names in enumerate(CLASSES):
        facts = sum(map(facts_of, names))
        struct.pack_into("=I", content, CLASS_FACTS + 4 * number, facts)
    for kind, facts in ICMP6_FACTS.items():
        struct.pack_into("=I", content, ICMP6_TYPES + 4 * kind, facts)
    for protocol, added in PROTOCOL_CLASSES.items():
        content[PROTOCOLS + protocol] = added
    for protocol, services in SERVICE_CLASSES.items():
        for port, added in services.items():
            content[SERVICES[protocol] + port] = added
    return bytes(content)
