"""Which flow a packet belongs to: the plain-Python definition that the program (`flows.program`) follows.

IPv4 and IPv6, behind up to two VLAN tags, also in the Ethernet frame that a batman-adv packet carries (see
packet.batadv). Ports are those of TCP, UDP, SCTP, DCCP and UDP-Lite; every other protocol has ports 0, ICMP
included, so that a ping and its answer are one flow. A fragment that is not the first has no transport
header: it is counted in the flow of its addresses and protocol with ports 0.

Sources: RFC 791, RFC 8200 (extension headers), IEEE 802.1Q.
"""

from typing import Final, NamedTuple

from meshlens.packet.batadv import ETHERNET_HEADER_BYTES, ETHERTYPE_BATADV, VLAN_TAG_BYTES, inner_offset
from meshlens.probes.flows.layout import IN_BATADV, Key, canonical

__all__ = [
    "AH",
    "EXTENSION_HEADERS",
    "FRAGMENT",
    "IPV4",
    "IPV6",
    "MAX_EXTENSIONS",
    "MAX_TAGS",
    "TAGS",
    "TCP",
    "WITH_PORTS",
    "Dissected",
    "FlowPacket",
    "NotIp",
    "Unreadable",
    "dissect",
    "flow_packet",
]

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
#: Ethertypes of a tag: 802.1Q, 802.1ad.
TAGS: Final = (0x8100, 0x88A8)
MAX_TAGS: Final = 2
TCP: Final = 6
#: TCP, UDP, DCCP, SCTP, UDP-Lite: ports stand in the first four bytes.
WITH_PORTS: Final = (6, 17, 33, 132, 136)
#: Hop-by-hop, routing, destination options, mobility: 8 bytes and as many times 8 as their second byte says.
EXTENSION_HEADERS: Final = (0, 43, 60, 135)
FRAGMENT: Final = 44
AH: Final = 51
MAX_EXTENSIONS: Final = 6
_NO_PORTS: Final = (b"\0\0", b"\0\0")
_FLAGS_OFFSET: Final = 13

#: Link types of files: Ethernet; those that say nothing but how many bytes stand before IP (DLT_RAW,
#: LINKTYPE_RAW, _IPV4, _IPV6; NULL, LOOP); those with an ethertype right before IP (LINUX_SLL, LINUX_SLL2).
_ETHERNET: Final = 1
_BARE: Final = {12: 0, 101: 0, 228: 0, 229: 0, 0: 4, 108: 4}
_COOKED: Final = {113: (14, 16), 276: (0, 20)}


class NotIp(Exception):
    """The frame carries no IP packet: it belongs to no flow."""


class Unreadable(Exception):
    """The frame ends within its IP header, or that header is none."""


class FlowPacket(NamedTuple):
    """The flow of a packet, which way it goes (0: from a to b), its TCP flags."""

    key: Key
    way: int
    flags: int


class Dissected(NamedTuple):
    """A packet, where its IP header begins, and where what its ports stand in does (0: it has no ports)."""

    packet: FlowPacket
    ip: int
    transport: int


def flow_packet(data: bytes, link_type: int = _ETHERNET) -> FlowPacket:
    """The flow that a frame belongs to. Raises NotIp or Unreadable."""
    return dissect(data, link_type).packet


def dissect(data: bytes, link_type: int = _ETHERNET) -> Dissected:
    """The flow that a frame belongs to, and where its headers are. Raises NotIp or Unreadable."""
    ip, version, inside = _network_header(data, link_type)
    reader = _ipv4 if version == 4 else _ipv6
    source, destination, protocol, transport, whole = reader(data, ip)
    ports, flags = _NO_PORTS, 0
    if not whole or protocol not in WITH_PORTS or transport + 4 > len(data):
        transport = 0
    else:
        ports = data[transport : transport + 2], data[transport + 2 : transport + 4]
        if protocol == TCP and transport + _FLAGS_OFFSET < len(data):
            flags = data[transport + _FLAGS_OFFSET]
    packet = FlowPacket(*canonical(source, destination, ports, protocol, version | inside), flags)
    return Dissected(packet, ip, transport)


def _network_header(data: bytes, link_type: int) -> tuple[int, int, int]:
    """Where the IP header begins, its version, what it is inside of."""
    if link_type in _BARE:
        at = _BARE[link_type]
        return at, _version(data, at), 0
    if link_type in _COOKED:
        place, at = _COOKED[link_type]
        ethertype = int.from_bytes(_bytes(data, place, 2))
    elif link_type == _ETHERNET:
        at, ethertype = _ethernet(data, 0)
    else:
        raise NotIp
    inside = 0
    if ethertype == ETHERTYPE_BATADV and link_type == _ETHERNET:
        at, ethertype = _ethernet(data, _inner_frame(data, at))
        inside = IN_BATADV
    if ethertype not in (IPV4, IPV6):
        raise NotIp
    expected = 4 if ethertype == IPV4 else 6
    if _version(data, at) != expected:
        raise Unreadable
    return at, expected, inside


def _ethernet(data: bytes, at: int) -> tuple[int, int]:
    """Behind the Ethernet header and tags, and the ethertype."""
    at += 12
    for _ in range(MAX_TAGS):
        if int.from_bytes(data[at : at + 2]) in TAGS:
            at += 4
    return at + 2, int.from_bytes(_bytes(data, at, 2))


def _inner_frame(data: bytes, at: int) -> int:
    """Where the Ethernet frame in the batman-adv packet begins."""
    if at + 2 > len(data):
        raise NotIp
    inner = inner_offset(data, data[at + 1], data[at], (at - ETHERNET_HEADER_BYTES) // VLAN_TAG_BYTES)
    if inner is None:
        raise NotIp
    return inner


def _version(data: bytes, at: int) -> int:
    version = _bytes(data, at, 1)[0] >> 4
    if version not in (4, 6):
        raise Unreadable
    return version


def _ipv4(data: bytes, at: int) -> tuple[bytes, bytes, int, int, bool]:
    """Source, destination, protocol, where the transport header is, whether it is there."""
    header = _bytes(data, at, 20)
    length = (header[0] & 0xF) * 4
    if length < 20:
        raise Unreadable
    first = int.from_bytes(header[6:8]) & 0x1FFF == 0
    return header[12:16], header[16:20], header[9], at + length, first


def _ipv6(data: bytes, at: int) -> tuple[bytes, bytes, int, int, bool]:
    """As _ipv4; the protocol is what follows the extension headers."""
    header = _bytes(data, at, 40)
    following, transport, first = header[6], at + 40, True
    for _ in range(MAX_EXTENSIONS):
        extension = data[transport : transport + 8]
        if following not in (*EXTENSION_HEADERS, FRAGMENT, AH) or len(extension) < 8:
            break
        if following == FRAGMENT:
            length, first = 8, int.from_bytes(extension[2:4]) & 0xFFF8 == 0
        elif following == AH:
            length = (extension[1] + 2) * 4
        else:
            length = (extension[1] + 1) * 8
        following, transport = extension[0], transport + length
        if not first:
            break
    return header[8:24], header[24:40], following, transport, first


def _bytes(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise Unreadable
    return data[at : at + size]
