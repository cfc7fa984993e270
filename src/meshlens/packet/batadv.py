"""batman-adv packet types, and where the Ethernet frame inside a packet stands.

Sources: include/uapi/linux/batadv_packet.h (compat version 15, Linux 3.13 and newer; `mcast`:
net/batman-adv/multicast_forw.c, Linux 6.8), net/batman-adv/packet.h of Linux 3.2 to 3.12 (compat version 14).

The rules are data, not code, because two readers follow them: `inner_offset` below, which defines them, and
the filter compiler, which turns them into packet loads. Offsets in a rule count from the batman-adv header.
"""

from dataclasses import dataclass

from meshlens.packet.batadv_layout import HEADERS_14, HEADERS_15
from meshlens.packet.layout import Header

__all__ = [
    "ETHERNET_HEADER_BYTES",
    "ETHERTYPE_BATADV",
    "PACKET_TYPES",
    "VERSIONS",
    "VLAN_TAG_BYTES",
    "AfterHeader",
    "AfterTvlvs",
    "HeadFragmentByContent",
    "HeadFragmentByFlag",
    "InnerRule",
    "PacketType",
    "find_type",
    "inner_offset",
]

ETHERTYPE_BATADV = 0x4305
ETHERNET_HEADER_BYTES = 14
VLAN_TAG_BYTES = 4


@dataclass(frozen=True, slots=True)
class AfterHeader:
    """The inner frame follows the fixed header."""


@dataclass(frozen=True, slots=True)
class AfterTvlvs:
    """The inner frame follows TVLV containers; `length_offset` holds their 16-bit big-endian total length.

    A length above `max_bytes` means no inner frame: the eBPF verifier bounds a variable packet offset to less
    than 0xffff bytes, and a frame that long could not have crossed a link anyway.
    """

    length_offset: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class HeadFragmentByFlag:
    """The inner frame follows the header if any bit of `mask` is set in the byte at `flag_offset`."""

    flag_offset: int
    mask: int


@dataclass(frozen=True, slots=True)
class HeadFragmentByContent:
    """The payload is a slice of a whole batman-adv packet; only the head slice begins with a packet header.

    Nothing in the fragment header marks the head (net/batman-adv/fragmentation.c numbers from the tail), so
    the two bytes behind the header decide: `nested` maps (type, version) to the bytes of that nested header,
    behind which the inner frame stands. A tail whose payload happens to begin with such a pair is taken for a
    head.
    """

    nested: tuple[tuple[int, int, int], ...]  # (type, version, header bytes)


InnerRule = AfterHeader | AfterTvlvs | HeadFragmentByFlag | HeadFragmentByContent


@dataclass(frozen=True, slots=True)
class PacketType:
    """A batman-adv packet type of one compat version.

    `names`: the canonical name first, then aliases. `inner` is None where no Ethernet frame is carried.
    """

    number: int
    names: tuple[str, ...]
    header: Header
    inner: InnerRule | None

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def header_bytes(self) -> int:
        return self.header.size_bytes


def _types(
    headers: dict[str, Header], *rows: tuple[int, tuple[str, ...], InnerRule | None]
) -> tuple[PacketType, ...]:
    return tuple(PacketType(number, names, headers[names[0]], inner) for number, names, inner in rows)


_VERSION_14 = _types(
    HEADERS_14,
    (0x01, ("iv_ogm", "ogm"), None),
    (0x02, ("icmp",), None),
    (0x03, ("unicast",), AfterHeader()),
    (0x04, ("bcast",), AfterHeader()),
    (0x05, ("vis",), None),
    (0x06, ("unicast_frag",), HeadFragmentByFlag(flag_offset=10, mask=0x01)),  # UNI_FRAG_HEAD
    (0x07, ("tt_query",), None),
    (0x08, ("roam_adv",), None),
    (0x09, ("unicast_4addr",), AfterHeader()),
    (0x0A, ("coded",), None),
)

_VERSION_15 = _types(
    HEADERS_15,
    (0x00, ("iv_ogm",), None),
    (0x01, ("bcast",), AfterHeader()),
    (0x02, ("coded",), None),
    (0x03, ("elp",), None),
    (0x04, ("ogm2",), None),
    (0x05, ("mcast",), AfterTvlvs(length_offset=4, max_bytes=32_000)),
    (0x40, ("unicast",), AfterHeader()),
    (0x41, ("unicast_frag",), HeadFragmentByContent(((0x40, 15, 10), (0x42, 15, 18)))),
    (0x42, ("unicast_4addr",), AfterHeader()),
    (0x43, ("icmp",), None),
    (0x44, ("unicast_tvlv",), None),
)

PACKET_TYPES: dict[int, tuple[PacketType, ...]] = {14: _VERSION_14, 15: _VERSION_15}
VERSIONS = tuple(PACKET_TYPES)

_BY_NAME = {
    (version, name): kind for version, kinds in PACKET_TYPES.items() for kind in kinds for name in kind.names
}
_BY_NUMBER = {(version, kind.number): kind for version, kinds in PACKET_TYPES.items() for kind in kinds}


def find_type(version: int, type: int | str) -> PacketType | None:
    """The packet type of a compat version, by number or name ('-' and '_' are the same), or None."""
    if isinstance(type, int):
        return _BY_NUMBER.get((version, type))
    return _BY_NAME.get((version, type.replace("-", "_")))


def inner_offset(frame: bytes, version: int, type: int | str, vlan_depth: int = 0) -> int | None:
    """Where the inner Ethernet frame begins in `frame`, a batman-adv packet of that type, in bytes.

    `frame` begins with the outer Ethernet header, with `vlan_depth` VLAN tags before the batman-adv
    ethertype; that the packet is of this version and type is the caller's knowledge. The offset may lie
    beyond the end of a short frame. None means that there is no inner frame: the type carries none, the rule
    says so, or the bytes that the rule needs are not in the frame.
    """
    kind = find_type(version, type)
    if kind is None or kind.inner is None:
        return None
    header = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * vlan_depth
    payload = header + kind.header_bytes
    match kind.inner:
        case AfterHeader():
            return payload
        case AfterTvlvs(length_offset, max_bytes):
            field = frame[header + length_offset : header + length_offset + 2]
            tvlv_bytes = int.from_bytes(field, "big")
            return payload + tvlv_bytes if len(field) == 2 and tvlv_bytes <= max_bytes else None
        case HeadFragmentByFlag(flag_offset, mask):
            flags = frame[header + flag_offset : header + flag_offset + 1]
            return payload if flags and flags[0] & mask else None
        case HeadFragmentByContent(nested):
            begin = frame[payload : payload + 2]
            sizes = {bytes((number, compat)): size for number, compat, size in nested}
            return payload + sizes[begin] if begin in sizes else None
