"""Merge the diagrams of many filters into one decision graph.

The state of the merge is what each filter still has to test. One expression at a time, the one whose
test wants to be made first, is decided for all filters at once: the intervals that any of them asks
about become the branches of one switch, so that no path looks at a field twice. Equal states are built
once. A state in which no filter has anything left to test is a class of frames: the set of filters that
match. One counter a class is enough, and user space adds them up by filter.

Everything about the outer frame is decided before the inner one is entered. What is then left of each
filter, a *row*, only speaks of the inner frame; all rows share one inner graph, because the position of
that frame is a register, not a constant.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshlens.decision.diagram import (
    Diagram,
    Interval,
    Memo,
    Test,
    Verdict,
    restrict,
    restrict_room,
    tests_on,
)
from meshlens.decision.expr import MAX_VALUE, Entry, Expr, Room, Space, space_of
from meshlens.decision.graph import Leaf, Node, enter, leaf, switch

__all__ = ["Budget", "DecisionGraph", "merge"]

State = tuple[Diagram, ...]


class Budget(Exception):
    """The list is too entangled: the graph outgrew the number of nodes it was allowed."""


@dataclass(frozen=True)
class DecisionGraph:
    """The outer and the inner part, and which filters each slot counts for.

    Slot numbers: first the `outer_classes`, then for each row all inner classes. `matches[slot]` holds the
    positions of the filters that match a frame counted in `slot`.
    """

    outer: Node
    inner: Node | None
    rows: int
    inner_classes: int
    matches: tuple[frozenset[int], ...]

    def row_slot(self, row: int) -> int:
        """The first slot of a row."""
        return len(self.matches) - (self.rows - row) * self.inner_classes

    def unwanted_leaves(self) -> list[Leaf]:
        """The leaves whose frames no filter counts."""
        outer_classes = self.row_slot(0)
        unwanted = [leaf(slot) for slot in range(outer_classes) if not self.matches[slot]]
        for number in range(self.inner_classes):
            if not any(
                self.matches[slot]
                for slot in range(outer_classes + number, len(self.matches), self.inner_classes)
            ):
                unwanted.append(leaf(number, inner=True))
        return unwanted


class _Builder:
    """The states of one part (outer or inner), turned into nodes."""

    def __init__(self, space: Space, finish: Callable[[State], Node], budget: int) -> None:
        self.space, self.finish, self.budget = space, finish, budget
        self.nodes: dict[State, Node] = {}
        self.restricted: defaultdict[tuple[Expr, frozenset[Interval]], Memo] = defaultdict(dict)
        self.roomy: defaultdict[tuple[Room, int, bool], Memo] = defaultdict(dict)
        self.asked: dict[tuple[Diagram, Expr], frozenset[Interval]] = {}
        self.first: dict[Diagram, Test | None] = {}

    def build(self, start: State) -> Node:
        plans: dict[State, tuple[Expr, list[tuple[int, State]]] | None] = {}
        stack = [start]
        while stack:
            state = stack[-1]
            if state in self.nodes:
                stack.pop()
                continue
            if state not in plans:
                plans[state] = self.plan(state)
                if len(plans) > self.budget:
                    raise Budget
            plan = plans[state]
            if plan is None:
                self.nodes[state] = self.finish(state)
                stack.pop()
                continue
            expr, intervals = plan
            missing = {after for _, after in intervals if after not in self.nodes}
            if missing:
                stack.extend(missing)
                continue
            self.nodes[state] = switch(expr, [(first, self.nodes[after]) for first, after in intervals])
            stack.pop()
        return self.nodes[start]

    def plan(self, state: State) -> tuple[Expr, list[tuple[int, State]]] | None:
        """The expression to decide next and the state behind each interval of its values; None: nothing left."""
        tests = [test for test in map(self.first_test, set(state)) if test is not None]
        if not tests:
            return None
        best = min(tests, key=lambda test: test.rank)
        if isinstance(best.expr, Room):
            return best.expr, self.split_room(state, best.expr, best.lo)
        return best.expr, self.split(state, best.expr)

    def first_test(self, diagram: Diagram) -> Test | None:
        """The earliest test of this part that `diagram` reaches without making another one of it.

        In the outer part this looks through tests of the inner frame: they come later anyway, and what
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

    def split_room(self, state: State, expr: Room, size: int) -> list[tuple[int, State]]:
        """Whether the frame has `size` bytes is decided alone: splitting at every length would multiply paths."""
        short, roomy = self.roomy[expr, size, False], self.roomy[expr, size, True]
        return [
            (0, tuple(restrict_room(root, expr, size, short, enough=False) for root in state)),
            (size, tuple(restrict_room(root, expr, size, roomy, enough=True) for root in state)),
        ]

    def split(self, state: State, expr: Expr) -> list[tuple[int, State]]:
        """One state for each interval of values that some filter tells from others."""
        asking: defaultdict[Interval, list[int]] = defaultdict(list)
        default = list(state)
        none: frozenset[Interval] = frozenset()
        for position, root in enumerate(state):
            if isinstance(root, Test) and expr in root.support:
                default[position] = restrict(root, expr, none, self.restricted[expr, none])
                for asked in self.tests_on(root, expr):
                    asking[asked].append(position)
        after: dict[frozenset[Interval], State] = {none: tuple(default)}
        intervals = []
        for first, true in _elementary(asking):
            if true not in after:
                changed = default.copy()
                for position in {position for asked in true for position in asking[asked]}:
                    root = state[position]
                    mine = true & self.tests_on(root, expr)
                    changed[position] = restrict(root, expr, mine, self.restricted[expr, mine])
                after[true] = tuple(changed)
            intervals.append((first, after[true]))
        return intervals

    def tests_on(self, root: Diagram, expr: Expr) -> frozenset[Interval]:
        known = self.asked.get((root, expr))
        if known is None:
            known = self.asked[root, expr] = tests_on(root, expr)
        return known


