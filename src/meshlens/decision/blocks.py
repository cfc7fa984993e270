"""What the code of all decision graphs has in common: a block for each node, the search of an interval."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Final

from meshlens.decision.expr import MAX_VALUE
from meshlens.decision.graph import Node, Switch
from meshlens.ebpf import R0, Asm
from meshlens.ebpf.jumps import Label

__all__ = ["Blocks"]

#: Up to this many intervals are compared one after another; more are searched.
_CHAIN: Final = 3


class Blocks(ABC):
    """Emits the nodes that are `pending` and all that they lead to, each once; `placed` stand elsewhere."""

    def __init__(self, asm: Asm, placed: Mapping[Node, Label]) -> None:
        self.asm = asm
        self.labels = dict(placed)
        self.emitted: set[Node] = set(placed)
        self.pending: list[Node] = []

    @abstractmethod
    def node(self, node: Node) -> None:
        """Emit the block of `node`."""

    def emit_pending(self) -> None:
        """Emit all that is to be emitted; what is asked for last comes next."""
        while self.pending:
            node = self.pending.pop()
            if node not in self.emitted:
                self.emitted.add(node)
                self.asm.label(self.label(node))
                self.node(node)

    def label(self, node: Node) -> Label:
        """Where to jump for `node`, which is emitted sooner or later."""
        if node not in self.labels:
            self.labels[node] = self.asm.new_label()
        if node not in self.emitted:
            self.pending.append(node)
        return self.labels[node]

    def go(self, node: Node, *, last: bool) -> None:
        """Go to `node`; the last jump of a block falls through if the node can come next."""
        label = self.label(node)
        if not (last and node not in self.emitted):
            self.asm.jump(label)

    def search(self, node: Switch, default: Node | None = None) -> None:
        """Go to the target of the interval that R0 falls into; the one of most intervals comes next."""
        ends = (*(bound - 1 for bound in node.bounds), MAX_VALUE)
        intervals = list(zip((0, *node.bounds), ends, node.targets, strict=True))
        default = default or Counter(node.targets).most_common(1)[0][0]
        self.find([each for each in intervals if each[2] is not default], default, last=True)

    def find(self, intervals: list[tuple[int, int, Node]], default: Node, *, last: bool) -> None:
        """Go to the target of the (first, last, target) that R0 is in, else to `default`."""
        asm = self.asm
        if len(intervals) > _CHAIN:
            middle, upper = len(intervals) // 2, asm.new_label()
            asm.jump32_if(R0, ">=", intervals[middle][0], upper)
            self.find(intervals[:middle], default, last=False)
            asm.label(upper)
            self.find(intervals[middle:], default, last=last)
            return
        for first, end, target in intervals:
            if first == end:
                asm.jump32_if(R0, "==", first, self.label(target))
            elif end == MAX_VALUE:
                asm.jump32_if(R0, ">=", first, self.label(target))
            elif first == 0:
                asm.jump32_if(R0, "<=", end, self.label(target))
            else:
                asm.jump32_if(R0, "<", first, self.label(default))
                asm.jump32_if(R0, "<=", end, self.label(target))
        self.go(default, last=last)
