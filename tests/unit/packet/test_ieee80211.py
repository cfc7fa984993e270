"""802.11 headers: addresses by kind and by to and from DS; what is cut off; elements of any length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.packet.craft_wifi import dot11, element
from meshlens.packet.elements import Element, elements_of, parse_elements
from meshlens.packet.ieee80211 import KINDS, Dot11Error, HeaderFlag, kind_number, parse_dot11

A, B, C, D = (bytes([2, 0, 0, 0, 0, last]) for last in (1, 2, 3, 4))
ONE, TWO, THREE = (address.hex(":") for address in (A, B, C))
TO, FROM = HeaderFlag.TO_DS, HeaderFlag.FROM_DS


@pytest.mark.parametrize(
    ("flags", "destination", "source", "bssid"),
    [(0, A, B, C), (TO, C, B, A), (FROM, A, C, B), (TO | FROM, C, D, None)],
)
def test_addresses_of_data_frames_go_by_to_and_from_ds(
    flags: int, destination: bytes, source: bytes, bssid: bytes | None
) -> None:
    frame = dot11("data", ONE, TWO, THREE, D + bytes(20), flags=flags)
    header = parse_dot11(frame)
    assert (header.receiver, header.transmitter) == (A, B)
    assert (header.destination, header.source, header.bssid) == (destination, source, bssid)
    assert header.body == (30 if flags == TO | FROM else 24)


def test_a_fourth_address_that_is_cut_off_is_none() -> None:
    frame = dot11("data", ONE, TWO, THREE, D[:5], flags=TO | FROM)
    assert parse_dot11(frame).source is None


def test_qos_and_ht_control_stand_behind_the_addresses() -> None:
    frame = dot11("qos-data", ONE, TWO, THREE, b"\x11\x22\x33\x44", flags=HeaderFlag.ORDER, qos=5)
    header = parse_dot11(frame)
    assert (header.qos, header.ht_control, header.body) == (5, 0x44332211, 30)


@pytest.mark.parametrize(
    ("kind", "transmitter"),
    [
        ("rts", B),
        ("block-ack", B),
        ("ps-poll", B),
        ("cf-end", B),
        ("ack", None),
        ("cts", None),
        ("wrapper", None),
    ],
)
def test_control_frames_name_their_transmitter_or_not(kind: str, transmitter: bytes | None) -> None:
    assert parse_dot11(dot11(kind, ONE, TWO)).transmitter == transmitter


def test_an_rts_that_signals_its_bandwidth_is_of_the_same_transmitter() -> None:
    assert parse_dot11(dot11("rts", ONE, "03:00:00:00:00:02")).transmitter == B
    assert parse_dot11(dot11("data", ONE, "03:00:00:00:00:02")).transmitter == b"\3" + B[1:]


def test_a_beacon_of_60_ghz_has_its_bssid_first() -> None:
    assert parse_dot11(dot11("dmg-beacon", ONE)).transmitter == A


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_that_ends_within_its_header_is_refused(kind: str) -> None:
    frame = dot11(kind, ONE, TWO, THREE)
    minimum = len(frame) - 2 * kind.startswith("qos")
    assert parse_dot11(frame[:minimum]).kind == kind
    with pytest.raises(Dot11Error):
        parse_dot11(frame[: minimum - 1])


def test_another_version_is_refused() -> None:
    with pytest.raises(Dot11Error, match="version 1"):
        parse_dot11(b"\x81" + bytes(40))


@pytest.mark.parametrize(
    ("name", "type", "subtype"), [("beacon", 0, 8), ("probe-req", 0, 4), ("ack", 1, 13), ("qos-data", 2, 8)]
)
def test_kinds_have_the_names_of_libpcap(name: str, type: int, subtype: int) -> None:
    assert KINDS[kind_number(type, subtype)] == name


# Elements.


def test_elements_keep_their_order_and_their_extension() -> None:
    body = element(0, b"net") + element(255, b"\x23he") + element(221, b"\x00\x50\xf2\x02") + element(0, b"")
    elements, rest = parse_elements(body)
    assert elements == (
        Element(0, None, b"net"),
        Element(255, 0x23, b"he"),
        Element(221, None, b"\x00\x50\xf2\x02"),
        Element(0, None, b""),
    )
    assert rest == b""


@pytest.mark.parametrize("rest", [b"\x01", b"\x01\x05abcd", b"\xff\x00", b"\xff"])
def test_what_is_no_whole_element_is_left_over(rest: bytes) -> None:
    assert parse_elements(element(1, b"x") + rest) == ((Element(1, None, b"x"),), rest)


@given(st.binary(max_size=300))
def test_elements_and_rest_are_all_there_is(data: bytes) -> None:
    elements, rest = parse_elements(data)
    again = b"".join(
        element(each.id, each.data if each.extension is None else bytes([each.extension]) + each.data)
        for each in elements
    )
    assert again + rest == data


def test_elements_begin_behind_the_fixed_part_of_a_kind() -> None:
    body = bytes(12) + element(0, b"net")
    beacon = parse_dot11(dot11("beacon", ONE, TWO, THREE, body))
    found = elements_of(beacon, body)
    assert found
    assert found.elements == (Element(0, None, b"net"),)
    assert elements_of(beacon, bytes(11)) is None
    assert elements_of(parse_dot11(dot11("data", ONE, TWO, THREE)), body) is None
