"""One step of a merge: which expression to decide next, and what that leaves of every filter."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from meshlens.decision.diagram import (
    Diagram,
    Interval,
    Memo,
    Test,
    Verdict,
    intervals_on,
    restrict,
    restrict_room,
)
from meshlens.decision.expr import MAX_VALUE, Expr, Room, Space, space_of

__all__ = ["Branch", "Split", "Splitter", "State"]

#: What each undecided filter, by its position, still has to test; in ascending order.
State = tuple[tuple[int, Diagram], ...]


class Branch(NamedTuple):
    """From the value `first` on, to the next branch's, `changes` is left instead of the default."""

    first: int
    changes: dict[int, Diagram]


class Split(NamedTuple):
    """A decision on `expr`: what most values leave of every filter, and the branches, ascending from 0."""

    expr: Expr
    default: dict[int, Diagram]
    branches: list[Branch]


class Splitter:
    """Splits the states of one part of a graph, outer or inner, and remembers what it worked out."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.restricted: defaultdict[tuple[Expr, frozenset[Interval]], Memo] = defaultdict(dict)
        self.roomy: defaultdict[tuple[Room, int, bool], Memo] = defaultdict(dict)
        self.asked: dict[tuple[Diagram, Expr], frozenset[Interval]] = {}
        self.first: dict[Diagram, Test | None] = {}

    def split(self, state: State) -> Split | None:
        """Decide the expression that wants to be first; None if nothing is left to test in this part."""
        distinct = dict.fromkeys(diagram for _, diagram in state)
        tests = [test for test in map(self.first_test, distinct) if test is not None]
        if not tests:
            return None
        best = min(tests, key=lambda test: test.rank)
        if isinstance(best.expr, Room):
            return self.split_room(state, best.expr, best.lo)
        return self.split_values(state, best.expr)

    def first_test(self, diagram: Diagram) -> Test | None:
        """The earliest test of this part that `diagram` reaches without making another one of it.

        In the outer part this looks through tests of the inner frame: those come later anyway, and what
        guards a load of the outer frame is a test of the outer frame.
        """
        if diagram in self.first:
            return self.first[diagram]
        best: Test | None = None
        stack, seen = [diagram], set[Diagram]()
        while stack:
            node = stack.pop()
            if isinstance(node, Verdict) or node in seen:
                continue
            seen.add(node)
            if space_of(node.expr) is self.space:
                if best is None or node.rank < best.rank:
                    best = node
            elif any(space_of(expr) is self.space for expr in node.support):
                stack += (node.yes, node.no)
        self.first[diagram] = best
        return best

    def split_room(self, state: State, expr: Room, size: int) -> Split:
        """Whether there are `size` bytes is decided alone: to split at every length would multiply paths."""
        short, roomy = self.roomy[expr, size, False], self.roomy[expr, size, True]
        default = {p: _final(restrict_room(root, expr, size, roomy, enough=True)) for p, root in state}
        other = ((p, _final(restrict_room(root, expr, size, short, enough=False))) for p, root in state)
        changes = {position: root for position, root in other if root is not default[position]}
        return Split(expr, default, [Branch(0, changes), Branch(size, {})])

    def split_values(self, state: State, expr: Expr) -> Split:
        """One branch for each interval of values that some filter tells from others."""
        none: frozenset[Interval] = frozenset()
        roots, default = dict(state), dict(state)
        asking: defaultdict[Interval, list[int]] = defaultdict(list)
        for position, root in state:
            if isinstance(root, Test) and expr in root.support:
                default[position] = self.restrict(root, expr, none)
                for asked in self.intervals_on(root, expr):
                    asking[asked].append(position)
        changes: dict[frozenset[Interval], dict[int, Diagram]] = {none: {}}
        branches = []
        for first, true in _elementary(asking):
            if true not in changes:
                left = {
                    position: self.restrict(
                        roots[position], expr, true & self.intervals_on(roots[position], expr)
                    )
                    for position in {position for asked in true for position in asking[asked]}
                }
                changes[true] = {
                    position: root for position, root in left.items() if root is not default[position]
                }
            branches.append(Branch(first, changes[true]))
        return Split(expr, default, branches)

    def restrict(self, root: Diagram, expr: Expr, true: frozenset[Interval]) -> Diagram:
        return _final(restrict(root, expr, true, self.restricted[expr, true]))

    def intervals_on(self, root: Diagram, expr: Expr) -> frozenset[Interval]:
        known = self.asked.get((root, expr))
        if known is None:
            known = self.asked[root, expr] = intervals_on(root, expr)
        return known


def _final(diagram: Diagram) -> Diagram:
    """A whole filter's ABORT is no match."""
    return Verdict.NO if diagram is Verdict.ABORT else diagram


def _elementary(intervals: Iterable[Interval]) -> list[tuple[int, frozenset[Interval]]]:
    """Cut 0..MAX_VALUE where intervals begin or end: (first value, intervals that hold there), ascending."""
    single = {lo: (lo, hi) for lo, hi in intervals if lo == hi}
    wide = [(lo, hi) for lo, hi in intervals if lo != hi]
    cuts = {0} | {lo for lo, _ in intervals} | {hi + 1 for _, hi in intervals if hi < MAX_VALUE}
    return [
        (cut, frozenset(asked for asked in (*wide, single.get(cut, (1, 0))) if asked[0] <= cut <= asked[1]))
        for cut in sorted(cuts)
    ]
