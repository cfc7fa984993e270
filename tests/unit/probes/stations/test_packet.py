"""Whose packet a frame is, said for frames made by hand."""

import pytest

from meshlens.packet import craft
from meshlens.probes.stations.layout import DHCP, SYN, First
from meshlens.probes.stations.packet import Sighting, Unreadable, sightings
from meshlens.probes.stations.protocols import CLASSES, IS_VLAN, names_of_facts

A, B, ALL, GROUP = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:fb"
ORIGINATOR = "02:00:00:00:00:0c"


def seen(frame: bytes, way: int = 0) -> dict[str, Sighting]:
    return {each.kind: each for each in sightings(frame, len(frame), way)}


def station(frame: bytes, way: int = 0) -> Sighting:
    (only,) = sightings(frame, len(frame), way)
    return only


def names(frame: bytes) -> tuple[str, ...]:
    return CLASSES[station(frame).number]


def udp(source: int, destination: int, payload: bytes = b"", to: str = B) -> bytes:
    return craft.ip_frame(A, craft.udp("10.0.0.1", "10.0.0.2", source, destination, payload), to)


def icmp6(kind: int, source: str = "fe80::1") -> bytes:
    return craft.ip_frame(A, craft.ip(source, "ff02::2", 58, bytes([kind, 0, 0, 0]) + bytes(20)), GROUP)


def test_the_source_of_what_comes_in_is_the_station() -> None:
    assert station(udp(1, 2)).mac.hex(":") == A
    assert station(udp(1, 2)).size == len(udp(1, 2))


def test_the_destination_of_what_goes_out_is_the_station_unless_it_is_a_group() -> None:
    assert station(udp(1, 2), way=1).mac.hex(":") == B
    assert seen(udp(1, 2, to=GROUP), way=1) == seen(udp(1, 2, to=ALL), way=1) == {}


@pytest.mark.parametrize(("to", "cast"), [(B, 0), (GROUP, 1), (ALL, 2)])
def test_unicast_multicast_and_broadcast_are_told_by_the_destination(to: str, cast: int) -> None:
    assert station(udp(1, 2, to=to)).cast == cast


@pytest.mark.parametrize(
    ("ethertype", "name"),
    [
        (0x0806, "arp"),
        (0x888E, "eapol"),
        (0x88CC, "lldp"),
        (0x002E, "llc"),
        (0x05FF, "llc"),
        (0x0600, "other"),
    ],
)
def test_ethertypes_have_names(ethertype: int, name: str) -> None:
    assert names(craft.ethernet(B, A, ethertype, bytes(46))) == (name,)


def test_the_port_of_the_destination_goes_before_that_of_the_source() -> None:
    assert names(udp(5353, 53)) == ("ipv4", "udp", "dns")
    assert names(udp(53, 40_000)) == ("ipv4", "udp", "dns")
    assert names(udp(40_000, 40_001)) == ("ipv4", "udp")
    assert names(udp(40_000, 80)) == ("ipv4", "udp"), "http is over TCP"


def test_what_stands_behind_a_header_that_is_cut_is_not_told_apart() -> None:
    assert names(udp(53, 53)[:14]) == ("ipv4",)
    assert names(udp(53, 53)[:33]) == ("ipv4",)
    assert names(udp(53, 53)[:37]) == ("ipv4", "udp")
    with pytest.raises(Unreadable):
        names(udp(53, 53)[:13])


def test_a_later_fragment_has_a_protocol_but_no_service() -> None:
    fragment = craft.ip("10.0.0.1", "10.0.0.2", 17, bytes([0, 53, 0, 53]) + bytes(60), fragment_offset=5)
    assert names(craft.ip_frame(A, fragment, B)) == ("ipv4", "udp")


def test_a_tag_is_noted_and_looked_behind() -> None:
    tagged = craft.tag(udp(1, 53), 7)
    assert names(tagged) == ("ipv4", "udp", "dns")
    assert station(tagged).facts & IS_VLAN
    assert not station(udp(1, 53)).facts & IS_VLAN


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (udp(5353, 5353), "mdns"), (udp(9, 1900), "ssdp"), (udp(9, 5355), "llmnr"), (udp(68, 67), "dhcp"),
        (icmp6(133), "router-solicitation"), (icmp6(134), "router-advertisement"), (icmp6(143), "mldv2"),
        (icmp6(135, source="::"), "dad"),
    ],
)  # fmt: skip
def test_what_a_fingerprint_asks_for_is_noted(frame: bytes, name: str) -> None:
    assert names_of_facts(station(frame).facts) == {name}


def test_a_solicitation_from_an_address_in_use_is_no_duplicate_address_detection() -> None:
    assert names_of_facts(station(icmp6(135)).facts) == frozenset()


def test_the_first_syn_is_kept_from_its_header_on_and_an_answer_is_not() -> None:
    frames = [
        craft.ip_frame(A, craft.tcp("10.0.0.1", "10.0.0.2", 9, 80, flags=flags), B) for flags in (2, 0x12)
    ]
    assert station(frames[0]).first == (SYN, First(64, frames[0][34:]))
    assert station(frames[1]).first is None
    assert station(frames[0], way=1).first is None


def test_a_dhcp_request_is_kept_from_its_magic_number_on_and_an_answer_is_not() -> None:
    content = bytes(236) + bytes((99, 130, 83, 99, 53, 1, 1, 255))
    assert station(udp(68, 67, content)).first == (DHCP, First(64, content[236:]))
    assert station(udp(67, 68, content)).first is None
    assert station(udp(68, 67, content[:236])).first is None


def batadv(kind: int, header: bytes) -> bytes:
    return craft.ethernet(ALL, A, 0x4305, bytes([kind, 15, 50]) + header)


def test_a_broadcast_of_batman_adv_has_an_originator_and_an_inner_station() -> None:
    inner = udp(5353, 5353)
    frame = batadv(0x01, bytes(5) + bytes.fromhex(ORIGINATOR.replace(":", "")) + inner)
    found = seen(frame)
    assert found["originator"].mac.hex(":") == ORIGINATOR
    assert CLASSES[found["originator"].number] == ("batadv",)
    assert found["originator"].size == len(frame)
    assert found["inner"].mac.hex(":") == A
    assert CLASSES[found["inner"].number] == ("ipv4", "udp", "mdns")
    assert found["inner"].size == len(inner)


def test_a_unicast_of_batman_adv_is_for_an_originator_and_comes_from_none() -> None:
    frame = batadv(0x40, bytes(1) + bytes.fromhex(ORIGINATOR.replace(":", "")) + udp(1, 2))
    assert set(seen(frame)) == {"station", "inner"}
    out = seen(frame, way=1)
    assert set(out) == {"originator", "inner"}, "the outer destination is a group"
    assert (out["originator"].mac.hex(":"), out["inner"].mac.hex(":")) == (ORIGINATOR, B)


def test_a_packet_of_batman_adv_that_is_cut_has_only_its_station() -> None:
    frame = batadv(0x01, bytes(11))
    assert set(seen(frame)) == {"station", "originator"}
    assert set(seen(frame[:-1])) == {"station"}
    assert set(seen(frame[:15])) == {"station"}
