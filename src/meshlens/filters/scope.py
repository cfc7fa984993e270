"""Scopes: which frame, outer or inner, each primitive of an expression is about.

A positive `batadv` whose packet type carries an Ethernet frame moves every primitive to its right in the
same conjunction to that inner frame, through parentheses in both directions. It does not reach through
`or`, out of `not`, or to the left. docs/filter-lists.md has the rules with examples.

libpcap knows nothing of this. So each piece that speaks of an inner frame is cut out, to be compiled on its
own, and a marked load (see `markers`) stands in its place in the text that libpcap gets.
"""

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from meshlens.filters.errors import FilterError, nearest
from meshlens.filters.expression import Chain, Node, Not, Primitive, parse, primitives, to_text
from meshlens.filters.markers import MARK_INNER, META_DIRECTION, META_IFINDEX
from meshlens.packet.batadv import (
    ETHERNET_HEADER_BYTES,
    ETHERTYPE_BATADV,
    PACKET_TYPES,
    VERSIONS,
    VLAN_TAG_BYTES,
    PacketType,
    find_type,
)

__all__ = ["Part", "Rewritten", "rewrite"]

_OURS = re.compile(r"(?<![-\w.\\])(?:batadv|inbound|outbound|ifindex|ifname|on)(?![-\w.])")

#: Primitives after which libpcap looks further into the frame, to the end of the expression.
_SHIFTS = ("vlan", "mpls", "pppoes", "geneve")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an expression that is about the frame inside a batman-adv packet.

    `text` is plain pcap-filter for an Ethernet frame (it may hold marked loads of what the hook knows).
    `version` and `type` say which batman-adv packet carries the frame, `vlan_depth` how many VLAN tags stand
    before the outer batman-adv ethertype.
    """

    text: str
    version: int
    type: int
    vlan_depth: int = 0


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What libpcap gets: `text`, in which a byte load at MARK_INNER + i stands for "`parts[i]` matches".

    `batadv`: the expression names it, and so is about Ethernet frames.
    """

    text: str
    parts: tuple[Part, ...] = ()
    batadv: bool = field(default=False, compare=False)


def rewrite(expression: str, ifindex_of: Callable[[str], int] = socket.if_nametoindex) -> Rewritten:
    """Take `batadv` and what the hook answers out of an expression.

    An expression that names none of `batadv`, `inbound`, `outbound`, `ifindex`, `ifname` (or its synonym
    `on`) comes back as it is. `ifindex_of` resolves `ifname`.

    Raises FilterError for an unknown batman-adv version or type, an unknown interface, or an expression that
    libpcap could not read either.
    """
    if not _OURS.search(expression):
        return Rewritten(expression)
    rewriter = _Rewriter(ifindex_of)
    parsed = parse(expression)
    node, _ = rewriter.walk(parsed, None)
    return Rewritten(to_text(node), tuple(rewriter.parts), _names_batadv(parsed))


@dataclass(slots=True)
class _Frame:
    """A frame that primitives are about. `shifts`: the primitives so far that moved libpcap into it."""

    shifts: list[Primitive] = field(default_factory=list)

    def forbid_after(self, shifts: tuple[str, ...], primitive: Primitive) -> None:
        for shift in self.shifts:
            if shift.words[0] in shifts:
                raise FilterError(f"`{primitive.text}` has no meaning after `{shift.text}`; write it first")


@dataclass(slots=True)
class _Inner(_Frame):
    """The frame inside a batman-adv packet, opened by one `batadv` of the expression."""

    version: int = 15
    type: int = 0
    vlan_depth: int = 0


