"""Frames made to measure: Ethernet to TCP, with right lengths and checksums.

Addresses are text ("02:00:00:00:00:01", "192.0.2.1", "2001:db8::1"); results are bytes. Functions named after
a protocol return that protocol's packet together with the IP header below it, since checksums need both.
"""

import ipaddress

from meshlens.packet.layout import (
    ARP,
    ETHERNET,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    IGMP,
    IPV4,
    IPV6,
    TCP,
    UDP,
    VLAN_TAG,
)

__all__ = [
    "BROADCAST",
    "ETHERTYPE_ARP",
    "ETHERTYPE_IPV4",
    "ETHERTYPE_IPV6",
    "ETHERTYPE_VLAN",
    "arp",
    "checksum",
    "ethernet",
    "icmp",
    "icmpv6",
    "igmp",
    "ip",
    "ip_frame",
    "mac",
    "tag",
    "tcp",
    "udp",
]

BROADCAST = "ff:ff:ff:ff:ff:ff"
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD
_PROTOCOL_HOP_BY_HOP, _PROTOCOL_ICMP, _PROTOCOL_IGMP, _PROTOCOL_TCP, _PROTOCOL_UDP, _PROTOCOL_ICMPV6 = (
    0,
    1,
    2,
    6,
    17,
    58,
)
_ROUTER_ALERT_V4 = bytes.fromhex("94040000")  # RFC 2113
_ROUTER_ALERT_V6 = bytes.fromhex("050200000100")  # RFC 2711 for MLD, and two bytes of padding


def mac(text: str) -> int:
    """The number that a MAC address is on the wire."""
    return int(text.replace(":", ""), 16)


def ethernet(destination: str, source: str, ethertype: int, payload: bytes) -> bytes:
    """An Ethernet frame, without padding and check sequence."""
    return ETHERNET.encode(destination=mac(destination), source=mac(source), ethertype=ethertype) + payload


def tag(frame: bytes, *vlans: int, ethertype: int = ETHERTYPE_VLAN) -> bytes:
    """The frame with IEEE 802.1Q tags, the outermost first."""
    for vlan in reversed(vlans):
        inner = int.from_bytes(frame[12:14], "big")
        shim = ethertype.to_bytes(2, "big") + VLAN_TAG.encode(vlan=vlan, ethertype=inner)
        frame = frame[:12] + shim + frame[14:]
    return frame


def arp(operation: int, sender_mac: str, sender_ip: str, target_mac: str, target_ip: str) -> bytes:
    """An ARP packet for IPv4 over Ethernet; operation 1 is a request, 2 a reply."""
    return ARP.encode(
        hardware=1,
        protocol=ETHERTYPE_IPV4,
        hardware_bytes=6,
        protocol_bytes=4,
        operation=operation,
        sender_mac=mac(sender_mac),
        sender_ip=int(ipaddress.IPv4Address(sender_ip)),
        target_mac=mac(target_mac),
        target_ip=int(ipaddress.IPv4Address(target_ip)),
    )


def ip(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    hop_limit: int = 64,
    router_alert: bool = False,
    **fields: int,
) -> bytes:
    """An IPv4 or IPv6 packet, as the addresses say; `fields` are further fields of its header."""
    if ":" not in source:
        return _ipv4(
            source,
            destination,
            protocol,
            payload,
            _ROUTER_ALERT_V4 if router_alert else b"",
            ttl=hop_limit,
            **fields,
        )
    if router_alert:
        payload = HOP_BY_HOP.encode(next_header=protocol) + _ROUTER_ALERT_V6 + payload
        protocol = _PROTOCOL_HOP_BY_HOP
    header = IPV6.encode(
        version=6,
        payload_bytes=len(payload),
        next_header=protocol,
        hop_limit=hop_limit,
        source=int(ipaddress.IPv6Address(source)),
        destination=int(ipaddress.IPv6Address(destination)),
        **fields,
    )
    return header + payload


def _ipv4(
    source: str, destination: str, protocol: int, payload: bytes, options: bytes, **fields: int
) -> bytes:
    header = IPV4.encode(
        version=4,
        header_words=(IPV4.size_bytes + len(options)) // 4,
        total_bytes=IPV4.size_bytes + len(options) + len(payload),
        protocol=protocol,
        source=int(ipaddress.IPv4Address(source)),
        destination=int(ipaddress.IPv4Address(destination)),
        **fields,
    )
    header += options
    return _with_checksum(header, IPV4["checksum"].offset, checksum(header)) + payload


