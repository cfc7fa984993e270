"""What scopes mean, defined a second time: decapsulate, ask libpcap about the inner frame, combine.

This shares nothing with the compiler: its own parser, its own knowledge of batman-adv, libpcap's verdict on
each piece. A load beyond the frame's end makes a piece, and with it the whole filter, end in "no match".
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import cypcap

from meshlens.filters.pcap import compile_cbpf
from tests.oracle.corpus import Sample
from tests.oracle.judges import LOOPBACK, number

__all__ = [
    "ABORT",
    "CARRIERS",
    "HEADER_BYTES",
    "MATCH",
    "NAMES",
    "NO",
    "TYPES",
    "Oracle",
    "View",
    "inner_frame",
    "is_plain",
    "verdict_of",
]

MATCH, NO, ABORT = 1, 0, -1
MAX_TVLV_BYTES = 32_000


class View:
    """A frame as the oracle looks at it, the outer and the inner ones."""

    def __init__(self, sample: Sample, direction: int = 0, ifindex: int = LOOPBACK) -> None:
        self.sample, self.direction, self.ifindex = sample, direction, ifindex
        self.outer = header(sample), sample.data
        self._inner: dict[tuple[int, int, int], tuple[Any, bytes]] = {}

    def inner(self, version: int, type: int, tags: int) -> tuple[Any, bytes]:
        key = version, type, tags
        if key not in self._inner:
            frame = inner_frame(self.sample, *key)
            self._inner[key] = header(frame), frame.data
        return self._inner[key]


def header(sample: Sample) -> Any:
    return cypcap.Pkthdr(caplen=len(sample.data), len=sample.wire_length)


#: Where an inner frame stands: bytes of the batman-adv header, by (compat version, type).
HEADER_BYTES = {(14, 3): 10, (14, 4): 14, (14, 9): 18, (15, 1): 14, (15, 0x40): 10, (15, 0x42): 18}
NAMES = {
    14: "ogm:1 iv_ogm:1 icmp:2 unicast:3 bcast:4 vis:5 unicast_frag:6 tt_query:7 roam_adv:8 unicast_4addr:9 "
    "coded:10",
    15: "iv_ogm:0 bcast:1 coded:2 elp:3 ogm2:4 mcast:5 unicast:64 unicast_frag:65 unicast_4addr:66 icmp:67 "
    "unicast_tvlv:68",
}
TYPES = {
    version: {name: int(code) for name, code in (pair.split(":") for pair in names.split())}
    for version, names in NAMES.items()
}
CARRIERS = {*HEADER_BYTES, (14, 6), (15, 5), (15, 0x41)}


def inner_frame(sample: Sample, version: int, type: int, tags: int) -> Sample:
    """The Ethernet frame in a batman-adv packet; empty if there is none."""
    packet, at = sample.data[14 + 4 * tags :], 14 + 4 * tags
    none = Sample(b"", 0)
    if (version, type) in HEADER_BYTES:
        at += HEADER_BYTES[version, type]
    elif (version, type) == (15, 5):
        if len(packet) < 6 or (tvlv_bytes := packet[4] << 8 | packet[5]) > MAX_TVLV_BYTES:
            return none
        at += 6 + tvlv_bytes
    elif (version, type) == (14, 6):
        if len(packet) < 11 or not packet[10] & 1:
            return none
        at += 20
    elif (version, type) == (15, 0x41):
        nested = {b"\x40\x0f": 10, b"\x42\x0f": 18}.get(packet[20:22])
        if nested is None:
            return none
        at += 20 + nested
    return Sample(sample.data[at:], max(0, sample.wire_length - at))


# Expressions, evaluated piece by piece.

Verdict = Callable[[View], int]


class Scope(NamedTuple):
    """The inner frame that primitives are about: in which packet, behind how many tags of the outer frame.

    `opening` tells apart the scopes of several `batadv`s: a `vlan` moves what follows it in its own.
    """

    version: int
    type: int
    tags: int
    opening: int


TOKEN = re.compile(r"\s*([A-Za-z0-9_$.:\\-]+|&&|\|\||[<>!=]=|<<|>>|.)")
OR, AND, NOT = ("or", "||"), ("and", "&&"), ("not", "!")
HOOK = {"inbound", "outbound", "ifindex"}


class Oracle:
    """The verdicts of filters, scoped or not."""

    def __init__(self, expressions: list[str]) -> None:
        self.filters = [verdict_of(expression) for expression in expressions]

    def answer(self, sample: Sample) -> int:
        view = View(sample)
        return number([verdict(view) == MATCH for verdict in self.filters])


def is_plain(expression: str) -> bool:
    """Whether an expression is libpcap's alone."""
    return {"batadv", *HOOK}.isdisjoint(TOKEN.findall(expression.strip()))


