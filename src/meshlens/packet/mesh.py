"""Mesh traffic, made up but true to form: the same seed gives the same frames.

Two mixes, as a mesh interface of a Freifunk node sees them: `overhead_mix` is what nodes and clients send to
find each other, `payload_mix` what they do it for. The weights are plausible, not measured: routing first,
then ARP and neighbour discovery. A link needs an MTU of 1532 bytes for them, and 4 more a VLAN tag.

A frame's kind is "TYPE/INNER", the batman-adv packet type and the kind of the inner frame
("bcast/arp-request"); without inner frame "TYPE" ("elp"; "unicast_frag" is a tail fragment), without
batman-adv "client/INNER".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from meshlens.packet.craft import BROADCAST, mac, tag
from meshlens.packet.craft_batadv import batadv, batadv_frame, fragments, tvlv
from meshlens.packet.mesh_clients import OVERHEAD_KINDS
from meshlens.packet.mesh_payload import PAYLOAD_KINDS
from meshlens.packet.mesh_routing import ROUTING_KINDS, TAIL_FRAGMENTS
from meshlens.packet.mesh_world import Build, Kind, World

__all__ = ["MeshFrame", "overhead_mix", "payload_mix"]

_TVLV_MCAST_TRACKER = 7
_COMMON_WEIGHT = (
    2  # kinds drawn less often go by their usual carrier only, to keep the number of kinds in bounds
)


@dataclass(frozen=True, slots=True)
class MeshFrame:
    """One Ethernet frame, and what it is."""

    kind: str
    data: bytes


def overhead_mix(
    count: int = 2000,
    *,
    version: int = 15,
    vlans: Sequence[int] = (),
    inner_vlans: Sequence[int] = (),
    seed: int = 1,
) -> list[MeshFrame]:
    """`count` frames: one of each kind, then kinds drawn by weight.

    `version` is the compat version of batman-adv. `vlans` tag each frame, `inner_vlans` the frames of
    clients.
    """
    kinds = [*ROUTING_KINDS[version], *_carried(OVERHEAD_KINDS, version, inner_vlans)]
    return _draw(kinds, count, vlans, seed)


def payload_mix(
    count: int = 1000,
    *,
    version: int = 15,
    vlans: Sequence[int] = (),
    inner_vlans: Sequence[int] = (),
    seed: int = 1,
) -> list[MeshFrame]:
    """`count` frames of TCP, UDP and DNS in batman-adv unicast, fragmented and plain; else as above."""
    kinds = [TAIL_FRAGMENTS[version], *_carried(PAYLOAD_KINDS, version, inner_vlans)]
    return _draw(kinds, count, vlans, seed)


def _draw(kinds: Sequence[Kind], count: int, vlans: Sequence[int], seed: int) -> list[MeshFrame]:
    world = World(seed)
    weights = [kind.weight for kind in kinds]
    rest = world.random.choices(kinds, weights, k=max(0, count - len(kinds)))
    return [
        MeshFrame(kind.name, tag(kind.build(world, world.random.choice(world.clients)), *vlans))
        for kind in [*kinds, *rest][:count]
    ]


# What carries the frames of clients

Carry = Callable[[World, int, bytes], bytes]  # from the compat version and the inner frame to the outer frame


def _client(_world: World, _version: int, inner: bytes) -> bytes:
    return inner


def _bcast(world: World, version: int, inner: bytes) -> bytes:
    orig = world.node()
    return batadv_frame(
        BROADCAST, orig, batadv(version, "bcast", inner, seqno=world.bits(32), orig=mac(orig))
    )


def _unicast(world: World, version: int, inner: bytes) -> bytes:
    fields = {"ttvn": world.bits(8), "dest": mac(world.node())}
    return batadv_frame(world.node(), world.node(), batadv(version, "unicast", inner, **fields))


def _unicast_4addr(world: World, version: int, inner: bytes) -> bytes:
    """As the distributed ARP table sends; the subtypes are data, get, put and answer from the cache."""
    fields = {"ttvn": world.bits(8), "dest": mac(world.node()), "src": mac(world.node())}
    packet = batadv(version, "unicast_4addr", inner, subtype=world.random.randint(1, 4), **fields)
    return batadv_frame(world.node(), world.node(), packet)


def _mcast(world: World, version: int, inner: bytes) -> bytes:
    """To an odd number of nodes, which keeps the inner frame aligned (net/batman-adv/multicast_forw.c)."""
    nodes = [mac(world.node()).to_bytes(6, "big") for _ in range(world.random.randrange(1, 16, 2))]
    tracker = tvlv(_TVLV_MCAST_TRACKER, len(nodes).to_bytes(2, "big") + b"".join(nodes))
    return batadv_frame(
        world.node(), world.node(), batadv(version, "mcast", tracker + inner, tvlv_len=len(tracker))
    )


def _unicast_frag(world: World, version: int, inner: bytes) -> bytes:
    """The head fragment."""
    packet = batadv(version, "unicast", inner, ttvn=world.bits(8), dest=mac(world.node()))
    head, _tail = fragments(version, packet, orig=mac(world.node()), seqno=world.bits(15))
    return batadv_frame(world.node(), world.node(), head)


_CARRIERS: dict[str, Carry] = {
    "client": _client,
    "bcast": _bcast,
    "unicast": _unicast,
    "unicast_4addr": _unicast_4addr,
    "mcast": _mcast,
    "unicast_frag": _unicast_frag,
}
_ARP_TABLE_KINDS = {"arp-request", "arp-reply"}  # what the distributed ARP table carries on its way
_LARGE_BYTES = 1300  # with batman-adv's header, more than a link of small MTU takes in one piece


def _carried(kinds: Sequence[Kind], version: int, inner_vlans: Sequence[int]) -> Iterator[Kind]:
    """These kinds by each of their carriers, with the weight that the carrier has among them."""
    for kind in kinds:
        for carrier, share in _carriers(kind, version).items():
            build = _wrap(kind, _CARRIERS[carrier], version, inner_vlans)
            yield Kind(f"{carrier}/{kind.name}", kind.weight * share, build)


def _carriers(kind: Kind, version: int) -> dict[str, float]:
    """How often a kind goes by which carrier; the frame itself tells to whom it goes."""
    world = World(0)
    sample = kind.build(world, world.clients[0])
    to_group = sample[0] & 1
    shares = {"bcast" if to_group else "unicast": 1.0, "client": 0.5}
    if kind.name in _ARP_TABLE_KINDS:
        shares["unicast_4addr"] = 0.2
    if len(sample) > _LARGE_BYTES:
        shares["unicast_frag"] = 0.1
    if to_group and sample[0] != 0xFF and kind.weight >= _COMMON_WEIGHT:
        shares["unicast"] = 0.1  # few listeners: a copy for each
        if version == 15:
            shares["mcast"] = 0.1
    return shares


def _wrap(kind: Kind, carry: Carry, version: int, inner_vlans: Sequence[int]) -> Build:
    return lambda world, client: carry(world, version, tag(kind.build(world, client), *inner_vlans))
