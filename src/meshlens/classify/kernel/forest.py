"""From the trees of a model to decision graphs over rows.

Tests of one feature below one another become one test with several intervals, what a test before has decided
already is left out, and equal subtrees become one.
"""

from collections.abc import Sequence
from typing import Final

from meshlens.classify.model import Leaf, Model, Split, Tree
from meshlens.decision.expr import Expr, cell
from meshlens.decision.graph import Node, Switch, switch, votes
from meshlens.errors import UsageError

__all__ = ["forest_graphs"]

_LAST: Final = 0xFFFFFFFF


def forest_graphs(model: Model, positions: Sequence[int]) -> list[Node]:
    """The root of each tree; `positions` says where the model's features stand in a row of its task."""
    return [_graph(tree, positions, f"tree {number}") for number, tree in enumerate(model.trees)]


def _graph(tree: Tree, positions: Sequence[int], name: str) -> Node:
    possible = _possible(tree, name)
    nodes = dict[int, Node]()
    for number in reversed(range(len(tree))):
        here = tree[number]
        if isinstance(here, Leaf):
            nodes[number] = votes(tuple((label, weight) for label, weight in here.weights if weight))
            continue
        lowest, highest = possible[number].get(here.feature, (0, _LAST))
        below, above = nodes[here.below], nodes[here.above]
        if here.most >= highest:
            nodes[number] = below
        elif here.most < lowest:
            nodes[number] = above
        else:
            expr = cell(positions[here.feature])
            intervals = [each for each in _intervals(below, expr) if each[0] <= here.most]
            rest = _intervals(above, expr)
            ends = [first - 1 for first, _ in rest[1:]] + [_LAST]
            intervals += [
                (max(first, here.most + 1), target)
                for (first, target), end in zip(rest, ends, strict=True)
                if end > here.most
            ]
            nodes[number] = switch(expr, intervals)
    return nodes[0]


def _possible(tree: Tree, name: str) -> list[dict[int, tuple[int, int]]]:
    """For each node, the interval that each feature tested on the way to it is in then.

    Raises UsageError for what is no tree: a node that is led to from below or twice.
    """
    possible: list[dict[int, tuple[int, int]] | None] = [{}, *(None for _ in tree[1:])]
    found: list[dict[int, tuple[int, int]]] = []
    for number, node in enumerate(tree):
        here = possible[number] or {}
        found.append(here)
        if not isinstance(node, Split):
            continue
        lowest, highest = here.get(node.feature, (0, _LAST))
        sides = (
            (node.below, lowest, min(highest, node.most)),
            (node.above, max(lowest, node.most + 1), highest),
        )
        for side, low, high in sides:
            if not number < side < len(tree) or possible[side] is not None:
                raise UsageError(f"{name} of the model is no tree: node {number} leads to node {side}")
            possible[side] = {**here, node.feature: (low, high)}
    return found


def _intervals(node: Node, expr: Expr) -> list[tuple[int, Node]]:
    """What `node` does by the value of `expr`, as (first value, node)."""
    if isinstance(node, Switch) and node.expr is expr:
        return list(zip((0, *node.bounds), node.targets, strict=True))
    return [(0, node)]
