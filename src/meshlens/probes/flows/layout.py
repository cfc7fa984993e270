"""What the flow program keeps of a flow, and how it lies in the map.

An entry is a *fragment* of a flow: what one CPU saw of it. No two CPUs write one entry, so nothing is locked,
and user space puts the fragments together (`flows.table`). Both directions of a flow share an entry: its two
ends, `a` and `b`, stand in the order of their numbers, not of source and destination.
"""

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

__all__ = [
    "EXPORT",
    "FIRST_SEEN",
    "FLOWS",
    "FOREVER_NS",
    "HEAD_BYTES",
    "HEAD_START",
    "IN_BATADV",
    "KEY_BYTES",
    "MAX_HEAD",
    "Fragment",
    "HeadEntry",
    "Key",
    "canonical",
    "pack_key",
    "unpack_key",
    "unpack_times",
    "value_bytes",
]

#: The names of the maps: flows, and those that ended because a packet came too late to belong to them.
FLOWS: Final = "flows"
EXPORT: Final = "ended_flows"

# a, b: addresses of 16 bytes, IPv4 first and padded with zeros; ports in network order; protocol; IP version
# and in its upper half what the packet is inside of; the CPU, in host order.
_KEY: Final = struct.Struct("=16s16s2s2sBBH")
KEY_BYTES: Final = _KEY.size
# The key once more, so that an ended flow leaves in one piece; then first, last, the end of the period;
# packets a to b, b to a; bytes a to b, b to a; TCP flags a to b, b to a; which way and hook direction the
# first packet had; how many packets stand in the head.
_STATE: Final = struct.Struct("=3Q2Q2Q4BI")
HEAD_START: Final = KEY_BYTES + _STATE.size
# One skb in the head: when, its bytes, those of each of its packets but the last one; the way in the highest
# bit, and the number of packets.
_HEAD: Final = struct.Struct("=QIHH")
HEAD_BYTES: Final = _HEAD.size
MAX_HEAD: Final = 64
#: The end of a period that has none.
FOREVER_NS: Final = (1 << 63) - 1
#: Where `first` stands in a value; 0 there: the program has not filled the entry yet.
FIRST_SEEN: Final = KEY_BYTES
_TIMES: Final = struct.Struct("=3Q")
_WAY_BIT: Final = 0x8000


#: In `Key.version`: the packet is in a batman-adv packet.
IN_BATADV: Final = 0x10


class Key(NamedTuple):
    """The two ends of a flow, as they lie in the map; `version` is 4 or 6, and IN_BATADV where it is."""

    a: bytes
    b: bytes
    a_port: bytes
    b_port: bytes
    protocol: int
    version: int


class HeadEntry(NamedTuple):
    """One skb among the first of a flow: `packets` of `segment` bytes, the last of what is left of `size`."""

    time_ns: int
    size: int
    segment: int
    packets: int
    way: int


@dataclass(slots=True)
class Fragment:
    """A flow, or a part of it: index 0 is what went from a to b, index 1 from b to a; `sizes` are bytes.

    `direction` is where the first packet was seen: 0 in, 1 out, 2 unknown; `way` which way it went.
    """

    key: Key
    first_ns: int
    last_ns: int
    period_end_ns: int
    packets: list[int]
    sizes: list[int]
    flags: list[int]
    way: int
    direction: int
    head: list[HeadEntry] = field(default_factory=list)

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From the value of the map, whose first bytes are the key."""
        *key, _cpu = _KEY.unpack_from(value)
        first, last, end, *numbers, way, direction, kept = _STATE.unpack_from(value, KEY_BYTES)
        head = [
            HeadEntry(time_ns, size, segment, packets & ~_WAY_BIT, packets >> 15)
            for time_ns, size, segment, packets in _HEAD.iter_unpack(
                value[HEAD_START : HEAD_START + kept * HEAD_BYTES]
            )
        ]
        return cls(Key(*key), first, last, end, numbers[:2], numbers[2:4], numbers[4:], way, direction, head)

    def pack(self, head_length: int, cpu: int = 0) -> bytes:
        """As the value of a map whose flows keep `head_length` packets."""
        state = _STATE.pack(
            self.first_ns, self.last_ns, self.period_end_ns, *self.packets, *self.sizes, *self.flags,
            self.way, self.direction, len(self.head),
        )  # fmt: skip
        head = (_HEAD.pack(e.time_ns, e.size, e.segment, e.packets | e.way << 15) for e in self.head)
        return b"".join((pack_key(self.key, cpu), state, *head)).ljust(value_bytes(head_length), b"\0")


def unpack_key(key: bytes) -> Key:
    """The flow of a key of the map, whichever CPU."""
    return Key(*_KEY.unpack(key)[:-1])


def unpack_times(value: bytes) -> tuple[int, int, int]:
    """First, last and end of the period of a value of the map; first 0: the entry is not filled yet."""
    first, last, period_end = _TIMES.unpack_from(value, FIRST_SEEN)
    return first, last, period_end


def pack_key(key: Key, cpu: int = 0) -> bytes:
    """As the key of the map."""
    return _KEY.pack(*key, cpu)


def value_bytes(head_length: int) -> int:
    """The size of a value whose flows keep `head_length` packets."""
    return HEAD_START + head_length * HEAD_BYTES


def canonical(
    source: bytes, destination: bytes, ports: tuple[bytes, bytes], protocol: int, version: int
) -> tuple[Key, int]:
    """The key of a packet, and its way: 0 if it goes from a to b, else 1.

    The ends are ordered as the program orders them: words of the machine's own byte order, then ports.
    """
    source, destination = source.ljust(16, b"\0"), destination.ljust(16, b"\0")
    if _order(source, ports[0]) <= _order(destination, ports[1]):
        return Key(source, destination, *ports, protocol, version), 0
    return Key(destination, source, ports[1], ports[0], protocol, version), 1


def _order(address: bytes, port: bytes) -> tuple[int, ...]:
    return (*struct.unpack("=2Q", address), *struct.unpack("=H", port))
