"""One filter as a decision diagram: interval tests on expressions, ending in a verdict.

A test asks whether `lo <= expr <= hi`: equality, order, bit tests and bounds checks all are that. Nodes
are interned, so equal diagrams are one object. Unlike in a BDD the tests keep the order in which libpcap
makes them, because a load is only allowed behind the bounds test before it.

Diagrams can be thousands of tests deep (a filter of a thousand `or`s), so nothing here recurses.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache

from meshlens.decision.expr import (
    ARITHMETIC,
    COMPARISONS,
    Alu,
    Compare,
    Const,
    Expr,
    Length,
    Room,
    rank,
)

__all__ = [
    "Diagram",
    "Interval",
    "Memo",
    "Test",
    "Verdict",
    "graft",
    "interval",
    "intervals_on",
    "of_empty_frame",
    "restrict",
    "restrict_room",
    "substitute",
]


class Verdict(Enum):
    """How a filter ends. ABORT is a load beyond the frame's end: no match, and no `not` turns it round."""

    MATCH = "match"
    NO = "no"
    ABORT = "abort"

    # Verdicts are keys everywhere; Enum would hash the name each time.
    __hash__ = object.__hash__


class Test:
    """`yes` where `lo <= expr <= hi`, else `no`.

    `support` holds every expression tested here or below; `rank` says how early the test wants to be made.
    """

    __slots__ = ("expr", "hi", "lo", "no", "rank", "support", "yes")

    def __init__(self, expr: Expr, lo: int, hi: int, yes: "Diagram", no: "Diagram") -> None:
        self.expr, self.lo, self.hi, self.yes, self.no = expr, lo, hi, yes, no
        below = (branch.support for branch in (yes, no) if isinstance(branch, Test))
        self.support: frozenset[Expr] = frozenset((expr,)).union(*below)
        space, kind, offset = rank(expr)
        # A bounds test belongs just before the loads that it allows.
        self.rank = (space, kind, offset + lo - 1 if isinstance(expr, Room) else offset)


Diagram = Test | Verdict
Interval = tuple[int, int]
Memo = dict[Diagram, Diagram]

_test = cache(Test)


def interval(expr: Expr, lo: int, hi: int, yes: Diagram, no: Diagram) -> Diagram:
    """The interned test whether `lo <= expr <= hi`; just `yes` where it decides nothing."""
    return yes if yes is no else _test(expr, lo, hi, yes, no)


def rebuild(
    root: Diagram, memo: Memo, keep: Callable[[Test], bool], choose: Callable[[Test], Diagram | None]
) -> Diagram:
    """Copy `root` bottom-up into `memo`.

    A node for which `keep` holds stays as it is; one for which `choose` names a branch is replaced by
    that branch's copy; any other is made anew over the copies of its branches.
    """
    stack = [root]
    while stack:
        node = stack[-1]
        if node in memo:
            stack.pop()
            continue
        if isinstance(node, Verdict) or keep(node):
            memo[node] = node
            stack.pop()
            continue
        branch = choose(node)
        needed = (node.yes, node.no) if branch is None else (branch,)
        missing = [child for child in needed if child not in memo]
        if missing:
            stack.extend(missing)
            continue
        memo[node] = (
            interval(node.expr, node.lo, node.hi, memo[node.yes], memo[node.no])
            if branch is None
            else memo[branch]
        )
        stack.pop()
    return memo[root]


def restrict(root: Diagram, expr: Expr, true: frozenset[Interval], memo: Memo) -> Diagram:
    """`root` where every test on `expr` is decided: those whose interval is in `true` hold, no other does.

    `memo` serves all roots for one (`expr`, `true`).
    """
    return rebuild(
        root,
        memo,
        keep=lambda node: expr not in node.support,
        choose=lambda node: (
            None if node.expr is not expr else node.yes if (node.lo, node.hi) in true else node.no
        ),
    )


def restrict_room(root: Diagram, expr: Room, size: int, memo: Memo, *, enough: bool) -> Diagram:
    """`root` where `expr` is known to be at least `size`, or known to be less: many other tests follow."""

    def choose(node: Test) -> Diagram | None:
        if node.expr is not expr:
            return None
        if enough:
            return node.yes if node.lo <= size else None
        return node.no if node.lo >= size else None

    return rebuild(root, memo, keep=lambda node: expr not in node.support, choose=choose)


def intervals_on(root: Diagram, expr: Expr) -> frozenset[Interval]:
    """The intervals that `root` asks `expr` about, anywhere."""
    found: set[Interval] = set()
    seen: set[Diagram] = set()
    stack: list[Diagram] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Verdict) or node in seen or expr not in node.support:
            continue
        seen.add(node)
        if node.expr is expr:
            found.add((node.lo, node.hi))
        stack += (node.yes, node.no)
    return frozenset(found)


def graft(root: Diagram, *, match: Diagram, no: Diagram) -> Diagram:
    """`root` that goes on to `match` and `no` instead of ending there. ABORT stays."""
    return rebuild(
        root, {Verdict.MATCH: match, Verdict.NO: no}, keep=lambda node: False, choose=lambda node: None
    )


def substitute(root: Diagram, replacements: Mapping[Expr, Diagram]) -> Diagram:
    """`root` where a test on an expression of `replacements` is made by that diagram instead."""
    memo: Memo = {}
    wanted = replacements.keys()
    stack = [root]
    while stack:
        node = stack[-1]
        if node in memo:
            stack.pop()
            continue
        if isinstance(node, Verdict) or wanted.isdisjoint(node.support):
            memo[node] = node
            continue
        missing = [child for child in (node.yes, node.no) if child not in memo]
        if missing:
            stack += missing
            continue
        yes, no = memo[node.yes], memo[node.no]
        if node.expr in replacements:
            memo[node] = graft(replacements[node.expr], match=yes, no=no)
        else:
            memo[node] = interval(node.expr, node.lo, node.hi, yes, no)
    return memo[root]


def of_empty_frame(root: Diagram) -> Diagram:
    """`root`, a diagram about the inner frame, where there is none: no room, no length."""

    def choose(node: Test) -> Diagram | None:
        value = _in_empty_frame(node.expr)
        if value is None:
            return None
        return node.yes if node.lo <= value <= node.hi else node.no

    return rebuild(root, {}, keep=lambda node: False, choose=choose)


def _in_empty_frame(expr: Expr) -> int | None:
    """The value of `expr` if an empty frame has one."""
    match expr:
        case Room() | Length():
            return 0
        case Const(value):
            return value
        case Alu(op, left, right) | Compare(op, left, right):
            first, second = _in_empty_frame(left), _in_empty_frame(right)
            return None if first is None or second is None else (ARITHMETIC | COMPARISONS)[op](first, second)
        case _:
            return None
