"""The traffic of the recipes, made up: what the pages show can be made again."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from math import sin
from random import Random
from typing import Final

from bench.network import Namespace, joined
from meshlens.packet import craft, craft_services
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.packet.replay import replay

__all__ = ["SCENES", "Scene", "playing"]

_ROUTER: Final = "b8:27:eb:00:00:01"
_BATCH: Final = 50


@dataclass(frozen=True, slots=True)
class Scene:
    """Our interface with its address and MTU; the frames that come in and go out, over and over."""

    interface: str
    mac: str
    mtu: int
    pps: int
    coming: list[bytes]
    going: list[bytes]


def wlan() -> Scene:
    """A hotspot: one downloads, one has a video call, others trickle."""
    coming, going = [], []
    for number, (name, mac, weight, protocol) in enumerate((
        ("maria-laptop", "3c:22:fb:01:02:03", 60, craft.tcp),
        ("phone", "de:ad:be:11:22:33", 25, craft.udp),
        ("thermostat", "24:0a:c4:44:55:66", 3, craft.tcp),
        ("tv", "8c:79:f5:77:88:99", 12, craft.tcp),
    )):  # fmt: skip
        address, server, ports = f"10.20.0.{10 + number}", f"203.0.113.{7 + number}", (40_000 + number, 443)
        up = protocol(address, server, *ports, bytes(900 if protocol is craft.udp else 0))
        down = protocol(server, address, *ports[::-1], bytes(1200))
        coming += [craft.ip_frame(mac, up, _ROUTER)] * weight
        going += [craft.ip_frame(_ROUTER, down, mac)] * 2 * weight
        coming += [craft.ip_frame(mac, _dhcp_request(mac, address, name), craft.BROADCAST)]
        coming += [craft.ip_frame(mac, craft_services.mdns_query(address, "_airplay._tcp.local"))]
    return Scene("wlan0", _ROUTER, 1500, 600, *_shuffled(coming, going))


def storm() -> Scene:
    """A bridge port behind which somebody plugged a cable into the same switch twice."""
    looped = craft.ethernet(
        craft.BROADCAST, "a4:2b:b0:c3:55:01", 0x0806,
        craft.arp(1, "a4:2b:b0:c3:55:01", "10.20.0.77", "00:00:00:00:00:00", "10.20.0.1"),
    )  # fmt: skip
    usual = [each.data for each in overhead_mix(3000) if each.kind.startswith("client/")][:300]
    return Scene("lan0", _ROUTER, 1500, 4000, *_shuffled([*usual, *[looped] * 6000], usual[:30]))


def mesh() -> Scene:
    """A mesh link of batman-adv: what nodes and clients send to find each other, and what they do it for."""
    node = "02:ba:7a:00:00:00"
    frames = [each.data for each in (*overhead_mix(9000), *payload_mix(3000))]
    outgoing = craft.mac(node).to_bytes(6)
    going = [frame for frame in frames if frame[6:12] == outgoing]
    return Scene("mesh0", node, 1560, 2000, *_shuffled([f for f in frames if f[6:12] != outgoing], going))


#: By the name that a page gives.
SCENES: Final[dict[str, Callable[[], Scene]]] = {"wlan": wlan, "storm": storm, "mesh": mesh}


@contextmanager
def playing(scene: Scene) -> Iterator[Namespace]:
    """Let the frames pass in a network namespace of their own until the end of the block."""
    over = threading.Event()
    with joined(mtu=scene.mtu) as (here, there), ThreadPoolExecutor(2) as senders:
        here.ip("link", "set", "lo", "up")
        here.ip("link", "set", "veth0", "down")
        here.ip("link", "set", "veth0", "name", scene.interface, "address", scene.mac)
        here.ip("link", "set", scene.interface, "up")
        share = len(scene.coming) / (len(scene.coming) + len(scene.going))
        sending = [
            senders.submit(_send, there, "veth0", scene.coming, scene.pps * share, over),
            senders.submit(_send, here, scene.interface, scene.going, scene.pps * (1 - share), over),
        ]
        try:
            yield here
        finally:
            over.set()
            for each in sending:
                each.result()


def _send(
    namespace: Namespace, interface: str, frames: list[bytes], pps: float, over: threading.Event
) -> None:
    """At a pace that swings by half, in half a minute."""
    at = 0
    with namespace.inside():
        while not over.is_set():
            pace = pps * (1 + sin(time.monotonic() / 5) / 2)
            replay(interface, frames[at : at + _BATCH], rate_pps=pace)
            at = (at + _BATCH) % len(frames)


def _dhcp_request(mac: str, address: str, name: str) -> bytes:
    """A request as telephones send it: with a host name, and a list of what is asked for (RFC 2132)."""
    header = bytes((1, 1, 6, 0)) + bytes(4 + 4 + 16) + craft.mac(mac).to_bytes(6) + bytes(10 + 192)
    options = bytes((53, 1, 3, 50, 4)) + IPv4Address(address).packed + bytes((12, len(name))) + name.encode()
    options += bytes((55, 6, 1, 3, 6, 15, 119, 252, 255))
    payload = header + bytes.fromhex("63825363") + options
    return craft.udp(socket.inet_ntoa(bytes(4)), "255.255.255.255", 68, 67, payload)


def _shuffled(*lists: list[bytes]) -> list[list[bytes]]:
    for each in lists:
        Random(1).shuffle(each)
    return list(lists)
