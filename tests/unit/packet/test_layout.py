"""Header layouts: bytes against values, loads against values, and the kernel's header as judge."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.packet import layout
from meshlens.packet.batadv import PACKET_TYPES
from meshlens.packet.batadv_layout import HEADERS_14, HEADERS_15, TVLV
from meshlens.packet.layout import Header, TooShortError

PLAIN = [value for value in vars(layout).values() if isinstance(value, Header)]
ALL = [*PLAIN, TVLV, *HEADERS_14.values(), *HEADERS_15.values()]
headers = st.sampled_from(ALL)


@given(headers, st.data())
def test_decode_is_the_inverse_of_encode(header: Header, data: st.DataObject) -> None:
    values = {field.name: data.draw(st.integers(0, field.mask)) for field in header.fields.values()}
    encoded = header.encode(**values)
    assert len(encoded) == header.size_bytes
    assert header.decode(b"12345" + encoded + b"67", at=5) == values


@given(headers, st.data())
def test_the_load_of_a_field_lies_inside_the_header_and_fetches_its_value(
    header: Header, data: st.DataObject
) -> None:
    raw = data.draw(st.binary(min_size=header.size_bytes, max_size=header.size_bytes))
    for field in header.fields.values():
        loaded = raw[field.offset : field.offset + field.load_bytes]
        assert len(loaded) == field.load_bytes
        assert int.from_bytes(loaded, "big") >> field.shift & field.mask == header.decode(raw)[field.name]


def test_loads_stand_where_the_rfcs_draw_them() -> None:
    loads = {
        ("ipv4", "header_words"): (0, 1, 0, 0x0F),
        ("ipv4", "fragment_offset"): (6, 2, 0, 0x1FFF),
        ("ipv4", "destination"): (16, 4, 0, 0xFFFF_FFFF),
        ("ipv6", "traffic_class"): (0, 2, 4, 0xFF),
        ("ipv6", "flow_label"): (0, 4, 0, 0xF_FFFF),
        ("ipv6", "destination"): (24, 16, 0, (1 << 128) - 1),
        ("tcp", "header_words"): (12, 1, 4, 0x0F),
        ("tcp", "flags"): (13, 1, 0, 0xFF),
        ("vlan", "vlan"): (0, 2, 0, 0x0FFF),
        ("arp", "target_ip"): (24, 4, 0, 0xFFFF_FFFF),
    }
    by_name = {header.name: header for header in PLAIN}
    for (header, name), expected in loads.items():
        field = by_name[header][name]
        assert (field.offset, field.load_bytes, field.shift, field.mask) == expected, (header, name)


def test_values_that_do_not_fit_and_fields_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ipv4.ttl: 256 does not fit into 8 bits"):
        layout.IPV4.encode(ttl=256)
    with pytest.raises(ValueError, match=r"ipv4.ttl: -1"):
        layout.IPV4.encode(ttl=-1)
    with pytest.raises(ValueError, match="udp has no field port"):
        layout.UDP.encode(port=1)


def test_a_packet_that_ends_inside_the_header_is_refused() -> None:
    with pytest.raises(TooShortError, match="udp at byte 3 needs 8 bytes, 7 are left"):
        layout.UDP.decode(bytes(10), at=3)


KERNEL_HEADER = Path("/usr/include/linux/batadv_packet.h")
STRUCTS = {
    "iv_ogm": "batadv_ogm_packet",
    "bcast": "batadv_bcast_packet",
    "coded": "batadv_coded_packet",
    "elp": "batadv_elp_packet",
    "ogm2": "batadv_ogm2_packet",
    "unicast": "batadv_unicast_packet",
    "unicast_frag": "batadv_frag_packet",
    "unicast_4addr": "batadv_unicast_4addr_packet",
    "icmp": "batadv_icmp_packet",
    "unicast_tvlv": "batadv_unicast_tvlv_packet",
}


def kernel_fields(source: str, struct: str) -> list[tuple[str, int]]:
    """Names and widths in bits of a struct, as a big-endian compiler lays it out."""
    found = re.search(rf"struct {struct} {{(.*?)\n}};", source, re.DOTALL)
    assert found, struct
    body = re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL)
    body = re.sub(r"#elif defined\(__LITTLE_ENDIAN_BITFIELD\).*?#endif", "", body, flags=re.DOTALL)
    fields = []
    for kind, name, suffix in re.findall(r"(struct \w+|\w+)\s+(\w+)(\[ETH_ALEN\]|:\d+)?;", body):
        if kind.startswith("struct "):
            fields += kernel_fields(source, kind.removeprefix("struct "))
        elif suffix.startswith(":"):
            fields.append((name, int(suffix[1:])))
        else:
            bits = {"__u8": 8, "__u16": 16, "__be16": 16, "__be32": 32}[kind]
            fields.append((name, bits * 6 if suffix else bits))
    return [("type" if name == "packet_type" else name, bits) for name, bits in fields]


@pytest.mark.skipif(not KERNEL_HEADER.exists(), reason=f"no {KERNEL_HEADER} (linux-libc-dev)")
def test_batman_adv_headers_are_those_of_the_kernel() -> None:
    source = KERNEL_HEADER.read_text()
    numbers = dict(re.findall(r"^\tBATADV_(\w+)\s*=\s*(0x\w+),", source, re.MULTILINE))
    for kind in PACKET_TYPES[15]:
        if kind.name == "mcast" and "struct batadv_mcast_packet" not in source:
            continue  # a header from before Linux 6.8
        fields = [(field.name, field.width) for field in kind.header.fields.values()]
        assert fields == kernel_fields(source, STRUCTS.get(kind.name, "batadv_mcast_packet")), kind.name
        assert int(numbers[kind.name.upper()], 16) == kind.number


def test_every_packet_type_has_a_layout_and_every_layout_a_type() -> None:
    for version, headers_of_version in ((14, HEADERS_14), (15, HEADERS_15)):
        assert {kind.name for kind in PACKET_TYPES[version]} == set(headers_of_version)


def test_headers_before_a_frame_keep_its_ip_header_aligned() -> None:
    # batadv_packet.h: "divisible by 2 but not by 4", so that 14 bytes of Ethernet later all is aligned again.
    for version, kinds in PACKET_TYPES.items():
        for kind in kinds:
            if kind.inner is not None and kind.name != "unicast_frag":
                assert kind.header_bytes % 4 == 2, (version, kind.name)
