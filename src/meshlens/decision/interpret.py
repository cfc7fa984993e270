"""Run a decision graph or a diagram over bytes, in Python: the definition the kernel is compared with."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from meshlens.decision.diagram import Diagram, Test, Verdict
from meshlens.decision.expr import (
    ARITHMETIC,
    COMPARISONS,
    Alu,
    Cell,
    Compare,
    Const,
    Entry,
    Expr,
    Length,
    Load,
    Meta,
    Room,
    Space,
)
from meshlens.decision.graph import Enter, Leaf, Mark, Node, Switch, Votes
from meshlens.decision.merge import DecisionGraph

__all__ = ["Frame", "classify", "decide", "evaluate", "weights_for"]

#: Computes the value of an expression from a frame.
Evaluator = Callable[["Frame"], int]


@dataclass(slots=True)
class Frame:
    """A frame under decision: its captured bytes, its length on the wire, what the hook knows.

    `inner_offset` is set by entering the inner frame; beyond the end it means an empty one. `indexes` keeps
    what offsets that depend on the frame were found to be.
    """

    data: bytes
    wire_length: int
    meta: dict[str, int] = field(default_factory=dict)
    inner_offset: int = 0
    indexes: dict[Expr, int] = field(default_factory=dict)

    def enter(self, offset: int) -> None:
        """The inner frame begins `offset` bytes into this one."""
        self.inner_offset = offset
        self.indexes.clear()


def evaluate(expr: Expr, frame: Frame) -> int:
    """The value of `expr`. A load must lie within the frame: its `Room` test comes first."""
    return evaluator(expr)(frame)


@cache
def evaluator(expr: Expr) -> Evaluator:
    """`evaluate` for one expression, taken apart once instead of for every frame."""
    match expr:
        case Load(Space.OUTER, None, offset, size):
            end = offset + size
            return lambda frame: int.from_bytes(frame.data[offset:end])
        case Load(space, index, offset, size):
            start = _start(space, index)
            return lambda frame: int.from_bytes(frame.data[(at := start(frame) + offset) : at + size])
        case Room(Space.OUTER, None):
            return lambda frame: len(frame.data)
        case Room(space, index):
            start = _start(space, index)
            return lambda frame: max(0, len(frame.data) - start(frame))
        case Const(value):
            return lambda frame: value
        case Alu(op, left, right):
            return _operation(ARITHMETIC[op], left, right)
        case Compare(op, left, right):
            return _operation(COMPARISONS[op], left, right)
        case Length(space):
            start = _start(space, None)
            return lambda frame: max(0, frame.wire_length - start(frame))
        case Meta(name):
            return lambda frame: frame.meta.get(name, 0)
        case Entry(begin):
            return _entry(evaluator(begin))
        case Cell():
            raise AssertionError(f"{expr} is of a row, not of a frame")


def _start(space: Space, index: Expr | None) -> Evaluator:
    """The first byte of `space`, or the one that `index` says."""
    if index is None:
        return lambda frame: frame.inner_offset if space is Space.INNER else 0
    value = evaluator(index)

    def start(frame: Frame) -> int:
        at = frame.indexes.get(index)
        if at is None:
            at = frame.indexes[index] = value(frame)
        return frame.inner_offset + at if space is Space.INNER else at

    return start


def _entry(offset: Evaluator) -> Evaluator:
    def enter(frame: Frame) -> int:
        frame.enter(offset(frame))
        return 1

    return enter


def _operation(operation: Callable[[int, int], int], left: Expr, right: Expr) -> Evaluator:
    first = evaluator(left)
    if isinstance(right, Const):
        number = right.value
        return lambda frame: operation(first(frame), number)
    second = evaluator(right)
    return lambda frame: operation(first(frame), second(frame))


def decide(diagram: Diagram, frame: Frame) -> Verdict:
    """What one filter says of `frame`."""
    while isinstance(diagram, Test):
        value = evaluate(diagram.expr, frame)
        diagram = diagram.yes if diagram.lo <= value <= diagram.hi else diagram.no
    return diagram


def classify(graph: DecisionGraph, frame: Frame) -> set[int]:
    """The slots in which `graph` counts `frame`."""
    node, first_slot, slots = graph.outer, 0, set[int]()
    while True:
        if isinstance(node, Switch):  # not by `match`: most nodes are switches, and this is the inner loop
            node = node.targets[bisect_right(node.bounds, evaluator(node.expr)(frame))]
            continue
        match node:
            case Mark(marked, once, then):
                slots.update(first_slot + slot for slot in (*marked, *once))
                node = then
            case Enter(offset, row):
                frame.enter(evaluate(offset, frame))
                first_slot = graph.row_slot(row)
                assert graph.inner is not None
                node = graph.inner
            case Leaf(slot):
                return slots | {first_slot + slot}
            case Votes():
                raise AssertionError("a graph over frames has no votes")


def weights_for(root: Node, row: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The (class, weight) pairs that a graph over rows adds for `row`."""
    node = root
    while isinstance(node, Switch):
        assert isinstance(node.expr, Cell)
        node = node.target(row[node.expr.position])
    assert isinstance(node, Votes)
    return node.weights
