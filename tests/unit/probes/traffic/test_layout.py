"""What the interface probe keeps: nothing collides, nothing is lost in folding, sums are sums."""

import struct

import pytest

from meshlens.packet import craft
from meshlens.packet.ethertypes import LLC, NAMES, OTHER, ethertype_name
from meshlens.probes.traffic import layout
from meshlens.probes.traffic.layout import (
    CPU_BYTES,
    SIZES,
    frame_of,
    minus,
    nothing,
    plus,
    prepare,
    read_counters,
    size_class,
)
from meshlens.probes.traffic.record import Traffic

UNICAST, MULTICAST, BROADCAST = "02:00:00:00:00:0a", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"


def test_each_ethertype_that_has_a_name_has_a_place_of_its_own() -> None:
    counters = memoryview(bytearray(2 * CPU_BYTES))
    prepare(counters)
    entries = range(layout.ETHERTYPES_AT, layout.OTHER_AT, layout.ENTRY_BYTES)
    for start in (0, CPU_BYTES):
        found = {struct.unpack_from("=Q", counters, start + at)[0] for at in entries} - {0}
        assert found == NAMES.keys() - {OTHER}


def test_no_ethertype_is_without_room_because_of_those_that_have_names() -> None:
    places = {
        each * layout.HASH_FACTOR >> layout.HASH_SHIFT & layout.PLACES - 1 for each in NAMES if each > 0
    }
    for first in places:
        row = (first + number & layout.PLACES - 1 for number in range(layout.PROBES))
        assert not places.issuperset(row)


def test_counters_that_were_only_prepared_say_nothing() -> None:
    counters = memoryview(bytearray(2 * CPU_BYTES))
    prepare(counters)
    assert read_counters(counters, "in") == nothing("in")


@pytest.mark.parametrize(
    ("frame", "ethertype", "cast"),
    [
        (craft.ethernet(UNICAST, UNICAST, 0x0800, b""), 0x0800, "unicast"),
        (craft.ethernet(MULTICAST, UNICAST, 0x86DD, b""), 0x86DD, "multicast"),
        (craft.ethernet(BROADCAST, UNICAST, 0x0806, b""), 0x0806, "broadcast"),
        (craft.ethernet("ff:ff:ff:ff:ff:fe", UNICAST, 0x0806, b""), 0x0806, "multicast"),
        (craft.tag(craft.ethernet(UNICAST, UNICAST, 0x4305, b""), 7), 0x4305, "unicast"),
        (craft.tag(craft.ethernet(UNICAST, UNICAST, 0x4305, b""), 7, 8), 0x4305, "unicast"),
        (craft.tag(craft.ethernet(UNICAST, UNICAST, 0x4305, b""), 7, 8, 9), 0x8100, "unicast"),
        (craft.ethernet(UNICAST, UNICAST, 0x8100, b"\0\7\x08"), 0x8100, "unicast"),
        (craft.ethernet("01:80:c2:00:00:00", UNICAST, 38, bytes(38)), LLC, "multicast"),
        (craft.tag(craft.ethernet("01:80:c2:00:00:00", UNICAST, 38, bytes(38)), 7), LLC, "multicast"),
    ],
)
def test_a_frame_is_what_stands_behind_its_tags(frame: bytes, ethertype: int, cast: str) -> None:
    assert frame_of(frame) == (ethertype, cast)


def test_half_a_header_is_no_frame() -> None:
    assert frame_of(bytes(13)) is None


@pytest.mark.parametrize(
    ("size", "place"), [(14, 3), (64, 6), (127, 6), (128, 7), (65_535, 15), (1 << 20, 16)]
)
def test_sizes_fall_between_powers_of_two(size: int, place: int) -> None:
    assert size_class(size) == place < SIZES


def test_what_is_taken_off_was_not_there() -> None:
    one = Traffic("in", 3, 300, 2, 0, 1, {0x0800: (3, 300)}, (0,) * (SIZES - 1) + (3,))
    two = Traffic("in", 2, 100, 2, 0, 0, {0x0800: (1, 50), 0x0806: (1, 50)}, (0,) * (SIZES - 1) + (2,))
    both = plus(one, two)
    assert (both.packets, both.bytes, both.unicast, both.broadcast) == (5, 400, 4, 1)
    assert both.ethertypes == {0x0800: (4, 350), 0x0806: (1, 50)}
    assert minus(both, two) == one
    assert plus(nothing("in"), one) == one


def test_ethertypes_have_names_or_numbers() -> None:
    assert [ethertype_name(each) for each in (0x4305, 0x1234, OTHER)] == ["batadv", "0x1234", "other"]