def verdict_of(expression: str) -> Verdict:
    if is_plain(expression):
        return asked(expression, "", None)
    return Parser(expression.strip()).verdict()


class Parser:
    """From text straight to what evaluates it: methods return (verdict, scope behind it).

    Pieces that name neither batadv nor what the hook answers go to libpcap as they stand, neighbours in a
    conjunction together, since `vlan` moves what follows it.
    """

    def __init__(self, expression: str) -> None:
        self.tokens = TOKEN.findall(expression)
        self.at = 0
        self.openings = 0
        self.shifts: dict[Scope | None, list[str]] = {}  # the `vlan`s so far

    def verdict(self) -> Verdict:
        verdict, _ = self.chain(None)
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return verdict

    def word(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def chain(self, scope: Scope | None) -> tuple[Verdict, Scope | None]:
        around = scope
        if (text := self.plain_run(("",))) is not None:
            left = self.piece(text, scope)
        else:
            left, scope = self.operand(scope)
        while self.word() in AND + OR:
            operators = AND if self.word() in AND else OR
            self.at += 1
            before = around if operators == OR else scope
            if (text := self.plain_run(operators)) is not None:
                right, scope = self.piece(text, before), before
            else:
                right, scope = self.operand(before)
            left = either(left, right) if operators == OR else both(left, right)
            scope = around if operators == OR else scope
        return left, scope

    def operand(self, scope: Scope | None) -> tuple[Verdict, Scope | None]:
        if self.word() in NOT:
            self.at += 1
            verdict, _ = self.operand(scope)
            return opposite(verdict), scope
        if self.word() == "(" and self.is_group(self.at):
            self.at += 1
            result = self.chain(scope)
            assert self.word() == ")"
            self.at += 1
            return result
        end = self.end_of_primitive(self.at)
        words, self.at = self.tokens[self.at : end], end
        if words[0] == "batadv":
            return self.batadv(words, scope)
        if words[0] in HOOK:
            return hook(words), scope
        return self.piece(" ".join(words), scope), scope

    def batadv(self, words: list[str], scope: Scope | None) -> tuple[Verdict, Scope | None]:
        tags = len(self.shifts.get(None, []))
        if len(words) == 1:
            return carries(tags, b""), scope
        version = int(words[1], 0)
        if len(words) == 2:
            return carries(tags, bytes((version,))), scope
        name = words[2].lstrip("\\").replace("-", "_")
        type = TYPES[version][name] if name in TYPES[version] else int(name, 0)
        if (version, type) in CARRIERS:
            self.openings += 1
            scope = Scope(version, type, tags, self.openings)
        return carries(tags, bytes((type, version))), scope

    def piece(self, text: str, scope: Scope | None) -> Verdict:
        shifts = self.shifts.setdefault(scope, [])
        # libpcap moves what stands right of a `vlan`, whether or not that was asked.
        moved = "".join(f"(len >= 0 or {shift}) and " for shift in shifts)
        shifts += re.findall(r"\bvlan(?: [0-9]+)?", text)
        return asked(f"{moved}({text})", f"{moved}not ({text})", scope)

    # Where things end.

    def plain_run(self, operators: tuple[str, ...]) -> str | None:
        """The text from here on that libpcap can read, as far as only `operators` join it, or None.

        The first operand of a chain brings no operator: what follows it then joins by `and`.
        """
        start, end = self.at, self.plain_operand(self.at)
        if end is None:
            return None
        joining = AND if operators == ("",) else operators
        while end < len(self.tokens) and self.tokens[end] in joining:
            following = self.plain_operand(end + 1)
            if following is None:
                break
            end = following
        self.at = end
        return " ".join(self.tokens[start:end])

    def plain_operand(self, at: int) -> int | None:
        """The end of an operand without batadv or hook words, or None."""
        start = at
        while self.tokens[at] in NOT:
            at += 1
        end = (
            self.closing(at) + 1
            if self.tokens[at] == "(" and self.is_group(at)
            else self.end_of_primitive(at)
        )
        return None if {"batadv", *HOOK} & set(self.tokens[start:end]) else end

    def closing(self, at: int) -> int:
        depth = 0
        while True:
            depth += {"(": 1, ")": -1}.get(self.tokens[at], 0)
            if depth == 0:
                return at
            at += 1

    def is_group(self, at: int) -> bool:
        """Whether a parenthesis holds an expression, no number."""
        after = self.closing(at) + 1
        return after == len(self.tokens) or self.tokens[after] in (*AND, *OR, ")")

    def end_of_primitive(self, at: int) -> int:
        depth = 0
        while at < len(self.tokens):
            word = self.tokens[at]
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth < 0 or (depth == 0 and word in (*AND, *OR)):
                break
            at += 1
        return at


def both(left: Verdict, right: Verdict) -> Verdict:
    def verdict(view: View) -> int:
        first = left(view)
        return right(view) if first == MATCH else first

    return verdict


def either(left: Verdict, right: Verdict) -> Verdict:
    def verdict(view: View) -> int:
        first = left(view)
        return right(view) if first == NO else first

    return verdict


def opposite(operand: Verdict) -> Verdict:
    def verdict(view: View) -> int:
        return {MATCH: NO, NO: MATCH, ABORT: ABORT}[operand(view)]

    return verdict


def carries(tags: int, wanted: bytes) -> Verdict:
    """Whether a batman-adv header stands behind the tags: `wanted` is the version, or type and version."""
    at = 12 + 4 * tags
    begin = at + 2 if len(wanted) == 2 else at + 3

    def verdict(view: View) -> int:
        data = view.sample.data
        if len(data) < at + 2:
            return ABORT
        if data[at : at + 2] != b"\x43\x05":
            return NO
        if len(data) < begin + len(wanted):
            return ABORT if wanted else MATCH
        return MATCH if data[begin : begin + len(wanted)] == wanted else NO

    return verdict


def hook(words: list[str]) -> Verdict:
    if words[0] == "ifindex":
        return lambda view: int(view.ifindex == int(words[1], 0))
    wanted = int(words[0] == "outbound")
    return lambda view: int(view.direction == wanted)


@cache
def program(text: str) -> Any:
    return cypcap.BpfProgram([tuple(instruction) for instruction in compile_cbpf(text)]).offline_filter


def asked(text: str, negated: str, scope: Scope | None) -> Verdict:
    """libpcap's verdict on a piece: it aborts where neither the piece nor its opposite matches.

    An empty `negated` is for whole filters, where that makes no difference.
    """
    yes, no = program(text), program(negated) if negated else None

    def outside(view: View) -> int:
        header, data = view.outer
        return MATCH if yes(header, data) else NO if no is None or no(header, data) else ABORT

    def inside(view: View) -> int:
        assert scope is not None
        assert no is not None
        header, data = view.inner(*scope[:3])
        return MATCH if yes(header, data) else NO if no(header, data) else ABORT

    return inside if scope else outside
