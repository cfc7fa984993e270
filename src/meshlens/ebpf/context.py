"""Where a program finds what in its context: (offset, size) of each field.

Layouts: struct __sk_buff and struct xdp_md, include/uapi/linux/bpf.h.
"""

from typing import Final

from meshlens.ebpf.insn import Reg
from meshlens.ebpf.structured import Asm

__all__ = ["PACKET_OUTGOING", "SK_BUFF", "XDP_MD", "load_field"]

#: __sk_buff.pkt_type of a frame that this host sends, as packet sockets see it (linux/if_packet.h).
PACKET_OUTGOING: Final = 4

Fields = dict[str, tuple[int, int]]

SK_BUFF: Final[Fields] = {
    "len": (0, 4),
    "pkt_type": (4, 4),
    "mark": (8, 4),
    "queue_mapping": (12, 4),
    "protocol": (16, 4),
    "vlan_present": (20, 4),
    "vlan_tci": (24, 4),
    "vlan_proto": (28, 4),
    "priority": (32, 4),
    "ingress_ifindex": (36, 4),
    "ifindex": (40, 4),
    "tc_index": (44, 4),
    "cb": (48, 20),
    "hash": (68, 4),
    "tc_classid": (72, 4),
    "data": (76, 4),
    "data_end": (80, 4),
    "napi_id": (84, 4),
    "data_meta": (140, 4),
    "tstamp": (152, 8),
    "wire_len": (160, 4),
    "gso_segs": (164, 4),
    "gso_size": (176, 4),
}

XDP_MD: Final[Fields] = {
    "data": (0, 4),
    "data_end": (4, 4),
    "data_meta": (8, 4),
    "ingress_ifindex": (12, 4),
    "rx_queue_index": (16, 4),
    "egress_ifindex": (20, 4),
}


def load_field(asm: Asm, dst: Reg, context: Reg, fields: Fields, name: str) -> None:
    """`dst = context->name`."""
    asm.load(dst, context, *fields[name])
