"""Crafted frames: scapy builds the same bytes, Wireshark finds nothing wrong."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from meshlens.packet import craft_control as control
from meshlens.packet import craft_services as services
from meshlens.packet.batadv import PACKET_TYPES, VERSIONS, inner_offset
from meshlens.packet.batadv_layout import HEADERS_14, HEADERS_15
from meshlens.packet.craft import (
    BROADCAST,
    arp,
    checksum,
    ethernet,
    icmp,
    icmpv6,
    ip,
    ip_frame,
    mac,
    tag,
    tcp,
    udp,
)
from meshlens.packet.craft_batadv import batadv, batadv_frame, fragments
from tests.unit.packet.tshark import complaints, dissect, needs_tshark

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
HOST, OTHER = "192.0.2.10", "192.0.2.11"
HOST6, OTHER6 = "fe80::a", "2001:db8::12:3456"
payloads = st.binary(max_size=100)
ports = st.integers(0, 65535)


def rebuilt(packet: Packet) -> bytes:
    """The packet as scapy builds it, with all lengths and checksums computed anew."""
    for layer in packet.layers():
        for field in ("chksum", "len", "plen", "ihl", "dataofs"):
            if field in packet[layer].fields:
                delattr(packet[layer], field)
    return bytes(packet)


@given(payloads, ports, ports)
def test_lengths_and_checksums_are_those_that_scapy_computes(
    payload: bytes, source: int, destination: int
) -> None:
    for packet in (
        udp(HOST, OTHER, source, destination, payload),
        udp(HOST6, OTHER6, source, destination, payload),
        tcp(HOST, OTHER, source, destination, payload, sequence=7, window=9),
        tcp(HOST6, OTHER6, source, destination, payload, options=bytes.fromhex("020405b4")),
        icmp(HOST, OTHER, 8, 0, 0x00070009, payload),
        icmpv6(HOST6, OTHER6, 128, 0, 0x00070009, payload),
    ):
        assert rebuilt((IPv6 if packet[0] >> 4 == 6 else IP)(packet)) == packet


def test_frames_are_those_that_scapy_builds() -> None:
    assert arp(1, A, HOST, B, OTHER) == bytes(ARP(op=1, hwsrc=A, psrc=HOST, hwdst=B, pdst=OTHER))
    frame = ip_frame(A, udp(HOST, OTHER, 1000, 2000, b"data"), B)
    layers = IP(src=HOST, dst=OTHER, id=0) / UDP(sport=1000, dport=2000) / Raw(b"data")
    assert frame == bytes(Ether(src=A, dst=B) / layers)
    assert tag(frame, 100, 7) == bytes(Ether(src=A, dst=B) / Dot1Q(vlan=100) / Dot1Q(vlan=7) / layers)
    assert tag(frame, 100, ethertype=0x88A8) == bytes(
        Ether(src=A, dst=B, type=0x88A8) / Dot1Q(vlan=100) / layers
    )
    assert tag(frame) == frame
    segment = IP(src=HOST, dst=OTHER, id=0) / TCP(sport=1, dport=2, flags="S", window=9, seq=5)
    assert tcp(HOST, OTHER, 1, 2, flags=2, window=9, sequence=5) == bytes(segment)
    assert icmp(HOST, OTHER, 8, rest=0x00010002) == bytes(IP(src=HOST, dst=OTHER, id=0) / ICMP(id=1, seq=2))


@given(st.binary(max_size=64))
def test_the_checksum_is_the_complement_of_the_one_s_complement_sum(data: bytes) -> None:
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = 0
    for word in words:  # as RFC 1071 describes it
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == ~total & 0xFFFF


def test_a_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    for filler in range(0x10000):
        packet = udp(HOST, OTHER, 1, 2, filler.to_bytes(2, "big"))
        if packet[26:28] == b"\xff\xff":
            assert rebuilt(IP(packet)) == packet
            return
    pytest.fail("no payload gave a checksum of zero")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("224.0.0.251", "01:00:5e:00:00:fb"),
        ("239.255.255.250", "01:00:5e:7f:ff:fa"),
        ("255.255.255.255", BROADCAST),
        ("192.0.2.255", BROADCAST),
        ("ff02::1:ff12:3456", "33:33:ff:12:34:56"),
    ],
)
def test_groups_say_where_their_frames_go(address: str, expected: str) -> None:
    source = HOST6 if ":" in address else HOST
    assert ip_frame(A, ip(source, address, 17, b""))[:6] == mac(expected).to_bytes(6, "big")


@pytest.mark.parametrize("address", [OTHER, OTHER6])
def test_a_host_does_not_say_where_its_frames_go(address: str) -> None:
    source = HOST6 if ":" in address else HOST
    with pytest.raises(ValueError, match="is no group; its frame needs a destination"):
        ip_frame(A, ip(source, address, 17, b""))


GROUP, GROUP6 = "224.0.0.251", "ff02::fb"
# Packet, and what Wireshark makes of it: its protocols above Ethernet and words of its summary.
MESSAGES = [
    (control.neighbour_solicitation(A, HOST6, OTHER6), "ipv6:icmpv6", f"Neighbor Solicitation for {OTHER6}"),
    (control.neighbour_advertisement(A, HOST6, "ff02::1", HOST6), "ipv6:icmpv6", f"{HOST6} (ovr) is at {A}"),
    (control.router_solicitation(A, HOST6), "ipv6:icmpv6", "Router Solicitation"),
    (control.router_advertisement(A, HOST6, "2001:db8::"), "ipv6:icmpv6", "Router Advertisement"),
    (control.mld_query(HOST6), "ipv6:ipv6.hopopts:icmpv6", "Multicast Listener Query"),
    (control.mld_query_v2(HOST6, GROUP6), "ipv6:ipv6.hopopts:icmpv6", "Multicast Listener Query"),
    (control.mld_report(HOST6, GROUP6), "ipv6:ipv6.hopopts:icmpv6", "Multicast Listener Report"),
    (control.mld_done(HOST6, GROUP6), "ipv6:ipv6.hopopts:icmpv6", "Multicast Listener Done"),
    (control.mld_report_v2(HOST6, GROUP6, "ff05::2"), "ipv6:ipv6.hopopts:icmpv6", "Report Message v2"),
    (control.igmp_query(HOST), "ip:igmp:igmp", "Membership Query, general"),
    (control.igmp_query(HOST, GROUP), "ip:igmp:igmp", f"Membership Query, specific for group {GROUP}"),
    (control.igmp_query_v3(HOST), "ip:igmp:igmp", "Membership Query, general"),
    (control.igmp_report(HOST, GROUP), "ip:igmp:igmp", f"Membership Report group {GROUP}"),
    (control.igmp_leave(HOST, GROUP), "ip:igmp:igmp", f"Leave Group {GROUP}"),
    (control.igmp_report_v3(HOST, GROUP), "ip:igmp:igmp", f"Join group {GROUP} for any sources"),
    (control.ospf_hello(HOST), "ip:ospf", "Hello Packet"),
    (control.pim_hello(HOST), "ip:pim", "Hello"),
    (control.babel_hello(HOST6, 7), "ipv6:udp:babel", "hello"),
    (control.olsr_hello(HOST, 7), "ip:udp:olsr", "OLSR (IPv4) Packet,  Length: 20 Bytes"),
    (services.dhcp("discover", A, 5, HOST, OTHER), "ip:udp:dhcp", "DHCP Discover"),
    (services.dhcp("offer", A, 5, HOST, OTHER), "ip:udp:dhcp", "DHCP Offer"),
    (services.dhcp("request", A, 5, HOST, OTHER), "ip:udp:dhcp", "DHCP Request"),
    (services.dhcp("ack", A, 5, HOST, OTHER), "ip:udp:dhcp", "DHCP ACK"),
    (services.dhcp("release", A, 5, HOST, OTHER), "ip:udp:dhcp", "DHCP Release"),
    (services.dhcpv6_solicit(HOST6, A, 5), "ipv6:udp:dhcpv6", "Solicit XID: 0x000005"),
    (services.mdns_query(HOST, "_ipp._tcp.local"), "ip:udp:mdns", "PTR _ipp._tcp.local"),
    (services.mdns_query(HOST6, "_ipp._tcp.local"), "ipv6:udp:mdns", "PTR _ipp._tcp.local"),
    (services.mdns_response(HOST, "_ipp._tcp.local", "lp"), "ip:udp:mdns", "PTR lp._ipp._tcp.local"),
    (services.llmnr_query(HOST6, 5000, 3, "wpad"), "ipv6:udp:llmnr", "Standard query 0x0003 A wpad"),
    (services.netbios_query(HOST, "192.0.2.255", 3, "wpad"), "ip:udp:nbns", "Name query NB WPAD<00>"),
    (services.ssdp_search(HOST, 5000), "ip:udp:ssdp", "M-SEARCH * HTTP/1.1"),
    (services.ssdp_notify(HOST, 5000, "id"), "ip:udp:ssdp", "NOTIFY * HTTP/1.1"),
]


@needs_tshark
def test_wireshark_reads_every_message_as_meant_and_finds_nothing_wrong() -> None:
    frames = [ip_frame(A, packet) for packet, _protocols, _summary in MESSAGES]
    frames += [
        ip_frame(A, control.neighbour_advertisement(A, HOST6, OTHER6, HOST6), B),
        ip_frame(A, services.dns_query(HOST, OTHER, 5000, 9, "example.org"), B),
        ip_frame(B, services.dns_response(OTHER, HOST, 5000, 9, "example.org", "192.0.2.80"), A),
        ethernet("01:80:c2:00:00:0e", A, 0x88CC, services.lldp(A, "lan1")),
    ]
    expected = [(f"eth:ethertype:{protocols}", summary) for _packet, protocols, summary in MESSAGES]
    expected += [
        ("eth:ethertype:ipv6:icmpv6", f"{HOST6} (sol, ovr) is at {A}"),
        ("eth:ethertype:ip:udp:dns", "Standard query 0x0009 A example.org"),
        ("eth:ethertype:ip:udp:dns", "Standard query response 0x0009 A example.org A 192.0.2.80"),
        ("eth:ethertype:lldp", "MA/02:00:00:00:00:0a IN/lan1 120"),
    ]
    assert complaints(frames) == []
    for row, (protocols, summary) in zip(
        dissect(frames, "frame.protocols", "_ws.col.Info"), expected, strict=True
    ):
        assert row[0] == protocols
        assert summary in row[1]


@needs_tshark
def test_a_wrong_checksum_would_be_found() -> None:
    for packet, at in ((udp(HOST, GROUP, 4711, 4712, b"data"), 28), (control.igmp_leave(HOST, GROUP), 28)):
        frame = bytearray(ip_frame(A, packet))
        frame[14 + at] ^= 0x01
        assert len(complaints([bytes(frame)])) == 1


def test_a_dhcp_message_has_its_type_where_filters_look_for_it() -> None:
    for name, number in services.DHCP_TYPES.items():
        message = services.dhcp(name, A, 1, HOST, OTHER)[20:]
        assert message[247:251] == bytes((0x63, 0x35, 0x01, number))


# batman-adv


@pytest.mark.parametrize("version", VERSIONS)
def test_a_batadv_packet_begins_with_type_and_version(version: int) -> None:
    for kind in PACKET_TYPES[version]:
        packet = batadv(version, kind.name, b"payload")
        assert packet[:2] == bytes((kind.number, version))
        assert packet[kind.header_bytes :] == b"payload"


def test_a_type_or_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="batman-adv 15 has no packet type vis"):
        batadv(15, "vis", b"")
    with pytest.raises(ValueError, match="bcast has no field tq"):
        batadv(15, "bcast", b"", tq=1)


def unicast(version: int, inner: bytes) -> bytes:
    return batadv(version, "unicast", inner, ttvn=3, dest=mac(B))


INNER = ip_frame(A, udp(HOST, OTHER, 4000, 4001, bytes(range(200)) * 7), B)


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_fragments_of_version_15_are_numbered_from_the_tail_and_join_again(count: int) -> None:
    packet = unicast(15, INNER)
    parts = fragments(15, packet, orig=mac(A), seqno=9, count=count)
    headers = [HEADERS_15["unicast_frag"].decode(part) for part in parts]
    assert [header["no"] for header in headers] == list(range(count - 1, -1, -1))
    assert {header["total_size"] for header in headers} == {len(packet)}
    assert b"".join(part[20:] for part in parts) == packet


@pytest.mark.parametrize("inner", [INNER, INNER + b"x"])
def test_fragments_of_version_14_mark_the_head_and_a_larger_tail(inner: bytes) -> None:
    head, tail = fragments(14, unicast(14, inner), orig=mac(A), seqno=9)
    flags = [HEADERS_14["unicast_frag"].decode(part)["flags"] for part in (head, tail)]
    odd = len(inner) % 2
    assert flags == [1 | odd << 1, odd << 1]
    assert head[20:] + tail[20:] == inner
    assert len(tail) - len(head) == odd


@pytest.mark.parametrize("version", VERSIONS)
def test_only_the_head_fragment_shows_the_inner_frame(version: int) -> None:
    parts = fragments(version, unicast(version, INNER), orig=mac(A), seqno=9)
    head, *others = (batadv_frame(B, A, part) for part in parts)
    offset = inner_offset(head, version, "unicast_frag")
    assert offset is not None
    assert INNER.startswith(head[offset:])
    assert len(head) - offset > 500
    assert [inner_offset(other, version, "unicast_frag") for other in others] == [None]


@needs_tshark
@pytest.mark.parametrize("version", VERSIONS)
def test_wireshark_reads_the_headers_of_unicast_and_joins_fragments(version: int) -> None:
    whole = [batadv_frame(B, A, unicast(version, INNER))]
    assert dissect(whole, "batadv.unicast.version", "batadv.unicast.dst", "udp.dstport") == [
        [str(version), B, "4001"]
    ]
    parts = [
        batadv_frame(B, A, part) for part in fragments(version, unicast(version, INNER), orig=mac(A), seqno=9)
    ]
    rows = dissect(parts, "batadv.unicast_frag.orig", "batadv.unicast_frag.dst", "udp.checksum.status")
    assert rows == [[A, B, ""], [A, B, "1"]]  # the checksum is good over both parts
