"""Merge the diagrams of many filters into one decision graph.

The state of the merge is what each filter still has to test. One expression at a time, the one whose
test wants to be made first, is decided for all filters at once (`split`): no path looks at a field twice,
and equal states are built once. There are two ways to end:

- *Classes*: when nothing is left to test, the filters that match are a class of frames. One counter a
  class is enough; user space adds them up by filter. Filters that cross each other (a thousand ports, as
  source or destination) have too many classes.
- *Marks*: a filter is counted as soon as it matches, and forgotten, so that paths join again. Where one
  value concerns a few filters only, these make a detour and come back to what all others do next. A
  filter may be reached twice; a mark counts a frame once. The graph then grows with the sum of the
  filters, not their product, for a few more nanoseconds a match.

Everything about the outer frame is decided before the inner one is entered. What is then left of each
filter, a *row*, speaks of the inner frame alone; all rows share one inner graph, because where that frame
stands is a register and no constant.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from meshlens.decision.build import Classes, Marks, Part, TooEntangledError
from meshlens.decision.diagram import Diagram, Test, Verdict, restrict
from meshlens.decision.expr import Entry, Expr, Space, space_of
from meshlens.decision.graph import Leaf, Node, enter, leaf, topological
from meshlens.decision.split import State
from meshlens.errors import UsageError

__all__ = ["DecisionGraph", "merge"]


@dataclass(frozen=True)
class DecisionGraph:
    """The outer and the inner part, and which filters each slot counts for.

    Slot numbers: first those of the outer part, then for each row `row_slots` of the inner part.
    `matches[slot]` holds the positions of the filters that match a frame counted in `slot`. A frame is
    counted in the slot of the leaf it ends in and, with `marks`, in those of the marks on its way.
    """

    outer: Node
    inner: Node | None
    rows: int
    row_slots: int
    matches: tuple[frozenset[int], ...]
    marks: bool

    def nodes(self) -> list[Node]:
        """Every node of both parts, each before those it leads to."""
        return [node for part in (self.outer, self.inner) if part for node in topological(part)]

    def row_slot(self, row: int) -> int:
        """The first slot of a row."""
        return len(self.matches) - (self.rows - row) * self.row_slots

    def unwanted_leaves(self) -> list[Leaf]:
        """The leaves whose frames no filter counts."""
        outer_slots, slots = self.row_slot(0), len(self.matches)
        unwanted = [leaf(slot) for slot in range(outer_slots) if not self.matches[slot]]
        return unwanted + [
            leaf(number, inner=True)
            for number in range(self.row_slots)
            if not any(self.matches[slot] for slot in range(outer_slots + number, slots, self.row_slots))
        ]


def merge(diagrams: Sequence[Diagram]) -> tuple[DecisionGraph, ...]:
    """Graphs that decide all `diagrams` when run one after another; mostly it is one."""
    positions = defaultdict(list)
    for position, diagram in enumerate(diagrams):
        positions[diagram].append(position)
    return tuple(
        replace(
            graph,
            matches=tuple(
                frozenset(position for number in matching for position in positions[functions[number]])
                for matching in graph.matches
            ),
        )
        for functions, graph in _merge_groups(list(positions))
    )


def _merge_groups(functions: list[Diagram]) -> list[tuple[list[Diagram], DecisionGraph]]:
    """One graph if that can be; else the plain and the scoped filters apart, else by halves."""
    try:
        return [(functions, _merge_whole(functions))]
    except TooEntangledError:
        if len(functions) == 1:
            raise UsageError("a filter looks for the inner frame in two places of the same frame") from None
        one = [function for function in functions if _enters(function)]
        other = [function for function in functions if not _enters(function)]
        if not (one and other):
            middle = len(functions) // 2
            one, other = functions[:middle], functions[middle:]
        return _merge_groups(one) + _merge_groups(other)


def _enters(diagram: Diagram) -> bool:
    return isinstance(diagram, Test) and any(space_of(expr) is Space.INNER for expr in diagram.support)


def _merge_whole(functions: list[Diagram]) -> DecisionGraph:
    """Classes where they fit, marks where not; but what precedes an inner frame must end in classes."""
    start, rows = tuple(enumerate(functions)), _Rows()
    outer = _first_that_fits([Classes(Space.OUTER, rows.enter), Marks(Space.OUTER, rows.refuse)], start)
    if not rows.numbers:
        return DecisionGraph(outer.root, None, 0, 0, tuple(outer.slots), outer.marks)
    tested = (root for row in rows.states() for _, root in row if isinstance(root, Test))
    inside: list[Diagram] = list(dict.fromkeys(tested))
    inner = _first_that_fits([Classes(Space.INNER), Marks(Space.INNER)], tuple(enumerate(inside)))
    slots = [
        *outer.slots,
        *(matching for row in rows.states() for matching in _row_slots(row, inside, inner)),
    ]
    return DecisionGraph(
        outer.root, inner.root, len(rows.numbers), len(inner.slots), tuple(slots), inner.marks
    )


def _first_that_fits(builders: Sequence[Classes | Marks], start: State) -> Part:
    for builder in builders:
        try:
            return builder.build(start)
        except TooEntangledError:
            continue
    raise TooEntangledError


@dataclass
class _Rows:
    """What is left of each filter where an inner frame is entered, numbered in order of appearance."""

    numbers: dict[tuple[Expr, State], int] = field(default_factory=dict)

    def enter(self, state: State) -> Node:
        """The node that goes on inside; what is left to test is about the inner frame alone."""
        entry, *others = {root.expr for _, root in state if isinstance(root, Test)}
        if others or not isinstance(entry, Entry):
            raise TooEntangledError
        true, memo = frozenset({(1, 1)}), dict[Diagram, Diagram]()
        left = tuple((position, restrict(root, entry, true, memo)) for position, root in state)
        return enter(entry.offset, self.numbers.setdefault((entry.offset, left), len(self.numbers)))

    def refuse(self, state: State) -> Node:
        """Marks forget which filters matched, so that no row could say it."""
        raise TooEntangledError

    def states(self) -> list[State]:
        return [state for _, state in self.numbers]


def _row_slots(row: State, inside: list[Diagram], inner: Part) -> list[frozenset[int]]:
    """The inner part's slots for one row: which of the filters, instead of which of `inside`, match."""
    waiting: defaultdict[Diagram, list[int]] = defaultdict(list)
    for position, root in row:
        waiting[root].append(position)
    always = frozenset(waiting[Verdict.MATCH])
    matched = [frozenset(p for number in numbers for p in waiting[inside[number]]) for numbers in inner.slots]
    return [of | always if slot >= inner.first_leaf else of for slot, of in enumerate(matched)]