def udp(
    source: str,
    destination: str,
    source_port: int,
    destination_port: int,
    payload: bytes,
    *,
    hop_limit: int = 64,
) -> bytes:
    """A UDP datagram."""
    header = UDP.encode(
        source_port=source_port, destination_port=destination_port, total_bytes=UDP.size_bytes + len(payload)
    )
    segment = header + payload
    total = checksum(_pseudo_header(source, destination, _PROTOCOL_UDP, segment) + segment)
    segment = _with_checksum(segment, UDP["checksum"].offset, total or 0xFFFF)  # 0 means "not computed"
    return ip(source, destination, _PROTOCOL_UDP, segment, hop_limit=hop_limit)


def tcp(
    source: str,
    destination: str,
    source_port: int,
    destination_port: int,
    payload: bytes = b"",
    *,
    flags: int = 0x10,
    options: bytes = b"",
    **fields: int,
) -> bytes:
    """A TCP segment (an ACK unless `flags` says otherwise); `options` of a multiple of 4 bytes."""
    header = TCP.encode(
        source_port=source_port,
        destination_port=destination_port,
        header_words=(TCP.size_bytes + len(options)) // 4,
        flags=flags,
        **fields,
    )
    segment = header + options + payload
    total = checksum(_pseudo_header(source, destination, _PROTOCOL_TCP, segment) + segment)
    return ip(source, destination, _PROTOCOL_TCP, _with_checksum(segment, TCP["checksum"].offset, total))


def icmp(
    source: str, destination: str, type: int, code: int = 0, rest: int = 0, payload: bytes = b""
) -> bytes:
    """An ICMP message; `rest` is its second word."""
    message = ICMP.encode(type=type, code=code, rest=rest) + payload
    message = _with_checksum(message, ICMP["checksum"].offset, checksum(message))
    return ip(source, destination, _PROTOCOL_ICMP, message)


def icmpv6(
    source: str,
    destination: str,
    type: int,
    code: int = 0,
    rest: int = 0,
    payload: bytes = b"",
    *,
    hop_limit: int = 255,
    router_alert: bool = False,
) -> bytes:
    """An ICMPv6 message; `rest` is its second word. Neighbour discovery demands hop limit 255 (RFC 4861)."""
    message = ICMPV6.encode(type=type, code=code, rest=rest) + payload
    total = checksum(_pseudo_header(source, destination, _PROTOCOL_ICMPV6, message) + message)
    message = _with_checksum(message, ICMPV6["checksum"].offset, total)
    return ip(source, destination, _PROTOCOL_ICMPV6, message, hop_limit=hop_limit, router_alert=router_alert)


def igmp(
    source: str, destination: str, type: int, group: str, max_response: int = 0, payload: bytes = b""
) -> bytes:
    """An IGMP message, with time to live 1 and the router alert option (RFC 2236)."""
    message = (
        IGMP.encode(type=type, max_response=max_response, group=int(ipaddress.IPv4Address(group))) + payload
    )
    message = _with_checksum(message, IGMP["checksum"].offset, checksum(message))
    return ip(source, destination, _PROTOCOL_IGMP, message, hop_limit=1, router_alert=True)


def ip_frame(source_mac: str, packet: bytes, destination_mac: str | None = None) -> bytes:
    """The Ethernet frame for an IP packet; without `destination_mac` it goes where the packet's address says.

    That works for groups and for addresses that end in .255. Raises ValueError for others.
    """
    version = packet[0] >> 4
    ethertype = ETHERTYPE_IPV4 if version == 4 else ETHERTYPE_IPV6
    address = packet[16:20] if version == 4 else packet[24:40]
    return ethernet(destination_mac or _group_mac(address), source_mac, ethertype, packet)


def _group_mac(address: bytes) -> str:
    if len(address) == 16 and address[0] == 0xFF:
        return "33:33:" + address[12:].hex(":")  # RFC 2464
    if len(address) == 4 and 224 <= address[0] < 240:
        return f"01:00:5e:{address[1] & 0x7F:02x}:" + address[2:].hex(":")  # RFC 1112
    if len(address) == 4 and address[3] == 255:
        return BROADCAST
    raise ValueError(f"{ipaddress.ip_address(address)} is no group; its frame needs a destination")


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    # 0x10000 is 1 modulo 0xffff, so that a remainder is the one's complement sum of the words.
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return -number % 0xFFFF if number else 0xFFFF


def _pseudo_header(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """What the checksum of a transport protocol covers besides itself (RFC 9293, RFC 8200)."""
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return addresses + len(payload).to_bytes(4, "big") + protocol.to_bytes(4, "big")


def _with_checksum(message: bytes, at: int, value: int) -> bytes:
    return message[:at] + value.to_bytes(2, "big") + message[at + 2 :]
