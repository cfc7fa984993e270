"""The packet headers of batman-adv, by compat version and type name.

Sources: include/uapi/linux/batadv_packet.h (compat version 15; `mcast`: Linux 6.8 and newer) and
net/batman-adv/packet.h of Linux 3.8 (compat version 14). Fields have the kernel's names, but for `type`.
"""

from meshlens.packet.layout import Header, header

__all__ = ["HEADERS_14", "HEADERS_15", "TVLV"]

TVLV = header("tvlv", type=8, version=8, value_bytes=16)


def _packet(name: str, **widths: int) -> Header:
    return header(name, type=8, version=8, **widths)


def _by_name(*headers: Header) -> dict[str, Header]:
    return {kind.name: kind for kind in headers}


_UNICAST = _packet("unicast", ttl=8, ttvn=8, dest=48)
_UNICAST_4ADDR = _packet("unicast_4addr", ttl=8, ttvn=8, dest=48, src=48, subtype=8, reserved=8)
_BCAST = _packet("bcast", ttl=8, reserved=8, seqno=32, orig=48)
_CODED = _packet(
    "coded",
    ttl=8,
    first_ttvn=8,
    first_source=48,
    first_orig_dest=48,
    first_crc=32,
    second_ttl=8,
    second_ttvn=8,
    second_dest=48,
    second_source=48,
    second_orig_dest=48,
    second_crc=32,
    coded_len=16,
)

HEADERS_14 = _by_name(
    _UNICAST,
    _UNICAST_4ADDR,
    _BCAST,
    _CODED,
    _packet(
        "iv_ogm",
        ttl=8,
        flags=8,
        seqno=32,
        orig=48,
        prev_sender=48,
        gw_flags=8,
        tq=8,
        tt_num_changes=8,
        ttvn=8,
        tt_crc=16,
    ),
    _packet("icmp", ttl=8, msg_type=8, dst=48, orig=48, seqno=16, uid=8, reserved=8),
    _packet(
        "vis", ttl=8, vis_type=8, seqno=32, entries=8, reserved=8, vis_orig=48, target_orig=48, sender_orig=48
    ),
    _packet("unicast_frag", ttl=8, ttvn=8, dest=48, flags=8, align=8, orig=48, seqno=16),
    _packet("tt_query", ttl=8, flags=8, dst=48, src=48, ttvn=8, tt_data=16),
    _packet("roam_adv", ttl=8, reserved=8, dst=48, src=48, client=48),
)

HEADERS_15 = _by_name(
    _UNICAST,
    _UNICAST_4ADDR,
    _BCAST,
    _CODED,
    _packet("iv_ogm", ttl=8, flags=8, seqno=32, orig=48, prev_sender=48, reserved=8, tq=8, tvlv_len=16),
    _packet("elp", orig=48, seqno=32, elp_interval=32),
    _packet("ogm2", ttl=8, flags=8, seqno=32, orig=48, tvlv_len=16, throughput=32),
    _packet("mcast", ttl=8, reserved=8, tvlv_len=16),
    _packet("unicast_frag", ttl=8, no=4, priority=3, reserved=1, dest=48, orig=48, seqno=16, total_size=16),
    _packet("icmp", ttl=8, msg_type=8, dst=48, orig=48, uid=8, reserved=8, seqno=16),
    _packet("unicast_tvlv", ttl=8, reserved=8, dst=48, src=48, tvlv_len=16, align=16),
)
