"""A flow as it is handed out: typed, oriented from the end that sent the first packet."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final, Literal

from meshlens.probes.flows.layout import IN_BATADV, Fragment, Key
from meshlens.probes.snapshot import Direction

__all__ = ["Ended", "Flow", "Inside", "columns", "flow_ends", "record"]

#: No packet came for the idle time; a period of the active time was over; the capture was, or the interface
#: was gone.
Ended = Literal["idle", "active", "end"]

#: What the frames carry the flow in: nothing, or batman-adv packets on a mesh interface.
Inside = Literal["", "batadv"]

_DIRECTIONS: Final[tuple[Direction | None, ...]] = ("in", "out", None)
#: IANA's protocol numbers; others are shown as numbers.
_PROTOCOLS: Final = {
    1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp",
    51: "ah", 58: "icmp6", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp", 136: "udplite",
}  # fmt: skip
_FLAG_LETTERS: Final = "FSRPAUEC"  # from the lowest bit: FIN SYN RST PSH ACK URG ECE CWR


@dataclass(frozen=True, slots=True)
class Flow:
    """What two ends sent each other.

    `src` sent the first packet; `direction` is where it was seen ("in", "out", None if a file does not tell).
    `interface` is the file's name where a capture was read. Times are nanoseconds since the epoch, bytes
    those of whole frames on the wire. TCP flags are all those seen, or-ed. `ended` is None while it goes on.

    `inside` is "batadv" for a flow in the frames of a batman-adv mesh; bytes are those of the outer frames.

    The `head_` fields tell of the first packets one by one: bytes, 1 if sent by `src` or -1 by `dst`, and
    nanoseconds since the packet before (0 for the first).
    """

    interface: str
    protocol: str
    src: str
    src_port: int
    dst: str
    dst_port: int
    direction: Direction | None
    first_ns: int
    last_ns: int
    src_packets: int
    src_bytes: int
    dst_packets: int
    dst_bytes: int
    src_flags: int
    dst_flags: int
    ended: Ended | None
    head_sizes: tuple[int, ...]
    head_ways: tuple[int, ...]
    head_gaps_ns: tuple[int, ...]
    inside: Inside = ""

    @property
    def packets(self) -> int:
        """Packets of both ends."""
        return self.src_packets + self.dst_packets

    @property
    def bytes(self) -> int:
        """Bytes of both ends."""
        return self.src_bytes + self.dst_bytes

    @property
    def duration_ns(self) -> int:
        """From the first packet to the last."""
        return self.last_ns - self.first_ns

    @property
    def flags(self) -> str:
        """TCP flags that either end has sent, as letters: FSRPAUEC."""
        both = self.src_flags | self.dst_flags
        return "".join(letter for bit, letter in enumerate(_FLAG_LETTERS) if both >> bit & 1)


def record(fragment: Fragment, interface: str, ended: Ended | None, head: int) -> Flow:
    """The flow of a whole fragment; of its first `head` packets the details."""
    src, dst = fragment.way, 1 - fragment.way
    sizes, ways, times = _head(fragment, head)
    return Flow(
        interface,
        *flow_ends(fragment.key, fragment.way),
        _DIRECTIONS[fragment.direction],
        fragment.first_ns,
        fragment.last_ns,
        fragment.packets[src],
        fragment.sizes[src],
        fragment.packets[dst],
        fragment.sizes[dst],
        fragment.flags[src],
        fragment.flags[dst],
        ended,
        tuple(sizes),
        tuple(1 if way == src else -1 for way in ways),
        tuple(now - before for now, before in zip(times, times[:1] + times, strict=False)),
        "batadv" if fragment.key.version & IN_BATADV else "",
    )


def flow_ends(key: Key, way: int) -> tuple[str, str, int, str, int]:
    """The protocol's name or number; address and port of who sends this way, and those of the other."""
    ends = (key.a, key.a_port), (key.b, key.b_port)
    (src, src_port), (dst, dst_port) = ends[way], ends[1 - way]
    version = key.version & ~IN_BATADV
    return (
        _PROTOCOLS.get(key.protocol, str(key.protocol)),
        _address(src, version),
        int.from_bytes(src_port),
        _address(dst, version),
        int.from_bytes(dst_port),
    )


def _head(fragment: Fragment, length: int) -> tuple[list[int], list[int], list[int]]:
    """Sizes, ways and times of the first packets; an skb of several is as many of the same time."""
    packets = [
        (entry.segment, entry.way, entry.time_ns) if number < entry.packets
        else (entry.size - (entry.packets - 1) * entry.segment, entry.way, entry.time_ns)
        for entry in fragment.head
        for number in range(1, entry.packets + 1)
    ][:length]  # fmt: skip
    sizes, ways, times = zip(*packets, strict=True) if packets else ((), (), ())
    return list(sizes), list(ways), list(times)


@lru_cache(maxsize=4096)  # the same few come again and again
def _address(raw: bytes, version: int) -> str:
    return str(ipaddress.ip_address(raw[:4] if version == 4 else raw))


def columns(flows: Iterable[Flow]) -> dict[str, list[object]]:
    """The flows column by column, as data frames want them."""
    table: dict[str, list[object]] = {each.name: [] for each in fields(Flow)}
    for flow in flows:
        for name, values in table.items():
            values.append(getattr(flow, name))
    return table
