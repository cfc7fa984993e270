"""What a scoped filter means, said a second time: decapsulate in Python, ask libpcap, combine by the rules.

`meaning` looks upwards from each primitive for the `batadv` that governs it, where `scope.rewrite` walks the
expression from left to right; the two share no code but libpcap and the table of packet types.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from meshlens.filters.markers import MARK_INNER, META_DIRECTION, META_IFINDEX
from meshlens.filters.pcap import CbpfInsn, compile_cbpf, matches
from meshlens.filters.scope import Rewritten
from meshlens.packet.batadv import find_type, inner_offset

LD_IMM, LD_ABS_CLASS = 0x00, 0x20


@dataclass(frozen=True)
class Test:
    """A primitive of libpcap."""

    __test__ = False  # not for pytest

    text: str


@dataclass(frozen=True)
class Batadv:
    version: int | None = None
    type: str | None = None

    @property
    def text(self) -> str:
        return " ".join(str(word) for word in ("batadv", self.version, self.type) if word is not None)


@dataclass(frozen=True)
class Not:
    operand: "Tree"


@dataclass(frozen=True)
class And:
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True)
class Or:
    left: "Tree"
    right: "Tree"


Tree = Test | Batadv | Not | And | Or


def meaning(tree: Tree, frame: bytes, scopes: tuple[Batadv, ...] = ()) -> bool:
    """Whether `tree` matches, for frames that are long enough for every load.

    `scopes`: what governs this node from further up, the nearest last.
    """
    match tree:
        case Test(text):
            return compiled_matches(text, inner_frame(frame, scopes[-1]) if scopes else frame)
        case Batadv():
            return is_batadv(frame, tree)
        case Not(operand):
            return not meaning(operand, frame, scopes)
        case Or(left, right):
            return meaning(left, frame, scopes) or meaning(right, frame, scopes)
        case And(left, right):
            return meaning(left, frame, scopes) and meaning(right, frame, scopes + tuple(exposed(left)))


def exposed(tree: Tree) -> Iterator[Batadv]:
    """The `batadv`s that any match of `tree` has passed, and that open a scope."""
    match tree:
        case Batadv(version, str(name)) if find_type(version or 0, name).inner:  # type: ignore[union-attr]
            yield tree
        case And(left, right):
            yield from exposed(left)
            yield from exposed(right)


def is_batadv(frame: bytes, test: Batadv) -> bool:
    if frame[12:14] != b"\x43\x05" or (test.version is not None and frame[15] != test.version):
        return False
    kind = find_type(test.version or 0, test.type) if test.type else None
    return kind is None or frame[14] == kind.number


def inner_frame(frame: bytes, batadv: Batadv, vlan_depth: int = 0) -> bytes:
    assert batadv.version is not None
    assert batadv.type is not None
    offset = inner_offset(frame, batadv.version, batadv.type, vlan_depth)
    return b"" if offset is None else frame[offset:]


def rewritten_matches(
    rewritten: Rewritten, frame: bytes, *, outbound: bool = False, ifindex: int = 0
) -> bool:
    """Run what `rewrite` made of an expression in libpcap, with constants in the place of marked loads."""
    known = {META_DIRECTION: int(outbound), META_IFINDEX: ifindex}
    values = dict(known)
    for index, part in enumerate(rewritten.parts):
        offset = inner_offset(frame, part.version, part.type, part.vlan_depth)
        inner = b"" if offset is None else frame[offset:]
        values[MARK_INNER + index] = int(matches(unmarked(part.text, known), inner))
    return matches(unmarked(rewritten.text, values), frame)


def unmarked(text: str, values: dict[int, int]) -> tuple[CbpfInsn, ...]:
    return tuple(
        CbpfInsn(LD_IMM, 0, 0, values[each.k]) if is_marked(each) else each for each in compile_cbpf(text)
    )


def is_marked(instruction: CbpfInsn) -> bool:
    return instruction.code & 0xE7 == LD_ABS_CLASS and instruction.k >= MARK_INNER and instruction.k < 1 << 31


@lru_cache(maxsize=100_000)
def compiled_matches(text: str, frame: bytes) -> bool:
    return matches(compile_cbpf(text), frame)


def ethernet(ethertype: int, payload: bytes, destination: str = "020000000002") -> bytes:
    """A frame padded so that no ordinary filter looks beyond its end."""
    header = bytes.fromhex(destination) + bytes.fromhex("020000000001") + ethertype.to_bytes(2, "big")
    return header + payload.ljust(150, b"\0")


def ipv4(protocol: int, source_port: int, destination_port: int, destination: str = "0a000002") -> bytes:
    header = bytes.fromhex(f"4500008c 0000 0000 40{protocol:02x}0000 0a000001 {destination}")
    return ethernet(0x0800, header + source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big"))


def ipv6(next_header: int, ports: tuple[int, int]) -> bytes:
    header = (
        bytes.fromhex(f"60000000 0064 {next_header:02x}ff")
        + bytes(15)
        + b"\1"
        + bytes.fromhex("ff02")
        + bytes(14)
    )
    return ethernet(
        0x86DD, header + ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big"), "333300000001"
    )


def arp(operation: int) -> bytes:
    return ethernet(0x0806, bytes.fromhex(f"0001 0800 06 04 {operation:04x}"), "ffffffffffff")


def tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + frame[12:]


def encapsulated(version: int, name: str, inner: bytes, header_tail: bytes = b"") -> bytes:
    """`inner` behind a batman-adv header whose bytes after type and version are `header_tail`."""
    kind = find_type(version, name)
    assert kind is not None
    header = (bytes((kind.number, version)) + header_tail).ljust(kind.header_bytes, b"\0")
    return bytes.fromhex("020000000003 020000000004 4305") + header + inner


INNER_FRAMES = {
    "arp request": arp(1),
    "arp reply": arp(2),
    "dns over ipv4": ipv4(17, 40000, 53),
    "http over ipv4": ipv4(6, 40000, 80),
    "multicast ipv4": ipv4(17, 5353, 5353, "e00000fb"),
    "mdns over ipv6": ipv6(17, (5353, 5353)),
    "tcp over ipv6": ipv6(6, (40000, 443)),
}
_HEAD_FRAGMENT = b"\x40\x0f".ljust(10, b"\0")
FRAMES = [
    *INNER_FRAMES.values(),
    *(encapsulated(15, "bcast", inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(15, "unicast", inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(15, "unicast_4addr", inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(15, "mcast", b"\x77" * 9 + inner, b"\0\0\0\x09") for inner in INNER_FRAMES.values()),
    *(encapsulated(15, "unicast_frag", _HEAD_FRAGMENT + inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(14, "bcast", inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(14, "unicast", inner) for inner in INNER_FRAMES.values()),
    *(encapsulated(15, name, bytes(200)) for name in ("iv_ogm", "icmp", "ogm2", "elp")),
    encapsulated(15, "bcast", encapsulated(15, "unicast", arp(1))),
]