class _Rewriter:
    def __init__(self, ifindex_of: Callable[[str], int]) -> None:
        self.ifindex_of = ifindex_of
        self.outer = _Frame()
        self.parts: dict[Part, int] = {}

    def walk(self, node: Node, scope: _Inner | None) -> tuple[Node, _Inner | None]:
        """The node for libpcap, and the scope of what stands to its right in the same conjunction."""
        if not _names_batadv(node):
            return (self.cut(node, scope) if scope else self.plain(node, self.outer)), scope
        match node:
            case Primitive():
                return self.batadv(node, scope)
            case Not(operand):
                return Not(self.walk(operand, scope)[0]), scope
            case Chain():
                return self.chain(node, scope)

    def chain(self, chain: Chain, scope: _Inner | None) -> tuple[Node, _Inner | None]:
        around = scope
        operands = []
        for operator, operand in _runs(chain):
            if operator == "or":
                operands.append((operator, self.walk(operand, around)[0]))
                scope = around
            else:
                rewritten, scope = self.walk(operand, scope)
                operands.append((operator, rewritten))
        return Chain(operands[0][1], tuple(operands[1:])), scope

    def batadv(self, primitive: Primitive, scope: _Inner | None) -> tuple[Node, _Inner | None]:
        """The test of the outer header. Only a type that carries a frame opens a scope."""
        self.outer.forbid_after(("mpls", "pppoes", "geneve"), primitive)
        version, packet_type = _batadv_arguments(primitive)
        vlan_depth = len(self.outer.shifts)
        header = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * vlan_depth
        test = f"ether proto {ETHERTYPE_BATADV:#06x}"
        if version is None:
            return Primitive(("batadv",), f"({test})"), scope
        if packet_type is None:
            return Primitive(("batadv",), f"({test} and ether[{header + 1}] = {version})"), scope
        both = packet_type << 8 | version
        known = find_type(version, packet_type)
        if known is not None and known.inner is not None:
            scope = _Inner(version=version, type=packet_type, vlan_depth=vlan_depth)
        return Primitive(("batadv",), f"({test} and ether[{header}:2] = {both:#06x})"), scope

    def cut(self, node: Node, scope: _Inner) -> Node:
        """Put a marked load in the place of a piece about the inner frame."""
        # A `batadv` between `vlan` and this piece parted them: shift again, without testing again.
        scope.forbid_after(("geneve",), next(primitives(node)))  # no shift without its test
        shifts = [f"(1 = 1 or {shift.text})" for shift in scope.shifts]
        text = to_text(self.plain(node, scope))
        if shifts:
            text = f"{' and '.join(shifts)} and ({text})"
        part = Part(text, scope.version, scope.type, scope.vlan_depth)
        index = self.parts.setdefault(part, len(self.parts))
        return Primitive((), f"(ether[{MARK_INNER + index:#x}] = 1)")

    def plain(self, node: Node, frame: _Frame) -> Node:
        """A piece without `batadv`: only what the hook answers is replaced."""
        match node:
            case Primitive(words):
                if words[0] in _SHIFTS:
                    frame.shifts.append(node)
                return self.metadata(node, frame) if words[0] in _METADATA else node
            case Not(operand):
                return Not(self.plain(operand, frame))
            case Chain(first, rest):
                first = self.plain(first, frame)
                return Chain(first, tuple((operator, self.plain(x, frame)) for operator, x in rest))

    def metadata(self, primitive: Primitive, frame: _Frame) -> Node:
        frame.forbid_after(("geneve",), primitive)  # libpcap would look for the mark inside the tunnel
        keyword, *arguments = primitive.words
        if len(arguments) != _METADATA[keyword]:
            raise FilterError(f"`{primitive.text}` should be `{keyword}{_ARGUMENT.get(keyword, '')}`")
        if keyword in ("inbound", "outbound"):
            return Primitive((), f"(ether[{META_DIRECTION:#x}] = {int(keyword == 'outbound')})")
        index = _number(arguments[0]) if keyword == "ifindex" else self.interface(arguments[0])
        if index is None:
            raise FilterError(f"`{primitive.text}`: {arguments[0]!r} is no number (`ifname` takes a name)")
        return Primitive((), f"(ether[{META_IFINDEX:#x}:4] = {index})")

    def interface(self, name: str) -> int:
        try:
            return self.ifindex_of(name.removeprefix("\\"))
        except OSError:
            raise FilterError(f"no interface is called {name!r}") from None


#: What the hook knows, and how many arguments each keyword takes.
_METADATA = {"inbound": 0, "outbound": 0, "ifindex": 1, "ifname": 1, "on": 1}
_ARGUMENT = {"ifindex": " NUMBER", "ifname": " NAME", "on": " NAME"}


def _names_batadv(node: Node) -> bool:
    return any(primitive.words[0] == "batadv" for primitive in primitives(node))


def _runs(chain: Chain) -> Iterator[tuple[str, Node]]:
    """The operands of a chain, neighbours without `batadv` joined where they are a subexpression.

    That keeps `vlan and arp` in one piece, where `vlan` moves `arp`.
    """
    operator, run = "", [("", chain.first)]
    for next_operator, operand in chain.rest:
        is_subexpression = operator in ("", next_operator)
        if is_subexpression and not _names_batadv(run[0][1]) and not _names_batadv(operand):
            run.append((next_operator, operand))
            continue
        yield operator, _joined(run)
        operator, run = next_operator, [(next_operator, operand)]
    yield operator, _joined(run)


def _joined(run: list[tuple[str, Node]]) -> Node:
    return Chain(run[0][1], tuple(run[1:])) if len(run) > 1 else run[0][1]


def _batadv_arguments(primitive: Primitive) -> tuple[int | None, int | None]:
    """Version and type number of a `batadv [VERSION [TYPE]]`."""
    _, *arguments = primitive.words
    if not arguments:
        return None, None
    if len(arguments) > 2:
        raise FilterError(f"`{primitive.text}` should be `batadv [VERSION [TYPE]]`")
    version = _number(arguments[0])
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise FilterError(f"`{primitive.text}`: batman-adv compat versions are {known}, not {arguments[0]}")
    return version, _packet_type(version, arguments[1], primitive) if len(arguments) == 2 else None


def _packet_type(version: int, word: str, primitive: Primitive) -> int:
    number = _number(word)
    if number is not None:
        if number > 0xFF:
            raise FilterError(f"`{primitive.text}`: a batman-adv type is one byte, not {word}")
        return number
    name = word.removeprefix("\\").replace("-", "_")
    found: PacketType | None = find_type(version, name)
    if found is None:
        names = [known for packet_type in PACKET_TYPES[version] for known in packet_type.names]
        raise FilterError(
            f"`{primitive.text}`: no batman-adv {version} type {name!r}{nearest(name, names)}"
            f" (types: {', '.join(names)})"
        )
    return found.number


def _number(word: str) -> int | None:
    """A number as libpcap reads it: decimal, 0x hexadecimal, or octal with a leading 0; None for a name."""
    if re.fullmatch("0[0-7]+", word):
        return int(word, 8)
    return int(word, 0) if re.fullmatch("0[xX][0-9A-Fa-f]+|[1-9][0-9]*|0", word) else None
