"""Header layouts: what stands where in a packet, said once.

A header is a row of named unsigned numbers in network byte order, as the diagrams of the RFCs draw it;
addresses are numbers too. From it follow the bytes (`encode`), the values (`decode`), and for each field the
load that fetches it (`Field`), which is what a generated program needs.

Sources: IEEE 802.3 and 802.1Q, RFC 826 (ARP), 791 (IPv4), 8200 (IPv6), 768 (UDP), 9293 (TCP), 792 (ICMP),
4443 (ICMPv6), 2236 (IGMP). The headers of batman-adv are in `batadv_layout`.
"""

from dataclasses import dataclass

from meshlens.errors import MeshlensError

__all__ = [
    "ARP",
    "ETHERNET",
    "HOP_BY_HOP",
    "ICMP",
    "ICMPV6",
    "IGMP",
    "IPV4",
    "IPV6",
    "TCP",
    "UDP",
    "VLAN_TAG",
    "Field",
    "Header",
    "TooShortError",
    "header",
]

_LOAD_BYTES = (1, 2, 4, 8)


class TooShortError(MeshlensError):
    """A packet ends before its header does."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `width` bits, and the load that contains it.

    Load `load_bytes` bytes at `offset` (bytes from the begin of the header) as a big-endian number, shift
    right by `shift` and keep `mask`. Addresses of 6 and 16 bytes take more than one load; `load_bytes` is
    their size.
    """

    name: str
    width: int
    offset: int
    load_bytes: int
    shift: int

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1


@dataclass(frozen=True)
class Header:
    """A header of fixed size: field names with their widths in bits, in the order of the wire."""

    name: str
    fields: dict[str, Field]
    size_bytes: int

    def __getitem__(self, field: str) -> Field:
        return self.fields[field]

    def encode(self, **values: int) -> bytes:
        """The header's bytes; fields not given are 0. Raises ValueError for a value that does not fit."""
        number = 0
        for field in self.fields.values():
            value = values.pop(field.name, 0)
            if not 0 <= value <= field.mask:
                raise ValueError(f"{self.name}.{field.name}: {value} does not fit into {field.width} bits")
            number = number << field.width | value
        if values:
            raise ValueError(f"{self.name} has no field {', '.join(values)}")
        return number.to_bytes(self.size_bytes, "big")

    def decode(self, data: bytes, at: int = 0) -> dict[str, int]:
        """The header's values, of the packet's bytes from `at` on. Raises `TooShortError`."""
        raw = data[at : at + self.size_bytes]
        if len(raw) < self.size_bytes:
            raise TooShortError(
                f"{self.name} at byte {at} needs {self.size_bytes} bytes, {len(raw)} are left"
            )
        number = int.from_bytes(raw, "big")
        values = {}
        for field in reversed(self.fields.values()):
            values[field.name] = number & field.mask
            number >>= field.width
        return dict(reversed(values.items()))


def header(name: str, **widths: int) -> Header:
    """A header from its fields' widths in bits, in the order of the wire."""
    fields = {}
    begin = 0
    for field, width in widths.items():
        fields[field] = _field(field, begin, width)
        begin += width
    return Header(name, fields, begin // 8)


def _field(name: str, begin: int, width: int) -> Field:
    """The field at bit `begin`; bits that share bytes get the smallest aligned load that covers them."""
    first, end = begin // 8, -(-(begin + width) // 8)
    load_bytes = end - first
    if begin % 8 or width % 8:
        load_bytes = next(size for size in _LOAD_BYTES if first // size * size + size >= end)
        first = first // load_bytes * load_bytes
    return Field(name, width, first, load_bytes, (first + load_bytes) * 8 - begin - width)


ETHERNET = header("ethernet", destination=48, source=48, ethertype=16)
VLAN_TAG = header("vlan", priority=3, drop_eligible=1, vlan=12, ethertype=16)
ARP = header(
    "arp",
    hardware=16,
    protocol=16,
    hardware_bytes=8,
    protocol_bytes=8,
    operation=16,
    sender_mac=48,
    sender_ip=32,
    target_mac=48,
    target_ip=32,
)
IPV4 = header(
    "ipv4",
    version=4,
    header_words=4,
    dscp=6,
    ecn=2,
    total_bytes=16,
    identification=16,
    reserved=1,
    dont_fragment=1,
    more_fragments=1,
    fragment_offset=13,
    ttl=8,
    protocol=8,
    checksum=16,
    source=32,
    destination=32,
)
IPV6 = header(
    "ipv6",
    version=4,
    traffic_class=8,
    flow_label=20,
    payload_bytes=16,
    next_header=8,
    hop_limit=8,
    source=128,
    destination=128,
)
HOP_BY_HOP = header("hop_by_hop", next_header=8, extra_words=8)
UDP = header("udp", source_port=16, destination_port=16, total_bytes=16, checksum=16)
TCP = header(
    "tcp",
    source_port=16,
    destination_port=16,
    sequence=32,
    acknowledgement=32,
    header_words=4,
    reserved=4,
    flags=8,
    window=16,
    checksum=16,
    urgent=16,
)
ICMP = header("icmp", type=8, code=8, checksum=16, rest=32)
ICMPV6 = header("icmpv6", type=8, code=8, checksum=16, rest=32)
IGMP = header("igmp", type=8, max_response=8, checksum=16, group=32)
