"""Radiotap headers: every field where it belongs, whatever stands before it; and headers that contradict."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.packet.craft_wifi import radiotap
from meshlens.packet.radiotap import (
    EXTENDED,
    FIELDS,
    MAX_WORDS,
    RADIOTAP_BIT,
    Antenna,
    RadiotapError,
    RadiotapField,
    VendorNamespace,
    parse_radiotap,
)


def values_of(field: RadiotapField) -> st.SearchStrategy[int | tuple[int, ...]]:
    """Any bytes, as the numbers of the field."""

    def read(raw: bytes) -> int | tuple[int, ...]:
        numbers = struct.unpack(field.format, raw)
        return numbers if field.parts else numbers[0]

    return st.binary(min_size=field.size, max_size=field.size).map(read)


SOME = st.fixed_dictionaries({}, optional={field.name: values_of(field) for field in FIELDS})


@given(SOME, st.lists(st.integers(-128, 127), max_size=4), st.binary(max_size=30))
def test_what_was_built_is_parsed(
    fields: dict[str, int | tuple[int, ...]], signals: list[int], frame: bytes
) -> None:
    antennas = [Antenna(number, signal, None) for number, signal in enumerate(signals)]
    header = radiotap(antennas, **fields)
    parsed = parse_radiotap(header + frame)
    assert (parsed.length, parsed.fields, parsed.antennas) == (len(header), fields, tuple(antennas))
    assert parsed.whole


def test_fields_are_aligned_from_the_beginning_of_the_header() -> None:
    # flags at 8, rate at 9, channel at 10; then 2 bytes of padding before A-MPDU.
    header = radiotap(flags=1, rate=2, channel=(3, 4), signal=-5, noise=-6, ampdu=(7, 8, 9, 0))
    assert header == bytes.fromhex("00001800 6e001000 0102 03000400 fbfa 07000000 0800 0900")


def test_a_vendor_namespace_is_passed_over_with_what_it_says_it_holds() -> None:
    # The vendor's data begins at 20, behind its head of 6 bytes; the second antenna at 25.
    words = struct.pack(
        "<3I", 1 << 5 | EXTENDED | 1 << 30, 0xFF | EXTENDED | 1 << RADIOTAP_BIT, 1 << 5 | 1 << 11
    )
    body = struct.pack("<bx3sBH", -40, b"\x00\x11\x22", 7, 3) + b"abc" + struct.pack("<bB", -50, 1)
    parsed = parse_radiotap(struct.pack("<BxH", 0, 4 + len(words) + len(body)) + words + body)
    assert parsed.vendors == (VendorNamespace(b"\x00\x11\x22", 7, b"abc"),)
    assert parsed.number("signal") == -40
    assert parsed.antennas == (Antenna(1, -50, None),)
    assert parsed.whole


def test_a_vendor_that_says_it_holds_more_than_the_header_leaves_the_first_fields() -> None:
    words = struct.pack("<2I", 1 << 5 | EXTENDED | 1 << 30, 0)
    body = struct.pack("<bx3sBH", -40, b"\x00\x11\x22", 7, 4000)
    parsed = parse_radiotap(struct.pack("<BxH", 0, 4 + len(words) + len(body)) + words + body)
    assert parsed.number("signal") == -40
    assert (parsed.vendors, parsed.whole) == ((), False)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (b"\0\0\x08", "needs 8 bytes, 3 are left"),
        (b"\1\0\x08\0" + bytes(4), "version 1"),
        (b"\0\0\x09\0" + bytes(4), "a radiotap header of 9 bytes in 8 bytes"),
        (b"\0\0\x07\0" + bytes(4), "a radiotap header of 7 bytes in 8 bytes"),
        (b"\0\0\x08\0" + struct.pack("<I", EXTENDED), "presence word 2 does not fit"),
        (b"\0\0\x08\0" + struct.pack("<I", 1), "the fields do not fit into a header of 8 bytes"),
        (
            b"\0\0\x80\0" + struct.pack("<I", EXTENDED) * MAX_WORDS + bytes(60),
            "presence word 17 does not fit",
        ),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(header: bytes, complaint: str) -> None:
    with pytest.raises(RadiotapError, match=complaint):
        parse_radiotap(header)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    try:
        parsed = parse_radiotap(b"\0\0" + data)
    except RadiotapError:
        return
    assert parsed.length <= len(data) + 2
