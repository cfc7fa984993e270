"""The two ways to turn the diagrams of many filters into one part of a graph; `merge` says when which."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar, Generic, NamedTuple, TypeVar

from meshlens.decision.diagram import Diagram, Test, Verdict
from meshlens.decision.expr import Space
from meshlens.decision.graph import Mark, Node, leaf, mark, switch, topological, with_slots
from meshlens.decision.split import Branch, Split, Splitter, State

__all__ = ["Classes", "Marks", "Part", "TooEntangledError"]

#: The node budget: so many states, and `growth` more for each test that the filters make by themselves.
_BUDGET = 2_000


class TooEntangledError(Exception):
    """This way of merging needs more states than the budget allows, or cannot be gone at all."""


@dataclass(frozen=True)
class Part:
    """A merged part: a frame in slot n matches the diagrams `slots[n]`.

    The slots before `first_leaf` are those of marks; they count whatever else the frame is counted in.
    """

    root: Node
    slots: list[frozenset[int]]
    first_leaf: int

    @property
    def marks(self) -> bool:
        return self.first_leaf > 0


Task = TypeVar("Task", bound=Hashable)


class _Plan(NamedTuple, Generic[Task]):
    """How a task becomes a node: build `needed` first, then `make` it of their nodes."""

    needed: list[Task]
    make: Callable[[list[Node]], Node]


class _Builder(ABC, Generic[Task]):
    growth: ClassVar[int]

    def __init__(self, space: Space, finish: Callable[[State], Node] | None = None) -> None:
        """`finish` makes the node of a state in which only tests of another part are left."""
        self.space, self.finish = space, finish
        self.splitter = Splitter(space)

    @abstractmethod
    def build(self, start: State) -> Part:
        """The part that decides the diagrams of `start`. Raises TooEntangledError beyond the budget."""

    @abstractmethod
    def plan(self, task: Task) -> _Plan[Task]:
        """What `task` comes down to."""

    def root(self, task: Task, start: State) -> Node:
        """The node of `task`; equal tasks are built once."""
        budget = _BUDGET + self.growth * _count_tests(start)
        nodes: dict[Task, Node] = {}
        plans: dict[Task, _Plan[Task]] = {}
        stack = [task]
        while stack:
            current = stack[-1]
            if current in nodes:
                stack.pop()
                continue
            if current not in plans:
                plans[current] = self.plan(current)
                if len(plans) > budget and len(start) > 1:
                    raise TooEntangledError
            plan = plans[current]
            missing = dict.fromkeys(needed for needed in plan.needed if needed not in nodes)
            if missing:
                stack.extend(missing)
            else:
                nodes[current] = plan.make([nodes[needed] for needed in plan.needed])
        return nodes[task]


class Classes(_Builder[State]):
    """Every set of filters that match together gets a slot; a task is a state with those matched so far."""

    growth = 1

    def build(self, start: State) -> Part:
        self.numbers: dict[frozenset[int], int] = {}
        undecided = _without_no(dict(start))
        return Part(self.root(undecided, undecided), list(self.numbers), first_leaf=0)

    def plan(self, state: State) -> _Plan[State]:
        split = self.splitter.split(state)
        if split is not None:
            return _switch_plan(split, [_without_no({**split.default, **b.changes}) for b in split.branches])
        if self.finish and any(isinstance(diagram, Test) for _, diagram in state):
            node = self.finish(state)
        else:
            matching = frozenset(position for position, _ in state)
            node = leaf(self.numbers.setdefault(matching, len(self.numbers)), self.space is Space.INNER)
        return _Plan([], lambda _: node)


class _Detour(NamedTuple):
    """A state, and what to do after it."""

    state: State
    then: "_Detour | None"


class Marks(_Builder[_Detour]):
    """A filter is marked as soon as it matches.

    Filters that are marked in the same place share a slot. But one that may be marked twice on a path has its
    own, and its marks count a frame once.
    """

    growth = 4

    def build(self, start: State) -> Part:
        self.again: set[int] = set()
        self.end = leaf(-1)
        marked = self.root(_Detour(start, None), start)
        singles = {position: slot for slot, position in enumerate(sorted(self.again))}
        sets: dict[tuple[int, ...], int] = {}

        def slots(positions: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
            together = tuple(position for position in positions if position not in singles)
            number = (len(singles) + sets.setdefault(together, len(sets)),) if together else ()
            return number, tuple(singles[position] for position in positions if position in singles)

        for node in topological(marked):
            if isinstance(node, Mark):
                slots(node.slots)
        matches = [frozenset({position}) for position in singles] + [frozenset(together) for together in sets]
        root = with_slots(marked, slots, leaf(len(matches), self.space is Space.INNER))
        return Part(root, [*matches, frozenset()], first_leaf=len(matches))

    def plan(self, task: _Detour) -> _Plan[_Detour]:
        state, then = task
        split = self.splitter.split(state)
        if split is not None:
            waiting = tuple((p, default) for p, default in split.default.items() if isinstance(default, Test))
            matched = [p for p, default in split.default.items() if default is Verdict.MATCH]
            after = [self.after(split, branch, waiting, matched, then) for branch in split.branches]
            return _switch_plan(split, [detour for _, detour in after], [marked for marked, _ in after])
        if self.finish and any(isinstance(diagram, Test) for _, diagram in state):
            self.finish(state)
        return _Plan([then] if then else [], lambda nodes: nodes[0] if nodes else self.end)

    def after(
        self, split: Split, branch: Branch, waiting: State, matched: list[int], then: _Detour | None
    ) -> tuple[tuple[int, ...], _Detour]:
        """The filters to mark on a branch, and what comes then: a detour of those it concerns, the rest.

        By default `waiting` is what is left, and `matched` match; of both a branch changes little.
        """
        marked, detour, gone = [p for p in matched if p not in branch.changes], [], set[int]()
        for position, left in sorted(branch.changes.items(), key=itemgetter(0)):
            if left is not Verdict.MATCH:
                gone.add(position)
                if isinstance(left, Test):
                    detour.append((position, left))
                continue
            marked.append(position)
            if isinstance(split.default[position], Test):
                # Marked, it may do as it likes: let it do what it does by default, so that paths join.
                self.again.add(position)
        rest = tuple(each for each in waiting if each[0] not in gone) if gone else waiting
        after = _Detour(rest, then) if rest or then is None else then
        return tuple(sorted(marked)), _Detour(tuple(detour), after) if detour else after


def _switch_plan(split: Split, after: list[Task], marked: list[tuple[int, ...]] | None = None) -> _Plan[Task]:
    """A switch on the split's expression, with the marks of each branch before what comes after it."""
    marks = marked or [()] * len(after)

    def make(nodes: list[Node]) -> Node:
        targets = [mark(slots, (), node) if slots else node for slots, node in zip(marks, nodes, strict=True)]
        return switch(
            split.expr, [(b.first, target) for b, target in zip(split.branches, targets, strict=True)]
        )

    return _Plan(after, make)


def _without_no(left: dict[int, Diagram]) -> State:
    return tuple((position, diagram) for position, diagram in left.items() if diagram is not Verdict.NO)


def _count_tests(state: State) -> int:
    """The tests of all diagrams together."""
    seen: set[Diagram] = set()
    stack = [diagram for _, diagram in state]
    while stack:
        node = stack.pop()
        if isinstance(node, Test) and node not in seen:
            seen.add(node)
            stack += (node.yes, node.no)
    return len(seen)
