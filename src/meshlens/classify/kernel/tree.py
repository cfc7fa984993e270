"""The code of one tree: tests, and what a leaf adds to the sums of classes.

R7 is the entry, R8 what leads, R9 this CPU's sums: one u32 a class from FIRST_SUM on. What leads is kept as
sum << RANK_BITS | rank, where the first class has the highest rank: one comparison also breaks ties.
"""

from typing import Final

from meshlens.classify.kernel.entry import row_offset
from meshlens.decision.blocks import Blocks
from meshlens.decision.expr import Cell
from meshlens.decision.graph import Node, Switch, Votes, topological
from meshlens.ebpf import R0, R1, R2, R7, R8, R9, Asm, Reg

__all__ = ["FIRST_SUM", "RANKS", "RANK_BITS", "emit_tree"]

#: Where the sums begin.
FIRST_SUM: Final = 8
RANK_BITS: Final = 10
RANKS: Final = (1 << RANK_BITS) - 1

_LAST_IMMEDIATE: Final = (1 << 31) - 1
#: So many leaves are chosen from without a jump; measured for forests of 24 trees, where 4 to 6 are best.
_SMALL: Final = 4


def emit_tree(asm: Asm, root: Node, mask: int) -> None:
    """Add the weights of the leaf that the row leads to. `mask`: all bits that a class's number may have.

    Clobbers R0 to R5.
    """
    _Tree(asm, root, mask).emit()


class _Tree(Blocks):
    """One tree; behind it stands what comes then.

    Most leaves have one class. Those put it into R1 and go to code that all of them share. The last tests of
    a path are those that nobody can foretell, and there are as many of them as of all others together: small
    trees of such leaves are looked at as a whole, without a jump.
    """

    def __init__(self, asm: Asm, root: Node, mask: int) -> None:
        super().__init__(asm, {})
        self.root, self.mask, self.end = root, mask, asm.new_label()
        self.one_class = {weight: asm.new_label() for weight in _single_weights(root)}
        self.sizes = _sizes(root)
        self.chosen = _small(root, self.sizes)

    def emit(self) -> None:
        asm = self.asm
        self.pending.append(self.root)
        self.emit_pending()
        for number, (weight, label) in enumerate(self.one_class.items(), 1):
            asm.label(label)
            self.add_to_class(weight)
            if number < len(self.one_class):
                asm.jump(self.end)
        asm.label(self.end)

    def node(self, node: Node) -> None:
        asm = self.asm
        match node:
            case Switch() if node in self.chosen:
                self.choose(node, R1)
                asm.jump(self.one_class[self.chosen[node]])
            case Switch(Cell(position)):
                asm.load(R0, R7, row_offset(position), 4)
                # The larger part stands right behind: most of what trees are made from went there.
                self.search(node, max(node.targets, key=self.sizes.__getitem__))
            case Votes(((label, weight),)):
                asm.mov(R1, label)
                asm.jump(self.one_class[weight])
            case Votes(weights):
                for label, weight in weights:
                    self.add(label, weight)
                asm.jump(self.end)
            case _:
                raise AssertionError(f"{node} is not of a row")

    def choose(self, node: Node, dst: Reg) -> None:
        """`dst` = the class of a small tree, without a jump. Clobbers R0 and the registers after `dst`.

        A processor that guesses a jump wrong loses more time than it takes to look at both sides.
        """
        asm = self.asm
        if isinstance(node, Votes):
            asm.mov(dst, node.weights[0][0])
            return
        assert isinstance(node, Switch)
        assert isinstance(node.expr, Cell)
        below, above = node.targets
        other = Reg(dst + 1)
        if isinstance(below, Votes) and isinstance(above, Votes):
            asm.load(dst, R7, row_offset(node.expr.position), 4)
            asm.alu("-=", dst, node.bounds[0])
            asm.alu("s>>=", dst, 63)
            asm.alu("&=", dst, below.weights[0][0] ^ above.weights[0][0])
            asm.alu("^=", dst, above.weights[0][0])
            return
        self.choose(above, dst)
        self.choose(below, other)
        asm.load(R0, R7, row_offset(node.expr.position), 4)
        asm.alu("-=", R0, node.bounds[0])
        asm.alu("s>>=", R0, 63)  # all ones where the feature is less
        asm.alu("^=", other, dst)
        asm.alu("&=", other, R0)
        asm.alu("^=", dst, other)

    def add(self, label: int, weight: int) -> None:
        """Add to the sum of a class; R8 = what leads now."""
        asm = self.asm
        at = FIRST_SUM + 4 * label
        asm.load(R0, R9, at, 4)
        asm.alu("+=", R0, weight)
        asm.store(R9, at, R0, 4)
        asm.alu("<<=", R0, RANK_BITS)
        asm.alu("+=", R0, RANKS - label)
        self.lead()

    def add_to_class(self, weight: int) -> None:
        """The same for the class in R1."""
        asm = self.asm
        asm.alu("&=", R1, self.mask)  # the verifier of Linux 6.1 knows nothing of a number behind an xor
        asm.mov(R2, R1)
        asm.alu("<<=", R2, 2)
        asm.alu("+=", R2, R9)
        asm.load(R0, R2, FIRST_SUM, 4)
        asm.alu("+=", R0, weight)
        asm.store(R2, FIRST_SUM, R0, 4)
        asm.alu("<<=", R0, RANK_BITS)
        asm.alu("+=", R0, RANKS)
        asm.alu("-=", R0, R1)
        self.lead()

    def lead(self) -> None:
        """R8 = R0 if that is more."""
        asm, behind = self.asm, self.asm.new_label()
        asm.jump_if(R0, "<=", R8, behind)
        asm.mov(R8, R0)
        asm.label(behind)


def _small(root: Node, sizes: dict[Node, int]) -> dict[Node, int]:
    """The parts of a tree that are small enough to be looked at as a whole, and their leaves' weight."""
    weights: dict[Node, int] = {}
    for node in reversed(topological(root)):
        match node:
            case Votes(((_, weight),)):
                weights[node] = weight
            case Switch(_, (bound,), (below, above)) if (
                sizes[node] <= _SMALL
                and bound <= _LAST_IMMEDIATE
                and below in weights
                and weights[below] == weights.get(above)
            ):
                weights[node] = weights[below]
    return weights


def _single_weights(root: Node) -> list[int]:
    """The weights of the leaves that have one class: usually there is one such weight."""
    leaves = (node for node in topological(root) if isinstance(node, Votes) and len(node.weights) == 1)
    return sorted({weight for leaf in leaves for _, weight in leaf.weights})


def _sizes(root: Node) -> dict[Node, int]:
    """For each node, how many paths lead from it to an end."""
    sizes = dict[Node, int]()
    for node in reversed(topological(root)):
        sizes[node] = sum(sizes[each] for each in node.targets) if isinstance(node, Switch) else 1
    return sizes
