"""Control messages of links and groups: neighbour discovery, MLD, IGMP and the hellos of routing protocols.

Each function returns an IP packet. Sources: RFC 4861 (neighbour discovery), 2710 and 3810 (MLD), 2236 and
3376 (IGMP), 2328 (OSPF), 7761 (PIM), 8966 (Babel), 3626 (OLSR).
"""

import ipaddress

from meshlens.packet.craft import checksum, icmpv6, igmp, ip, mac, udp

__all__ = [
    "ALL_NODES",
    "babel_hello",
    "igmp_leave",
    "igmp_query",
    "igmp_query_v3",
    "igmp_report",
    "igmp_report_v3",
    "mld_done",
    "mld_query",
    "mld_query_v2",
    "mld_report",
    "mld_report_v2",
    "neighbour_advertisement",
    "neighbour_solicitation",
    "olsr_hello",
    "ospf_hello",
    "pim_hello",
    "router_advertisement",
    "router_solicitation",
]

ALL_NODES = "ff02::1"
_ALL_ROUTERS = "ff02::2"
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER, _PREFIX = 1, 2, 3  # options of neighbour discovery
_EVERY_GROUP_V4 = "0.0.0.0"  # noqa: S104  (a group in a packet, no socket)
_EVERY_GROUP_V6 = "::"
_TO_EXCLUDE = 4  # a record of MLDv2 and IGMPv3: all sources of this group are wanted


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _link_layer_option(type: int, address: str) -> bytes:
    return bytes((type, 1)) + mac(address).to_bytes(6, "big")


def neighbour_solicitation(source_mac: str, source: str, target: str) -> bytes:
    """Who has `target`? To its solicited-node group."""
    group = "ff02::1:ff" + ipaddress.IPv6Address(target).exploded[-7:]
    return icmpv6(
        source, group, 135, payload=_packed(target) + _link_layer_option(_SOURCE_LINK_LAYER, source_mac)
    )


def neighbour_advertisement(source_mac: str, source: str, destination: str, target: str) -> bytes:
    """`target` is at `source_mac`: solicited, or to all nodes unsolicited; it overrides what was known."""
    flags = 0x2000_0000 if destination == ALL_NODES else 0x6000_0000
    option = _link_layer_option(_TARGET_LINK_LAYER, source_mac)
    return icmpv6(source, destination, 136, rest=flags, payload=_packed(target) + option)


def router_solicitation(source_mac: str, source: str) -> bytes:
    """Are there routers? To all routers."""
    return icmpv6(source, _ALL_ROUTERS, 133, payload=_link_layer_option(_SOURCE_LINK_LAYER, source_mac))


def router_advertisement(source_mac: str, source: str, prefix: str, destination: str = ALL_NODES) -> bytes:
    """Hop limit 64, lifetime 30 minutes, one on-link prefix of 64 bits for autoconfiguration."""
    lifetimes = (86400).to_bytes(4, "big") + (14400).to_bytes(4, "big")
    prefix_option = bytes((_PREFIX, 4, 64, 0xC0)) + lifetimes + bytes(4) + _packed(prefix)
    payload = bytes(8) + _link_layer_option(_SOURCE_LINK_LAYER, source_mac) + prefix_option
    return icmpv6(source, destination, 134, rest=64 << 24 | 1800, payload=payload)


def _mld(source: str, destination: str, type: int, rest: int, payload: bytes) -> bytes:
    return icmpv6(source, destination, type, rest=rest, payload=payload, hop_limit=1, router_alert=True)


def mld_query(source: str, group: str = _EVERY_GROUP_V6) -> bytes:
    """An MLDv1 query, general without `group`; 10 seconds to answer."""
    return _mld(source, ALL_NODES if group == _EVERY_GROUP_V6 else group, 130, 10_000 << 16, _packed(group))


def mld_query_v2(source: str, group: str = _EVERY_GROUP_V6) -> bytes:
    """An MLDv2 query, robustness 2, every 125 seconds."""
    payload = _packed(group) + bytes((2, 125, 0, 0))
    return _mld(source, ALL_NODES if group == _EVERY_GROUP_V6 else group, 130, 10_000 << 16, payload)


