"""Whose packet a frame is, and what is counted of it: the plain-Python definition of the station program.

A station is the source of a frame that comes in, the destination of one that goes out; groups are nobody. A
frame of batman-adv has up to two more: the originator of the packet (on the way out: the one it is for), and
the station whose frame it carries. Addresses and types: `packet.batadv`; of aggregated OGMs the first counts.

Headers are read as far as they are whole; what comes behind one that is not is not told apart.
"""

from typing import Final, NamedTuple

from meshlens.packet.batadv import ETHERTYPE_BATADV, PacketType, find_type, inner_offset
from meshlens.probes.flows.packet import (
    AH,
    EXTENSION_HEADERS,
    FRAGMENT,
    IPV4,
    IPV6,
    MAX_EXTENSIONS,
    MAX_TAGS,
    TAGS,
    Unreadable,
)
from meshlens.probes.stations.layout import DHCP, FIRST_BYTES, SYN, First
from meshlens.probes.stations.protocols import (
    BATADV_CLASS,
    CLASSES,
    ETHERTYPE_CLASSES,
    HAS_PORTS,
    ICMP6,
    ICMP6_FACTS,
    IPV4_CLASS,
    IPV6_CLASS,
    IS_DAD,
    IS_DHCP,
    IS_SYN,
    IS_VLAN,
    LLC_CLASS,
    NEIGHBOUR_SOLICITATION,
    OTHER_CLASS,
    PROTOCOL_CLASSES,
    SERVICE_CLASSES,
    facts_of,
)
from meshlens.probes.stations.record import StationKind

__all__ = [
    "BOOTP_BYTES",
    "DHCP_PORTS",
    "ETHERNET_BYTES",
    "LLC_BELOW",
    "SYN_BYTES",
    "TCP_BYTES",
    "UDP_BYTES",
    "Headers",
    "Sighting",
    "Unreadable",
    "address_offset",
    "dissect",
    "sightings",
]

ETHERNET_BYTES: Final = 14
#: Smaller ethertypes are lengths (IEEE 802.3).
LLC_BELOW: Final = 0x0600
#: As many bytes of a TCP header have to be there: up to the flags. A whole one has 60 at most.
TCP_BYTES, SYN_BYTES = 14, 60
_SYN, _ACK = 0x02, 0x10
#: From a client to a server, as the four bytes of ports in a header of UDP.
DHCP_PORTS: Final = 68 << 16 | 67
UDP_BYTES: Final = 8
#: What stands before the options and their magic number (RFC 2131).
BOOTP_BYTES: Final = 236
_TCP, _UDP = 6, 17
_GROUP: Final = 1
_BROADCAST: Final = b"\xff" * 6
#: Fields that tell where a packet of batman-adv comes from, and where it goes.
_ADDRESSES: Final = (("orig", "src", "vis_orig"), ("dest", "dst"))


class Sighting(NamedTuple):
    """A station in a frame. `cast`: the frame goes to 0 one station, 1 a group, 2 all.

    `number` is the class of the frame, `facts` are bits; see `protocols`. `first` is what may be the
    first packet of its sort: SYN or DHCP, and its bytes.
    """

    mac: bytes
    kind: StationKind
    number: int
    facts: int
    cast: int
    size: int
    first: tuple[int, First] | None


def sightings(data: bytes, wire_length: int, way: int) -> list[Sighting]:
    """The stations of an Ethernet frame that comes in (`way` 0) or goes out (1). Raises Unreadable."""
    if len(data) < ETHERNET_BYTES:
        raise Unreadable
    frame = dissect(data, 0)
    seen = [_sighting(data, 0, wire_length, way, "station", frame)]
    if frame.number == BATADV_CLASS:
        kind = _batadv_type(data, frame.behind)
        if kind and frame.behind + kind.header_bytes <= len(data):
            offset = address_offset(kind, way)
            if offset is not None:
                begin = frame.behind + offset
                seen.append(seen[0]._replace(mac=data[begin : begin + 6], kind="originator"))
            inner = _inner(data, frame.behind, kind)
            if inner is not None and inner + ETHERNET_BYTES <= len(data):
                carried = dissect(data, inner)
                seen.append(_sighting(data, inner, wire_length - inner, way, "inner", carried))
    return [each for each in seen if not (way and each.cast and each.kind != "originator")]


class Headers(NamedTuple):
    """The class and facts of a frame, where the headers that are told apart end, its IP header's TTL.

    `ip` is where its IP header begins, 0 if it has none that is whole.
    """

    number: int
    facts: int
    behind: int
    ttl: int = 0
    ip: int = 0


def _sighting(data: bytes, at: int, size: int, way: int, kind: StationKind, frame: Headers) -> Sighting:
    destination, source = data[at : at + 6], data[at + 6 : at + 12]
    cast = 2 if destination == _BROADCAST else destination[0] & _GROUP
    if way:
        return Sighting(destination, kind, frame.number, frame.facts, cast, size, None)
    facts = frame.facts | sum(map(facts_of, CLASSES[frame.number]))
    return Sighting(source, kind, frame.number, facts, cast, size, _first(data, frame))


