"""Where the inner frame of a batman-adv packet stands, by type, compat version and content."""

import pytest

from meshlens.packet.batadv import PACKET_TYPES, VERSIONS, find_type, inner_offset

OUTER = bytes.fromhex("ffffffffffff 020000000001 4305")
INNER = bytes(range(60))


def packet(version: int, name: str, header_tail: bytes = b"", payload: bytes = INNER) -> bytes:
    """A batman-adv packet in a frame; `header_tail` are the header bytes after type and version."""
    kind = find_type(version, name)
    assert kind is not None
    header = bytes((kind.number, version)) + header_tail
    return OUTER + header.ljust(kind.header_bytes, b"\0") + payload


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_and_names_are_unique_within_a_version(version: int) -> None:
    kinds = PACKET_TYPES[version]
    names = [name for kind in kinds for name in kind.names]
    assert len(set(names)) == len(names)
    assert len({kind.number for kind in kinds}) == len(kinds)


def test_a_type_is_found_by_number_by_name_and_by_name_with_dashes() -> None:
    assert find_type(15, 0x42) is find_type(15, "unicast_4addr") is find_type(15, "unicast-4addr")
    assert find_type(14, "unicast") != find_type(15, "unicast")
    assert find_type(15, "vis") is None
    assert find_type(14, "mcast") is None
    assert find_type(13, "bcast") is None


@pytest.mark.parametrize(
    ("version", "name", "offset"),
    [
        (15, "bcast", 28),
        (15, "unicast", 24),
        (15, "unicast_4addr", 32),
        (14, "bcast", 28),
        (14, "unicast", 24),
        (14, "unicast_4addr", 32),
    ],
)
def test_a_fixed_header_puts_the_inner_frame_right_behind_it(version: int, name: str, offset: int) -> None:
    frame = packet(version, name)
    assert inner_offset(frame, version, name) == offset
    assert frame[offset:] == INNER
    assert inner_offset(frame, version, name, vlan_depth=2) == offset + 8
    assert inner_offset(b"", version, name) == offset  # beyond a short frame: loads there are out of bounds


@pytest.mark.parametrize(
    ("version", "name"),
    [(15, name) for name in ("iv_ogm", "ogm2", "elp", "coded", "icmp", "unicast_tvlv")]
    + [(14, name) for name in ("iv_ogm", "icmp", "vis", "tt_query", "roam_adv", "coded")],
)
def test_types_without_a_payload_have_no_inner_frame(version: int, name: str) -> None:
    assert inner_offset(packet(version, name), version, name) is None


def mcast(tvlv_bytes: int) -> bytes:
    return packet(15, "mcast", b"\x32\0" + tvlv_bytes.to_bytes(2, "big"), bytes(tvlv_bytes) + INNER)


@pytest.mark.parametrize("tvlv_bytes", [0, 1, 52, 255, 256, 32_000])
def test_the_inner_frame_of_mcast_follows_its_tvlvs(tvlv_bytes: int) -> None:
    offset = inner_offset(mcast(tvlv_bytes), 15, "mcast")
    assert offset == 14 + 6 + tvlv_bytes
    assert mcast(tvlv_bytes)[offset:] == INNER


def test_mcast_with_absurd_or_cut_off_tvlv_length_has_no_inner_frame() -> None:
    assert inner_offset(mcast(32_001), 15, "mcast") is None
    assert inner_offset(mcast(60_000), 15, "mcast") is None
    assert inner_offset(mcast(0)[:20], 15, "mcast") == 20
    assert inner_offset(mcast(0)[:19], 15, "mcast") is None


@pytest.mark.parametrize(("nested", "header_bytes"), [("unicast", 10), ("unicast_4addr", 18)])
def test_the_head_fragment_is_known_by_the_packet_it_begins(nested: str, header_bytes: int) -> None:
    head = packet(15, "unicast_frag", payload=packet(15, nested)[14:])
    offset = inner_offset(head, 15, "unicast_frag")
    assert offset == 14 + 20 + header_bytes
    assert head[offset:] == INNER
    assert inner_offset(head[:35], 15, "unicast_frag") is None  # the nested version is cut off
    tagged = head[:12] + b"\x81\0\0\x07" + head[12:]
    assert inner_offset(tagged, 15, "unicast_frag", vlan_depth=1) == offset + 4


def test_other_fragments_have_no_inner_frame() -> None:
    tail = packet(15, "unicast_frag", payload=INNER)
    nested_bcast = packet(15, "unicast_frag", payload=packet(15, "bcast")[14:])
    nested_old = packet(15, "unicast_frag", payload=bytes((0x40, 14)) + INNER)
    for frame in (tail, nested_bcast, nested_old):
        assert inner_offset(frame, 15, "unicast_frag") is None


@pytest.mark.parametrize(("flags", "offset"), [(0x00, None), (0x01, 34), (0x02, None), (0x03, 34)])
def test_compat_14_marks_the_head_fragment_by_a_flag(flags: int, offset: int | None) -> None:
    frame = packet(14, "unicast_frag", b"\x32\x01" + bytes(6) + bytes((flags,)))
    assert inner_offset(frame, 14, "unicast_frag") == offset
    assert inner_offset(frame[:24], 14, "unicast_frag") is None