def mld_report(source: str, group: str) -> bytes:
    """An MLDv1 report: `source` listens to `group`."""
    return _mld(source, group, 131, 0, _packed(group))


def mld_done(source: str, group: str) -> bytes:
    """An MLDv1 done: `source` no longer listens to `group`."""
    return _mld(source, _ALL_ROUTERS, 132, 0, _packed(group))


def mld_report_v2(source: str, *groups: str) -> bytes:
    """An MLDv2 report: `source` listens to these groups, whoever sends."""
    records = b"".join(bytes((_TO_EXCLUDE, 0, 0, 0)) + _packed(group) for group in groups)
    return _mld(source, "ff02::16", 143, len(groups), records)


def igmp_query(source: str, group: str = _EVERY_GROUP_V4) -> bytes:
    """An IGMPv2 query, general without `group`; 10 seconds to answer."""
    return igmp(source, "224.0.0.1" if group == _EVERY_GROUP_V4 else group, 0x11, group, max_response=100)


def igmp_query_v3(source: str, group: str = _EVERY_GROUP_V4) -> bytes:
    """An IGMPv3 query, robustness 2, every 125 seconds."""
    destination = "224.0.0.1" if group == _EVERY_GROUP_V4 else group
    return igmp(source, destination, 0x11, group, max_response=100, payload=bytes((2, 125, 0, 0)))


def igmp_report(source: str, group: str) -> bytes:
    """An IGMPv2 report: `source` listens to `group`."""
    return igmp(source, group, 0x16, group)


def igmp_leave(source: str, group: str) -> bytes:
    """An IGMPv2 leave: `source` no longer listens to `group`."""
    return igmp(source, "224.0.0.2", 0x17, group)


def igmp_report_v3(source: str, *groups: str) -> bytes:
    """An IGMPv3 report; the number of groups stands where other messages have one group."""
    records = b"".join(bytes((_TO_EXCLUDE, 0, 0, 0)) + _packed(group) for group in groups)
    return igmp(source, "224.0.0.22", 0x22, str(ipaddress.IPv4Address(len(groups))), payload=records)


def ospf_hello(source: str) -> bytes:
    """An OSPFv2 hello of the backbone area without neighbours."""
    hello = bytes.fromhex("ffffff00 000a 02 01 00000028") + _packed(source) + bytes(4)
    header = bytes((2, 1, 0, 24 + len(hello))) + _packed(source) + bytes(4)
    total = checksum(header + bytes(4) + hello)  # the authentication field that follows is not covered
    return ip(source, "224.0.0.5", 89, header + total.to_bytes(2, "big") + bytes(10) + hello, hop_limit=1)


def pim_hello(source: str) -> bytes:
    """A PIMv2 hello with a hold time of 105 seconds."""
    hello = bytes.fromhex("2000 0000 0001 0002 0069")
    total = checksum(hello).to_bytes(2, "big")
    return ip(source, "224.0.0.13", 103, hello[:2] + total + hello[4:], hop_limit=1)


def babel_hello(source: str, seqno: int) -> bytes:
    """A Babel hello, every 4 seconds."""
    hello = bytes((4, 6, 0, 0)) + (seqno & 0xFFFF).to_bytes(2, "big") + (400).to_bytes(2, "big")
    return udp(source, "ff02::1:6", 6696, 6696, bytes((42, 2, 0, len(hello))) + hello, hop_limit=1)


def olsr_hello(source: str, seqno: int) -> bytes:
    """An OLSR (version 1) hello without neighbours."""
    number = (seqno & 0xFFFF).to_bytes(2, "big")
    message = bytes((1, 0x86, 0, 16)) + _packed(source) + bytes((1, 0)) + number + bytes((0, 0, 5, 3))
    return udp(source, "255.255.255.255", 698, 698, (4 + len(message)).to_bytes(2, "big") + number + message)
