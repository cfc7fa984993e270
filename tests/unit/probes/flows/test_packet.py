"""Which flow a frame belongs to, said for frames made by hand."""

import pytest

from meshlens.probes.flows.layout import IN_BATADV
from meshlens.probes.flows.packet import NotIp, Unreadable, flow_packet


def frame(ethertype: int, payload: bytes) -> bytes:
    return bytes(12) + ethertype.to_bytes(2) + payload


def ipv4(protocol: int = 17, fragment: int = 0, options: bytes = b"", payload: bytes = b"") -> bytes:
    header = bytes([0x45 + len(options) // 4, 0, 0, 0, 0, 0]) + fragment.to_bytes(2) + bytes([64, protocol])
    return header + bytes(2) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + options + payload


def ipv6(following: int, payload: bytes) -> bytes:
    return bytes([0x60, 0, 0, 0, 0, 0, following, 64]) + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


PORTS = bytes([0x14, 0xE9, 0x00, 0x35])  # 5353, 53
TCP_HEADER = PORTS + bytes(9) + b"\x12" + bytes(6)


def test_both_directions_have_one_key_and_opposite_ways() -> None:
    back = ipv4(payload=PORTS[2:] + PORTS[:2])
    back = back[:12] + back[16:20] + back[12:16] + back[20:]
    there, again = flow_packet(frame(0x0800, ipv4(payload=PORTS))), flow_packet(frame(0x0800, back))
    assert there.key == again.key
    assert {there.way, again.way} == {0, 1}


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_ports_are_those_of_protocols_that_have_ports(protocol: int) -> None:
    key = flow_packet(frame(0x0800, ipv4(protocol, payload=PORTS))).key
    assert {key.a_port, key.b_port} == {PORTS[:2], PORTS[2:]}


@pytest.mark.parametrize("protocol", [1, 2, 47, 50])
def test_other_protocols_have_ports_0(protocol: int) -> None:
    key = flow_packet(frame(0x0800, ipv4(protocol, payload=PORTS))).key
    assert key.a_port == key.b_port == b"\0\0"


def test_tcp_flags_are_read_behind_ip_options() -> None:
    packet = flow_packet(frame(0x0800, ipv4(6, options=bytes(8), payload=TCP_HEADER)))
    assert packet.flags == 0x12


def test_a_later_fragment_has_neither_ports_nor_flags() -> None:
    first = flow_packet(frame(0x0800, ipv4(6, fragment=0x2000, payload=TCP_HEADER)))
    later = flow_packet(frame(0x0800, ipv4(6, fragment=0x2001, payload=TCP_HEADER)))
    assert first.flags == 0x12
    assert later.flags == 0
    assert later.key.a_port == later.key.b_port == b"\0\0"


@pytest.mark.parametrize("tags", [b"", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x05\x81\x00\x00\x07"])
def test_up_to_two_vlan_tags_change_nothing(tags: bytes) -> None:
    packet = flow_packet(bytes(12) + tags + b"\x08\x00" + ipv4(payload=PORTS))
    assert packet == flow_packet(frame(0x0800, ipv4(payload=PORTS)))


def test_ipv6_extension_headers_are_passed_over() -> None:
    options = bytes([44, 1]) + bytes(14)  # hop-by-hop, 16 bytes, then a fragment header
    first_fragment = bytes([51, 0, 0, 1]) + bytes(4)
    authentication = bytes([6, 1]) + bytes(10)
    chain = options + first_fragment + authentication + TCP_HEADER
    packet = flow_packet(frame(0x86DD, ipv6(0, chain)))
    assert packet.key.protocol == 6
    assert packet.flags == 0x12


def test_a_later_ipv6_fragment_has_no_ports_but_the_protocol_that_its_header_names() -> None:
    fragment = bytes([17, 0, 0, 8]) + bytes(4)
    key = flow_packet(frame(0x86DD, ipv6(44, fragment + PORTS))).key
    assert (key.protocol, key.a_port) == (17, b"\0\0")


@pytest.mark.parametrize("ethertype", [0x0806, 0x4305, 0x8847, 100])
def test_a_frame_without_ip_is_in_no_flow(ethertype: int) -> None:
    with pytest.raises(NotIp):
        flow_packet(frame(ethertype, bytes(60)))


UNREADABLE = {
    "no Ethernet": bytes(13),
    "IPv4 cut": frame(0x0800, ipv4())[:33],
    "IPv6 cut": frame(0x86DD, ipv6(17, b""))[:50],
    "version 6 in IPv4": frame(0x0800, b"\x60" + bytes(40)),
    "IPv4 header of 16 bytes": frame(0x0800, b"\x44" + bytes(40)),
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_a_header_that_cannot_be_read_is_said_to_be_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        flow_packet(data)


def test_raw_ip_files_are_read_as_well() -> None:
    assert flow_packet(ipv4(payload=PORTS), 101) == flow_packet(frame(0x0800, ipv4(payload=PORTS)))


# One frame for each way in which batman-adv carries another: type, version, header bytes; see packet.batadv.
CARRYING = {
    "v15 bcast": bytes([1, 15]) + bytes(12),
    "v15 mcast": bytes([5, 15]) + bytes(2) + b"\0\6" + bytes(6),
    "v15 unicast": bytes([0x40, 15]) + bytes(8),
    "v15 unicast_4addr": bytes([0x42, 15]) + bytes(16),
    "v15 head fragment": bytes([0x41, 15]) + bytes(18) + bytes([0x40, 15]) + bytes(8),
    "v14 unicast": bytes([3, 14]) + bytes(8),
    "v14 bcast": bytes([4, 14]) + bytes(12),
    "v14 head fragment": bytes([6, 14]) + bytes(8) + b"\1" + bytes(9),
    "v14 unicast_4addr": bytes([9, 14]) + bytes(16),
}
NOT_CARRYING = {
    "v15 ogm": bytes([0, 15]) + bytes(60),
    "v15 tail fragment": bytes([0x41, 15]) + bytes(60),
    "v14 tail fragment": bytes([6, 14]) + bytes(60),
    "v13": bytes([1, 13]) + bytes(60),
    "version cut": bytes([1]),
    "mcast cut": bytes([5, 15, 0, 0, 0]),
}


@pytest.mark.parametrize("header", CARRYING.values(), ids=CARRYING)
@pytest.mark.parametrize("tag", [b"", b"\x81\x00\x00\x07"])
def test_a_packet_inside_batman_adv_is_in_the_flow_of_its_inner_frame(header: bytes, tag: bytes) -> None:
    inner = frame(0x0800, ipv4(6, payload=TCP_HEADER))
    outer = bytes(12) + tag + b"\x43\x05" + header + inner
    bare, found = flow_packet(inner), flow_packet(outer)
    assert found.key == bare.key._replace(version=4 | IN_BATADV), "the same but for what it is inside of"
    assert found[1:] == bare[1:]
    with pytest.raises(Unreadable):
        flow_packet(outer[:-30])


@pytest.mark.parametrize("payload", NOT_CARRYING.values(), ids=NOT_CARRYING)
def test_a_batman_adv_packet_without_an_ethernet_frame_is_in_no_flow(payload: bytes) -> None:
    with pytest.raises(NotIp):
        flow_packet(frame(0x4305, payload))


def test_batman_adv_inside_batman_adv_is_in_no_flow() -> None:
    once = frame(0x4305, CARRYING["v15 unicast"] + frame(0x0800, ipv4(payload=PORTS)))
    with pytest.raises(NotIp):
        flow_packet(frame(0x4305, CARRYING["v15 unicast"] + once))
