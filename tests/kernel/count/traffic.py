"""Mesh traffic of which the truth is known by how it was made, and what a session says of it."""

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshlens.filters.lists import FilterList, parse_list
from meshlens.packet.mesh import MeshFrame, overhead_mix
from meshlens.packet.replay import replay
from meshlens.probes.snapshot import Direction, Snapshot

if TYPE_CHECKING:  # without pytest, scripts in virtual machines import this in half the time
    from tests.kernel.conftest import NetNs

MTU = 1600
RATE_PPS = 5_000  # far less than what fills the queues of a veth pair, also on a busy machine

#: Each id with its filter, and the kinds of frames that it is about.
FILTERS: dict[str, tuple[str, str]] = {
    "all": ("len >= 0", r".*"),
    "arp": ("arp", r"client/(arp|bla)-.*"),  # bridge loop avoidance speaks ARP
    "nd": ("icmp6 and ip6[40] >= 135 and ip6[40] <= 136", r"client/nd-.*"),
    "ogm": ("batadv 15 iv_ogm", r"iv_ogm"),
    "bcast": ("batadv 15 bcast", r"bcast/.*"),
    "bcast:arp": ("batadv 15 bcast and arp", r"bcast/(arp|bla)-.*"),
    "bcast:mdns": ("batadv 15 bcast and udp port 5353", r"bcast/mdns6?-.*"),
    "unicast:arp": ("batadv 15 unicast and arp", r"unicast/arp-.*"),
    "4addr": ("batadv 15 unicast_4addr", r"unicast_4addr/.*"),
    "never": ("arp and ip", r"-"),
}

FRAMES = overhead_mix(600)

Counts = dict[str, tuple[int, int]]


def filters() -> FilterList:
    return parse_list("".join(f"{name};{text}\n" for name, (text, _) in FILTERS.items()))


def truth(frames: Sequence[MeshFrame], times: int = 1) -> Counts:
    """Packets and bytes of each filter, by the kinds of the frames."""
    result = {}
    for name, (_, kinds) in FILTERS.items():
        sizes = [len(frame.data) for frame in frames if re.fullmatch(kinds, frame.kind)]
        result[name] = times * len(sizes), times * sum(sizes)
    return result


NOTHING: Counts = dict.fromkeys(FILTERS, (0, 0))


def send(ns: "NetNs", frames: Sequence[MeshFrame] = FRAMES, interface: str = "veth0") -> None:
    """Put the frames on the wire from this side."""
    ns.run(lambda: replay(interface, [frame.data for frame in frames], rate_pps=RATE_PPS))


def counts(snapshot: Snapshot, direction: Direction, interface: str = "veth0") -> Counts:
    return {
        each.filter: (each.packets, each.bytes)
        for each in snapshot.counts
        if (each.direction, each.interface) == (direction, interface)
    }


def missed(snapshot: Snapshot) -> int:
    return sum(snapshot.missed.values())


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
