"""batman-adv packets made to measure, for compat versions 14 and 15."""

from meshlens.packet.batadv import ETHERTYPE_BATADV, find_type
from meshlens.packet.batadv_layout import HEADERS_15, TVLV
from meshlens.packet.craft import ethernet

__all__ = ["batadv", "batadv_frame", "fragments", "tvlv"]

_FLAG_HEAD, _FLAG_LARGE_TAIL = 0x01, 0x02  # enum unicast_frag_flags of compat version 14


def batadv(version: int, name: str, payload: bytes, **fields: int) -> bytes:
    """A batman-adv packet: its header with the given fields (the kernel's names), then the payload.

    Raises ValueError for a type or field that the version does not have.
    """
    kind = find_type(version, name)
    if kind is None:
        raise ValueError(f"batman-adv {version} has no packet type {name}")
    if "ttl" in kind.header.fields:
        fields.setdefault("ttl", 50)  # BATADV_TTL
    return kind.header.encode(type=kind.number, version=version, **fields) + payload


def batadv_frame(destination: str, source: str, packet: bytes) -> bytes:
    """The Ethernet frame that carries a batman-adv packet from one mesh node to the next."""
    return ethernet(destination, source, ETHERTYPE_BATADV, packet)


def tvlv(type: int, value: bytes, version: int = 1) -> bytes:
    """A TVLV container."""
    return TVLV.encode(type=type, version=version, value_bytes=len(value)) + value


def fragments(version: int, packet: bytes, *, orig: int, seqno: int, count: int = 2) -> list[bytes]:
    """A batman-adv unicast packet in `count` fragments, the head first; version 14 always makes two."""
    dest = HEADERS_15["unicast"].decode(packet)["dest"]  # it begins like this in both versions and with 4addr
    return (
        _fragments_14(packet, dest, orig, seqno)
        if version == 14
        else _fragments_15(packet, dest, orig, seqno, count)
    )


def _fragments_15(packet: bytes, dest: int, orig: int, seqno: int, count: int) -> list[bytes]:
    """Slices of equal size, numbered from the tail (batadv_frag_send_packet in fragmentation.c)."""
    size = -(-len(packet) // count)
    fields = {"dest": dest, "orig": orig, "seqno": seqno, "total_size": len(packet)}
    begins = range(len(packet) - size * (count - 1), len(packet), size)
    slices = [packet[: begins[0]], *(packet[begin : begin + size] for begin in begins)]
    return [batadv(15, "unicast_frag", part, no=count - 1 - i, **fields) for i, part in enumerate(slices)]


def _fragments_14(packet: bytes, dest: int, orig: int, seqno: int) -> list[bytes]:
    """Halves of the inner frame; the unicast header is dropped (net/batman-adv/unicast.c of Linux 3.8)."""
    unicast = HEADERS_15["unicast"]
    inner = packet[unicast.size_bytes :]
    middle = len(inner) // 2
    large_tail = _FLAG_LARGE_TAIL if len(inner) % 2 else 0
    fields = {"ttvn": unicast.decode(packet)["ttvn"], "dest": dest, "orig": orig}
    head = batadv(14, "unicast_frag", inner[:middle], flags=_FLAG_HEAD | large_tail, seqno=seqno, **fields)
    tail = batadv(14, "unicast_frag", inner[middle:], flags=large_tail, seqno=seqno + 1, **fields)
    return [head, tail]