def _first(data: bytes, frame: Headers) -> tuple[int, First] | None:
    if frame.facts & IS_DHCP:
        begin = frame.behind + UDP_BYTES + BOOTP_BYTES
        which, content = DHCP, data[begin : begin + FIRST_BYTES]
    elif frame.facts & IS_SYN:
        which, content = SYN, data[frame.behind : frame.behind + SYN_BYTES]
    else:
        return None
    return (which, First(frame.ttl, content)) if content else None


def dissect(data: bytes, at: int = 0) -> Headers:
    """The headers of the frame whose Ethernet header, which has to be whole, stands at `at`."""
    facts, at = 0, at + ETHERNET_BYTES
    ethertype = _number(data, at - 2, 2)
    for _ in range(MAX_TAGS):
        if ethertype in TAGS and at + 4 <= len(data):
            ethertype, facts, at = _number(data, at + 2, 2), IS_VLAN, at + 4
    if ethertype == IPV4:
        return _ipv4(data, at, facts)
    if ethertype == IPV6:
        return _ipv6(data, at, facts)
    number = LLC_CLASS if ethertype < LLC_BELOW else ETHERTYPE_CLASSES.get(ethertype, OTHER_CLASS)
    return Headers(number, facts, at)


def _ipv4(data: bytes, at: int, facts: int) -> Headers:
    version, length = _number(data, at, 1) >> 4, (_number(data, at, 1) & 0xF) * 4
    if at + 20 > len(data) or version != 4 or length < 20:
        return Headers(IPV4_CLASS, facts, at)
    protocol, ttl = data[at + 9], data[at + 8]
    if _number(data, at + 6, 2) & 0x1FFF:
        return Headers(IPV4_CLASS + PROTOCOL_CLASSES.get(protocol, 0), facts, at, ip=at)
    return _transport(data, at + length, protocol, Headers(IPV4_CLASS, facts, at, ttl, at), unspecified=False)


def _ipv6(data: bytes, at: int, facts: int) -> Headers:
    if at + 40 > len(data) or data[at] >> 4 != 6:
        return Headers(IPV6_CLASS, facts, at)
    following, ttl, transport = data[at + 6], data[at + 7], at + 40
    for _ in range(MAX_EXTENSIONS):
        extension = data[transport : transport + 8]
        if following not in (*EXTENSION_HEADERS, FRAGMENT, AH) or len(extension) < 8:
            break
        length = (extension[1] + 2) * 4 if following == AH else (extension[1] + 1) * 8
        later = following == FRAGMENT and _number(extension, 2, 2) > 7
        length = 8 if following == FRAGMENT else length
        following, transport = extension[0], transport + length
        if later:
            return Headers(IPV6_CLASS + PROTOCOL_CLASSES.get(following, 0), facts, at, ip=at)
    unspecified = not any(data[at + 8 : at + 24])
    return _transport(
        data, transport, following, Headers(IPV6_CLASS, facts, at, ttl, at), unspecified=unspecified
    )


def _transport(data: bytes, at: int, protocol: int, ip: Headers, *, unspecified: bool) -> Headers:
    facts, added = ip.facts, PROTOCOL_CLASSES.get(protocol, 0)
    if protocol == ICMP6 and ip.number == IPV6_CLASS and at < len(data):
        facts |= ICMP6_FACTS.get(data[at], 0)
        if data[at] == NEIGHBOUR_SOLICITATION and unspecified:
            facts |= IS_DAD
    elif protocol in SERVICE_CLASSES and at + (TCP_BYTES if protocol == _TCP else 4) <= len(data):
        facts |= HAS_PORTS
        services = SERVICE_CLASSES[protocol]
        source, destination = _number(data, at, 2), _number(data, at + 2, 2)
        added = services.get(destination) or services.get(source) or added
        if protocol == _TCP and data[at + 13] & (_SYN | _ACK) == _SYN:
            facts |= IS_SYN
        if protocol == _UDP and _number(data, at, 4) == DHCP_PORTS:
            facts |= IS_DHCP
    return Headers(ip.number + added, facts, at, ip.ttl, ip.ip)


def _batadv_type(data: bytes, at: int) -> PacketType | None:
    if at + 2 > len(data):
        return None
    return find_type(data[at + 1], data[at])


def address_offset(kind: PacketType, way: int) -> int | None:
    """Where in the header the originator stands that has sent a packet (`way` 0) or that it is for (1)."""
    for name in _ADDRESSES[way]:
        if name in kind.header.fields:
            return kind.header[name].offset
    return None


def _inner(data: bytes, at: int, kind: PacketType) -> int | None:
    """Where the inner frame begins."""
    header = at - ETHERNET_BYTES
    inner = inner_offset(data[header:], data[at + 1], kind.number)
    return None if inner is None else header + inner


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size])


assert ETHERTYPE_CLASSES[ETHERTYPE_BATADV] == BATADV_CLASS
