"""What the nodes of a made-up mesh send to each other: batman-adv packets without an inner frame."""

from meshlens.packet.batadv import VERSIONS
from meshlens.packet.craft import BROADCAST, ETHERTYPE_IPV4, ethernet, mac
from meshlens.packet.craft_batadv import batadv, batadv_frame, fragments, tvlv
from meshlens.packet.mesh_world import Build, Client, Kind, World

__all__ = ["ROUTING_KINDS", "TAIL_FRAGMENTS"]

_TVLV_GW, _TVLV_DAT, _TVLV_TT, _TVLV_MCAST = 1, 2, 4, 6
_MOST_AGGREGATED = 5
_CLIENT_CHANGE = 7  # bytes of struct tt_change in compat version 14


def _tt(world: World) -> bytes:
    """A translation table container: the checksum of one VLAN's table (struct batadv_tvlv_tt_data)."""
    vlan = world.bits(32).to_bytes(4, "big") + bytes((0x80, 1, 0, 0))
    return tvlv(_TVLV_TT, bytes((1, world.bits(8), 0, 1)) + vlan)


def _tvlvs(world: World) -> bytes:
    gateway = (
        tvlv(_TVLV_GW, (1000).to_bytes(4, "big") + (200).to_bytes(4, "big")) if world.bits(3) == 0 else b""
    )
    return _tt(world) + tvlv(_TVLV_MCAST, bytes((0x1F, 0, 0, 0)), version=2) + tvlv(_TVLV_DAT, b"") + gateway


def _iv_ogm_15(world: World, _client: Client) -> bytes:
    """OGMs of several originators, aggregated as batman-adv does."""
    ogms = b""
    sender = world.node()
    for _ in range(world.random.randint(1, _MOST_AGGREGATED)):
        tvlvs = _tvlvs(world)
        addresses = {"orig": mac(world.node()), "prev_sender": mac(world.node())}
        ogms += batadv(
            15, "iv_ogm", tvlvs, seqno=world.bits(32), tq=world.bits(8), tvlv_len=len(tvlvs), **addresses
        )
    return batadv_frame(BROADCAST, sender, ogms)


def _iv_ogm_14(world: World, _client: Client) -> bytes:
    changes = world.random.randint(0, 4)
    ogm = batadv(
        14,
        "iv_ogm",
        world.random.randbytes(changes * _CLIENT_CHANGE),
        seqno=world.bits(32),
        orig=mac(world.node()),
        prev_sender=mac(world.node()),
        tq=world.bits(8),
        tt_num_changes=changes,
        ttvn=world.bits(8),
        tt_crc=world.bits(16),
    )
    return batadv_frame(BROADCAST, world.node(), ogm)


def _ogm2(world: World, _client: Client) -> bytes:
    tvlvs = _tvlvs(world)
    fields = {"seqno": world.bits(32), "orig": mac(world.node()), "throughput": world.bits(10)}
    return batadv_frame(BROADCAST, world.node(), batadv(15, "ogm2", tvlvs, tvlv_len=len(tvlvs), **fields))


def _elp(world: World, _client: Client) -> bytes:
    """A probe of the link; filled up to 200 bytes where the link's throughput is measured by its size."""
    sender = world.node()
    padding = bytes(world.random.choice((0, 184)))
    packet = batadv(15, "elp", padding, orig=mac(sender), seqno=world.bits(32), elp_interval=500)
    return batadv_frame(BROADCAST, sender, packet)


def _icmp(version: int) -> Build:
    def build(world: World, _client: Client) -> bytes:
        sender = world.node()
        fields = {
            "dst": mac(world.node()),
            "orig": mac(sender),
            "seqno": world.bits(16),
            "uid": world.bits(8),
        }
        message = world.random.choice((0, 8))  # echo reply, echo request
        return batadv_frame(world.node(), sender, batadv(version, "icmp", b"", msg_type=message, **fields))

    return build


def _unicast_tvlv(world: World, _client: Client) -> bytes:
    """A request for another node's translation table."""
    sender = world.node()
    container = _tt(world)
    fields = {"dst": mac(world.node()), "src": mac(sender), "tvlv_len": len(container)}
    return batadv_frame(world.node(), sender, batadv(15, "unicast_tvlv", container, **fields))


def _coded(version: int) -> Build:
    def build(world: World, _client: Client) -> bytes:
        mixed = world.bytes(60, 1000)
        fields = {
            name: mac(world.node())
            for name in (
                "first_source",
                "first_orig_dest",
                "second_dest",
                "second_source",
                "second_orig_dest",
            )
        }
        checksums = {"first_crc": world.bits(32), "second_crc": world.bits(32)}
        packet = batadv(version, "coded", mixed, second_ttl=50, coded_len=len(mixed), **fields, **checksums)
        return batadv_frame(world.node(), world.node(), packet)

    return build


def _tail(version: int) -> Build:
    """The rest of a large frame: only the head fragment shows what it carries."""

    def build(world: World, client: Client) -> bytes:
        inner = ethernet(client.mac, world.gateway.mac, ETHERTYPE_IPV4, world.random.randbytes(1500))
        packet = batadv(version, "unicast", inner, dest=mac(world.node()))
        _head, tail = fragments(version, packet, orig=mac(world.node()), seqno=world.bits(15))
        return batadv_frame(world.node(), world.node(), tail)

    return build


def _vis(world: World, _client: Client) -> bytes:
    entries = b"".join(
        mac(world.node()).to_bytes(6, "big") + mac(world.node()).to_bytes(6, "big") + b"\xff"
        for _ in range(3)
    )
    addresses = {name: mac(world.node()) for name in ("vis_orig", "target_orig", "sender_orig")}
    packet = batadv(14, "vis", entries, vis_type=1, seqno=world.bits(32), entries=3, **addresses)
    return batadv_frame(world.node(), world.node(), packet)


def _tt_query(world: World, _client: Client) -> bytes:
    fields = {
        "dst": mac(world.node()),
        "src": mac(world.node()),
        "ttvn": world.bits(8),
        "tt_data": world.bits(16),
    }
    return batadv_frame(world.node(), world.node(), batadv(14, "tt_query", b"", **fields))


def _roam_adv(world: World, client: Client) -> bytes:
    fields = {"dst": mac(world.node()), "src": mac(world.node()), "client": mac(client.mac)}
    return batadv_frame(world.node(), world.node(), batadv(14, "roam_adv", b"", **fields))


TAIL_FRAGMENTS = {version: Kind("unicast_frag", 2, _tail(version)) for version in VERSIONS}
ROUTING_KINDS: dict[int, tuple[Kind, ...]] = {
    14: (
        Kind("iv_ogm", 60, _iv_ogm_14),
        Kind("icmp", 1, _icmp(14)),
        Kind("vis", 1, _vis),
        Kind("tt_query", 2, _tt_query),
        Kind("roam_adv", 1, _roam_adv),
        Kind("coded", 1, _coded(14)),
        TAIL_FRAGMENTS[14],
    ),
    15: (
        Kind("iv_ogm", 40, _iv_ogm_15),
        Kind("ogm2", 20, _ogm2),
        Kind("elp", 20, _elp),
        Kind("icmp", 1, _icmp(15)),
        Kind("unicast_tvlv", 2, _unicast_tvlv),
        Kind("coded", 1, _coded(15)),
        TAIL_FRAGMENTS[15],
    ),
}