def _elementary(
    intervals: Sequence[Interval] | dict[Interval, list[int]],
) -> list[tuple[int, frozenset[Interval]]]:
    """Cut 0..MAX_VALUE where any interval begins or ends: (first value, intervals that hold there), ascending."""
    single = {lo: (lo, hi) for lo, hi in intervals if lo == hi}
    wide = [(lo, hi) for lo, hi in intervals if lo != hi]
    cuts = {0} | {lo for lo, _ in intervals} | {hi + 1 for _, hi in intervals if hi < MAX_VALUE}
    return [
        (
            cut,
            frozenset([single[cut]] if cut in single else []).union(
                asked for asked in wide if asked[0] <= cut <= asked[1]
            ),
        )
        for cut in sorted(cuts)
    ]


@dataclass
class _Classes:
    """Numbers the sets of matching filters in the order in which they turn up."""

    numbers: dict[frozenset[int], int] = field(default_factory=dict)

    def number(self, state: State) -> int:
        matching = frozenset(position for position, verdict in enumerate(state) if verdict is Verdict.MATCH)
        return self.numbers.setdefault(matching, len(self.numbers))


def merge(diagrams: Sequence[Diagram], *, budget: int = 20_000) -> DecisionGraph:
    """One graph that decides all `diagrams` at once. Raises Budget if it would need more than `budget` nodes."""
    functions = list(dict.fromkeys(diagrams))
    outer_classes, rows = _Classes(), dict[tuple[Expr, State], int]()

    def finish_outer(state: State) -> Node:
        entries = {root.expr for root in state if isinstance(root, Test)}
        if not entries:
            return leaf(outer_classes.number(state))
        (entry,) = entries  # two layouts of one frame exclude each other by the tests before
        assert isinstance(entry, Entry)
        true = frozenset({(1, 1)})
        memo = builder.restricted[entry, true]
        row = tuple(restrict(root, entry, true, memo) for root in state)
        return enter(entry.offset, rows.setdefault((entry.offset, row), len(rows)))

    builder = _Builder(Space.OUTER, finish_outer, budget)
    outer = builder.build(tuple(functions))

    inside = list(dict.fromkeys(root for _, row in rows for root in row if isinstance(root, Test)))
    inner, inner_classes = None, _Classes()
    if rows:
        inner = _Builder(
            Space.INNER, lambda state: leaf(inner_classes.number(state), inner=True), budget
        ).build(tuple(inside))
    return DecisionGraph(
        outer,
        inner,
        len(rows),
        len(inner_classes.numbers),
        tuple(
            _matches(
                diagrams,
                functions,
                list(outer_classes.numbers),
                [row for _, row in rows],
                inside,
                list(inner_classes.numbers),
            )
        ),
    )


def _matches(
    diagrams: Sequence[Diagram],
    functions: list[Diagram],
    outer: list[frozenset[int]],
    rows: list[State],
    inside: list[Diagram],
    inner: list[frozenset[int]],
) -> list[frozenset[int]]:
    """For each slot the positions in `diagrams` that match, from the classes that speak of distinct functions."""
    positions = defaultdict(list)
    for position, diagram in enumerate(diagrams):
        positions[diagram].append(position)
    of_function = [frozenset(positions[function]) for function in functions]

    def union(parts: Sequence[frozenset[int]]) -> frozenset[int]:
        return frozenset().union(*parts)

    slots = [union([of_function[number] for number in matching]) for matching in outer]
    number_of = {diagram: number for number, diagram in enumerate(inside)}
    for row in rows:
        always = union([of_function[i] for i, root in enumerate(row) if root is Verdict.MATCH])
        by_inner = defaultdict(list)
        for i, root in enumerate(row):
            if isinstance(root, Test):
                by_inner[number_of[root]].append(of_function[i])
        slots += [
            union([always, *(part for number in matching for part in by_inner[number])]) for matching in inner
        ]
    return slots
