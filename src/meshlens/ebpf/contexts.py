"""What a packet program is given in R1: struct __sk_buff and struct xdp_md (include/uapi/linux/bpf.h).

`a.field(R2, R1, Skb.protocol)` reads a field; `pack_context(Skb, mark=7)` makes a context for test_run(), and
`unpack_context(Skb, run.ctx_out)` reads what a program left in it.
"""

import sys
from typing import NamedTuple

__all__ = ["PACKET_LOOPBACK", "PACKET_OUTGOING", "Field", "Skb", "Xdp", "pack_context", "unpack_context"]

#: Skb.pkt_type of a frame that this host sends, as packet sockets see it (include/uapi/linux/if_packet.h).
PACKET_OUTGOING = 4
#: And of a copy of what this host sends to a group, which it gets back itself.
PACKET_LOOPBACK = 5


class Field(NamedTuple):
    """Where a field stands in its structure, in bytes."""

    offset: int
    size: int


class Skb:
    """struct __sk_buff. `protocol` and `vlan_proto` are in network byte order."""

    len = Field(0, 4)
    pkt_type = Field(4, 4)
    mark = Field(8, 4)
    queue_mapping = Field(12, 4)
    protocol = Field(16, 4)
    vlan_present = Field(20, 4)
    vlan_tci = Field(24, 4)
    vlan_proto = Field(28, 4)
    priority = Field(32, 4)
    ingress_ifindex = Field(36, 4)
    ifindex = Field(40, 4)
    tc_index = Field(44, 4)
    cb = Field(48, 20)
    hash = Field(68, 4)
    tc_classid = Field(72, 4)
    data = Field(76, 4)
    data_end = Field(80, 4)
    napi_id = Field(84, 4)
    data_meta = Field(140, 4)
    tstamp = Field(152, 8)
    wire_len = Field(160, 4)
    gso_segs = Field(164, 4)
    gso_size = Field(176, 4)
    tstamp_type = Field(180, 1)
    hwtstamp = Field(184, 8)


class Xdp:
    """struct xdp_md. `data`, `data_end` and `data_meta` are pointers."""

    data = Field(0, 4)
    data_end = Field(4, 4)
    data_meta = Field(8, 4)
    ingress_ifindex = Field(12, 4)
    rx_queue_index = Field(16, 4)
    egress_ifindex = Field(20, 4)


_SIZES: dict[type, int] = {Skb: 192, Xdp: 24}


def pack_context(context: type[Skb] | type[Xdp], **values: int) -> bytes:
    """A context whose named fields have these values, all others 0, in host byte order."""
    packed = bytearray(_SIZES[context])
    for name, value in values.items():
        offset, size = getattr(context, name)
        packed[offset : offset + size] = value.to_bytes(size, sys.byteorder)
    return bytes(packed)


def unpack_context(context: type[Skb] | type[Xdp], data: bytes) -> dict[str, int]:
    """The fields of a context by name."""
    fields = {name: field for name, field in vars(context).items() if isinstance(field, Field)}
    return {name: int.from_bytes(data[at : at + size], sys.byteorder) for name, (at, size) in fields.items()}
