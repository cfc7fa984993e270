"""What a skb stands for on the wire.

A skb may be none (a copy that the host keeps for itself), or several packets (GSO on the way out, GRO on the
way in) that share one copy of the headers, and its VLAN tag may stand in the metadata instead of in the
bytes. A counter that ignores this is wrong.
"""

from collections.abc import Callable
from typing import Final

from meshlens.ebpf import R0, R1, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Reg
from meshlens.ebpf.contexts import PACKET_LOOPBACK, Skb

__all__ = [
    "emit_leave_copies",
    "emit_segment_bytes",
    "emit_skb_length",
    "emit_wire_packets",
    "emit_wire_size",
]

_TAG_BYTES: Final = 4
_ETHERNET_BYTES: Final = 14
_VLAN_ETHERTYPES: Final = (0x8100, 0x88A8)
_MAX_TAGS: Final = 2
_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP = 6, 17


def emit_leave_copies(asm: Asm, elsewhere: str) -> None:
    """Go `elsewhere` with a skb in R6 that is on no wire. Uses R0.

    What this host sends to a group that it is in itself, also to everybody, comes back as a copy
    (dev_loopback_xmit(), net/core/dev.c). tc sees it come in, without link-layer header: the bytes begin with
    that of IP. Packet sockets never see it (packet_rcv(), net/packet/af_packet.c).
    """
    asm.field(R0, R6, Skb.pkt_type)
    asm.jump_if(R0, "==", PACKET_LOOPBACK, elsewhere)


def emit_skb_length(asm: Asm, dst: Reg, scratch: Reg) -> None:
    """`dst` = the bytes of the skb in R6 as one frame, with the tag that stands in its metadata."""
    untagged = asm.new_label()
    asm.field(dst, R6, Skb.len)
    asm.field(scratch, R6, Skb.vlan_present)
    asm.jump_if(scratch, "==", 0, untagged)
    asm.alu("+=", dst, _TAG_BYTES)
    asm.label(untagged)


def emit_wire_size(asm: Asm) -> Callable[[], None]:
    """R3 = packets and R4 = bytes that the skb in R6 is on the wire; leaves only R2 and R6 alone.

    Returns what places the code for several packets; call it where no other code falls into.
    """
    segmented, sized = asm.new_label(), asm.new_label()
    emit_skb_length(asm, R4, R0)
    asm.mov(R3, 1)
    asm.field(R0, R6, Skb.gso_segs)
    asm.jump_if(R0, ">", 1, segmented)
    asm.label(sized)

    def place() -> None:
        asm.label(segmented)
        _emit_segmented(asm, sized)

    return place


def emit_segment_bytes(asm: Asm) -> None:
    """R4 = the bytes of each packet but the last, of the R3 > 1 packets of R4 bytes that the skb in R6 is.

    All bytes without those of the skb are what each packet but one adds of headers. Clobbers R0, R1, R3.
    """
    emit_skb_length(asm, R1, R0)
    asm.alu("-=", R4, R1)
    asm.alu("-=", R3, 1)
    asm.alu("/=", R4, R3)
    asm.field(R1, R6, Skb.gso_size)
    asm.alu("+=", R4, R1)


def emit_wire_packets(asm: Asm, packets: int, octets: int, segment: int) -> Callable[[], None]:
    """What the skb in R6 is on the wire, to these places of the stack: packets, bytes, those of each but one.

    Clobbers all registers but R2 and R6; returns what `emit_wire_size` does.
    """
    measured = asm.new_label()
    place = emit_wire_size(asm)
    asm.store(R10, packets, R3, 8)
    asm.store(R10, octets, R4, 8)
    asm.store(R10, segment, R4, 8)
    asm.jump_if(R3, "<=", 1, measured)
    emit_segment_bytes(asm)
    asm.store(R10, segment, R4, 8)
    asm.label(measured)
    return place


def _emit_segmented(asm: Asm, sized: str) -> None:
    """R0 packets share one copy of the headers; add the copies that the others have on the wire.

    On the way out tc knows their bytes (wire_len: qdisc_pkt_len_init(), net/core/dev.c). Else the headers of
    TCP and UDP over IP are measured; of anything else only the bytes that are there count.
    """
    known = asm.new_label()
    asm.mov(R3, R0)
    asm.alu("-=", R0, 1)
    asm.field(R8, R6, Skb.len)
    asm.mov(R5, R4)
    asm.alu("-=", R5, R8)  # the tag that wire_len does not know of
    asm.field(R7, R6, Skb.wire_len)
    asm.alu("-=", R7, R8)
    asm.jump_if(R7, "s>", 0, known)
    _emit_header_bytes(asm, sized)
    asm.alu("*=", R7, R0)
    asm.label(known)
    asm.alu("*=", R5, R0)
    asm.alu("+=", R4, R5)
    asm.alu("+=", R4, R7)
    asm.jump(sized)


def _emit_header_bytes(asm: Asm, unknown: str) -> None:
    """R7 = the bytes before the payload of TCP or UDP; else goes to `unknown`. Clobbers R1, R8, R9."""

    def need(size: int) -> None:
        asm.mov(R9, R7)
        asm.alu("+=", R9, size)
        asm.jump_if(R9, ">", R1, unknown)

    def ethertype(offset: int) -> None:
        asm.load(R8, R7, offset, 2)
        asm.to_be(R8, 16)

    ipv4, ipv6, transport, tcp, measured = (asm.new_label() for _ in range(5))
    asm.field(R7, R6, Skb.data)
    asm.field(R1, R6, Skb.data_end)
    need(_ETHERNET_BYTES)
    ethertype(_ETHERNET_BYTES - 2)
    asm.alu("+=", R7, _ETHERNET_BYTES)
    for _ in range(_MAX_TAGS):
        tagged, untagged = asm.new_label(), asm.new_label()
        for value in _VLAN_ETHERTYPES:
            asm.jump_if(R8, "==", value, tagged)
        asm.jump(untagged)
        asm.label(tagged)
        need(_TAG_BYTES)
        ethertype(2)
        asm.alu("+=", R7, _TAG_BYTES)
        asm.label(untagged)
    asm.jump_if(R8, "==", _IPV4, ipv4)
    asm.jump_if(R8, "!=", _IPV6, unknown)
    asm.label(ipv6)
    need(40)
    asm.load(R8, R7, 6, 1)
    asm.alu("+=", R7, 40)
    asm.jump(transport)
    asm.label(ipv4)
    need(20)
    asm.load(R8, R7, 9, 1)
    asm.load(R9, R7, 0, 1)
    asm.alu("&=", R9, 0xF)
    asm.alu("<<=", R9, 2)
    asm.alu("+=", R7, R9)
    asm.label(transport)
    asm.jump_if(R8, "==", _TCP, tcp)
    asm.jump_if(R8, "!=", _UDP, unknown)
    asm.alu("+=", R7, 8)
    asm.jump(measured)
    asm.label(tcp)
    need(13)
    asm.load(R8, R7, 12, 1)
    asm.alu(">>=", R8, 4)
    asm.alu("<<=", R8, 2)
    asm.alu("+=", R7, R8)
    asm.label(measured)
    asm.field(R9, R6, Skb.data)
    asm.alu("-=", R7, R9)
