"""Run a decision graph or a diagram over bytes, in Python: the definition the kernel is compared with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from meshlens.decision.diagram import Diagram, Test, Verdict
from meshlens.decision.expr import (
    ARITHMETIC,
    COMPARISONS,
    Alu,
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
from meshlens.decision.graph import Enter, Leaf, Mark, Node, Switch
from meshlens.decision.merge import DecisionGraph

__all__ = ["Frame", "classify", "decide", "evaluate"]


@dataclass(slots=True)
class Frame:
    """A frame under decision: its captured bytes, its length on the wire, what the hook knows.

    `inner_offset` is set by entering the inner frame; beyond the end it means an empty one.
    """

    data: bytes
    wire_length: int
    meta: dict[str, int] = field(default_factory=dict)
    inner_offset: int = 0

    def start(self, space: Space) -> int:
        """Where the bytes of `space` begin."""
        return self.inner_offset if space is Space.INNER else 0


def evaluate(expr: Expr, frame: Frame) -> int:
    """The value of `expr`. A load must lie within the frame: its `Room` test comes first."""
    match expr:
        case Load(space, index, offset, size):
            at = frame.start(space) + offset + (evaluate(index, frame) if index else 0)
            return int.from_bytes(frame.data[at : at + size], "big")
        case Room(space, index):
            used = frame.start(space) + (evaluate(index, frame) if index else 0)
            return max(0, len(frame.data) - used)
        case Const(value):
            return value
        case Alu(op, left, right):
            return ARITHMETIC[op](evaluate(left, frame), evaluate(right, frame))
        case Compare(op, left, right):
            return COMPARISONS[op](evaluate(left, frame), evaluate(right, frame))
        case Length(space):
            return max(0, frame.wire_length - frame.start(space))
        case Meta(name):
            return frame.meta.get(name, 0)
        case Entry(offset):
            frame.inner_offset = evaluate(offset, frame)
            return 1


def decide(diagram: Diagram, frame: Frame) -> Verdict:
    """What one filter says of `frame`."""
    while isinstance(diagram, Test):
        value = evaluate(diagram.expr, frame)
        diagram = diagram.yes if diagram.lo <= value <= diagram.hi else diagram.no
    return diagram


def classify(
    graph: DecisionGraph, frame: Frame, visit: Callable[[Node], None] = lambda node: None
) -> set[int]:
    """The slots in which `graph` counts `frame`; `visit` sees every node on the way."""
    node, first_slot, slots = graph.outer, 0, set[int]()
    while True:
        visit(node)
        match node:
            case Switch():
                node = node.target(evaluate(node.expr, frame))
            case Mark(marked, once, then):
                slots.update(first_slot + slot for slot in (*marked, *once))
                node = then
            case Enter(offset, row):
                frame.inner_offset, first_slot = evaluate(offset, frame), graph.row_slot(row)
                assert graph.inner is not None
                node = graph.inner
            case Leaf(slot):
                return slots | {first_slot + slot}
