"""The decision graph of a whole list: multi-way tests on fields that end in classes of frames.

Nodes are interned: equal ones are one object. The outer part looks at the frame on the wire; `Enter`
goes on in the inner part, which is the same for every place where an inner frame can stand.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from meshlens.decision.expr import Expr

__all__ = [
    "Enter",
    "Leaf",
    "Mark",
    "Node",
    "Switch",
    "Votes",
    "enter",
    "leaf",
    "mark",
    "successors",
    "switch",
    "topological",
    "votes",
]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """The end: count the frame in `slot`, which counts from the row's first one in the inner part."""

    slot: int
    inner: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Enter:
    """Go on in the inner part, `offset` bytes into the frame; its slots count from row `row`."""

    offset: Expr
    row: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mark:
    """Count the frame on the way: in `slots`, and in those of `once` that have not counted this frame yet."""

    slots: tuple[int, ...]
    once: tuple[int, ...]
    then: "Node"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Switch:
    """Go to `targets[i]`, where `i` is how many of the ascending `bounds` the value of `expr` reaches."""

    expr: Expr
    bounds: tuple[int, ...]
    targets: tuple["Node", ...]

    def target(self, value: int) -> "Node":
        """The node to go to for `value`."""
        return self.targets[bisect_right(self.bounds, value)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Votes:
    """The end for a row: add each weight to its class; `weights` are (class, weight) pairs."""

    weights: tuple[tuple[int, int], ...]


Node = Switch | Leaf | Enter | Mark | Votes

_leaf = cache(Leaf)
enter = cache(Enter)
mark = cache(Mark)
votes = cache(Votes)
_switch = cache(Switch)


def leaf(slot: int, inner: bool = False) -> Leaf:
    """The one leaf of `slot`, however the call is spelled: a cache alone would tell defaults apart."""
    return _leaf(slot, inner)


def switch(expr: Expr, intervals: list[tuple[int, Node]]) -> Node:
    """The test that goes to each interval's node; `intervals` are (first value, node), ascending from 0.

    Neighbours that go to the same node are one interval; a test that decides nothing is no test.
    """
    bounds: list[int] = []
    targets: list[Node] = []
    for first, target in intervals:
        if not targets or targets[-1] is not target:
            bounds.append(first)
            targets.append(target)
    return targets[0] if len(targets) == 1 else _switch(expr, tuple(bounds[1:]), tuple(targets))


def successors(node: Node) -> tuple[Node, ...]:
    """The nodes that `node` may go to within its part."""
    match node:
        case Switch(_, _, targets):
            return targets
        case Mark(_, _, then):
            return (then,)
        case _:
            return ()


def topological(root: Node) -> list[Node]:
    """Every node of the part that begins at `root`, each before those it leads to."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((after, False) for after in successors(node))
    order.reverse()
    return order


def with_slots(
    root: Node, slots: Callable[[tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]], end: Leaf
) -> Node:
    """A copy that ends in `end` everywhere, with the slots of each mark replaced by what `slots` says."""
    copies: dict[Node, Node] = {}
    for node in reversed(topological(root)):
        match node:
            case Mark(marked, _, then):
                copies[node] = mark(*slots(marked), copies[then])
            case Switch(expr, bounds, targets):
                copies[node] = switch(
                    expr, [(f, copies[t]) for f, t in zip((0, *bounds), targets, strict=True)]
                )
            case Leaf():
                copies[node] = end
            case Enter() | Votes():
                copies[node] = node
    return copies[root]
