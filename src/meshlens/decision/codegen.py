"""From a decision graph to eBPF.

Each node is a block of its own, and its last branch falls through to the node that comes next. A switch
evaluates its expression once and finds the interval by binary search. A leaf puts its slot into R1 and
goes to `count`, with the first slot of its row in R9; a class that no filter wants goes to `done`.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from meshlens.decision.access import Access, Label
from meshlens.decision.blocks import Blocks
from meshlens.decision.expr import (
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
    leaves,
)
from meshlens.decision.graph import Enter, Leaf, Mark, Node, Switch, successors, topological
from meshlens.decision.merge import DecisionGraph
from meshlens.ebpf import R0, R1, R2, R9, R10, Asm

__all__ = ["Counting", "GraphLabels", "emit_graph"]

_SPILL: Final = -88


@dataclass
class GraphLabels:
    """Where a graph's code leads: leaves to `count`, frames of no interest to `done`.

    The graph's slots are numbered from `first_slot`. `leaves` are those placed already: a graph that is
    emitted once more, for another access, shares them.
    """

    first_slot: int
    count: Label
    done: Label
    leaves: dict[Node, Label] = field(default_factory=dict)


class Counting(Protocol):
    """How a graph with marks counts on the way; both may use R0 to R4."""

    def row(self) -> None:
        """R9 is the first of the slots that marks count from now on."""

    def mark(self, slots: tuple[int, ...], once: tuple[int, ...]) -> None:
        """Count the frame in `slots`, and in `once` unless it has been there; see graph.Mark."""


#: What a bounds test leaves behind: the index it was about, and the bytes known to be there.
Checked = tuple[Expr, int] | None


def emit_graph(
    asm: Asm, graph: DecisionGraph, access: Access, labels: GraphLabels, counting: Counting
) -> None:
    """Append the decision to `asm`."""
    access.begin()
    asm.mov(R9, labels.first_slot)
    if graph.marks:
        counting.row()
    _Emitter(asm, graph, access, labels, counting).emit()


class _Emitter(Blocks):
    def __init__(
        self, asm: Asm, graph: DecisionGraph, access: Access, labels: GraphLabels, counting: Counting
    ) -> None:
        super().__init__(asm, dict.fromkeys(graph.unwanted_leaves(), labels.done) | labels.leaves)
        self.graph, self.access, self.counting = graph, access, counting
        self.leads = labels
        self.checked = _checked(graph.outer) | (_checked(graph.inner) if graph.inner else {})

    def emit(self) -> None:
        # The inner part goes below the outer one, so that each falls through within itself.
        self.pending += [node for node in (self.graph.inner, self.graph.outer) if node is not None]
        if self.graph.outer in self.emitted:  # nothing to decide: a leaf that stands elsewhere
            self.asm.jump(self.labels[self.graph.outer])
        self.emit_pending()
        self.access.finish()

    def node(self, node: Node) -> None:
        asm = self.asm
        match node:
            case Leaf(slot):
                self.leads.leaves[node] = self.labels[node]
                asm.mov(R1, slot)
                asm.jump(self.leads.count)
            case Enter(offset, row):
                assert self.graph.inner is not None
                self.evaluate(offset)
                self.access.enter(offset)
                asm.mov(R9, self.leads.first_slot + self.graph.row_slot(row))
                if self.graph.marks:
                    self.counting.row()
                self.go(self.graph.inner, last=True)
            case Switch(Room(space, index), (size,), (short, enough)):
                if size > self.access.longest[space]:
                    asm.jump(self.access.short(self.label(short)))
                    return
                if index is not None:
                    self.evaluate(index)
                self.access.room(space, index, size, self.label(short))
                self.go(enough, last=True)
            case Switch(expr):
                asm.block(str(expr))
                self.evaluate(expr, self.checked.get(node))
                self.search(node)
            case Mark(slots, once, then):
                self.counting.mark(slots, once)
                self.go(then, last=True)

    def evaluate(self, expr: Expr, checked: Checked = None, depth: int = 0) -> None:
        """R0 = the value of `expr`."""
        asm = self.asm
        match expr:
            case Const(value):
                asm.mov32(R0, value)
            case Load(_, index, offset, size):
                known = checked is not None and checked[0] is index and checked[1] >= offset + size
                if index is not None and not (known and self.access.keeps_index):
                    self.evaluate(index, None, depth)
                self.access.load(expr, checked=known)
            case Alu(op, left, Const(value)):
                self.evaluate(left, checked, depth)
                asm.alu32(f"{op}=", R0, value)
            case Alu(op, left, right):
                self.operands(left, right, depth)
                if op in ("<<", ">>"):
                    self.shift(op)
                else:
                    asm.alu32(f"{op}=", R0, R1)
            case Compare(op, left, right):
                true = asm.new_label()
                self.operands(left, right, depth)
                asm.mov(R2, 1)
                asm.jump32_if(R0, op, R1, true)
                asm.mov(R2, 0)
                asm.label(true)
                asm.mov(R0, R2)
            case Length(space):
                self.access.length(space)
            case Meta(name):
                self.access.meta(name)
            case Room() | Entry() | Cell():
                raise AssertionError(f"{expr} is no value of a frame")

    def operands(self, left: Expr, right: Expr, depth: int) -> None:
        """R0 = left, R1 = right."""
        slot = _SPILL - 8 * depth
        self.evaluate(left, None, depth)
        self.asm.store(R10, slot, R0, 8)
        self.evaluate(right, None, depth + 1)
        self.asm.mov(R1, R0)
        self.asm.load(R0, R10, slot, 8)

    def shift(self, op: str) -> None:
        """Classic BPF shifts everything out where eBPF would only look at the low five bits."""
        asm, narrow, shifted = self.asm, self.asm.new_label(), self.asm.new_label()
        asm.jump_if(R1, "<", 32, narrow)
        asm.mov(R0, 0)
        asm.jump(shifted)
        asm.label(narrow)
        asm.alu32(f"{op}=", R0, R1)
        asm.label(shifted)


def _checked(root: Node) -> dict[Node, Checked]:
    """For each node below `root`, the bounds test on an index that every path to it made last.

    So the pointer that the test computed can be used again, and the verifier knows what lies behind it.
    """
    known: dict[Node, Checked] = {root: None}
    for node in topological(root):
        for number, target in enumerate(successors(node)):
            after = _after(node, number, known[node])
            known[target] = _both(known[target], after) if target in known else after
    return known


def _after(node: Node, number: int, before: Checked) -> Checked:
    """What is known behind branch `number` of `node`."""
    if not isinstance(node, Switch):
        return before
    if isinstance(node.expr, Room):
        if node.expr.index is None:
            return before
        return (node.expr.index, node.bounds[0]) if number == 1 else None
    by_index = [part for part in leaves(node.expr) if isinstance(part, Load) and part.index is not None]
    if not by_index:
        return before
    load = by_index[0]
    if len(by_index) > 1 or load.index is None:
        return None
    needed = load.offset + load.size
    if before and before[0] is load.index and before[1] >= needed and _operand(node.expr) is load:
        return before  # evaluated without a bounds test of its own
    return load.index, needed


def _operand(expr: Expr) -> Expr:
    """What `expr` does arithmetic with, if that is one value and numbers."""
    while isinstance(expr, Alu) and isinstance(expr.right, Const):
        expr = expr.left
    return expr


def _both(one: Checked, other: Checked) -> Checked:
    if one is None or other is None or one[0] is not other[0]:
        return None
    return one[0], min(one[1], other[1])
