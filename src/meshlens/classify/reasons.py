"""Why a model says what it says: the features that its trees looked at most on the way to the class."""

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from meshlens.classify.model import Model, Split
from meshlens.classify.tasks import Task
from meshlens.probes.classified import Classified, Reason

__all__ = ["Explainer", "reasons"]

_SHOWN: Final = 3
#: So many samples' reasons are kept.
_KEPT: Final = 1 << 16


class Explainer:
    """Makes records of what a model says of rows of its task.

    Samples that a window is full of do not change: what was explained last is kept for each.
    """

    def __init__(self, model: Model, task: Task) -> None:
        self.model = model
        self._task = task.name
        self._positions = task.positions(model.features)
        self._kept: dict[tuple[str, str], tuple[tuple[int, ...], int, tuple[Reason, ...]]] = {}

    def row(self, values: Sequence[int]) -> tuple[int, ...]:
        """The model's row, of one of the task."""
        if len(self._positions) == 1:
            return (values[self._positions[0]],)
        return itemgetter(*self._positions)(values) if self._positions else ()

    def classified(
        self,
        interface: str,
        name: str,
        values: Sequence[int],
        label: int | None,
        votes: int,
        *,
        first_ns: int,
        packets: int,
        runs: int,
    ) -> Classified:
        """The record of a sample of which the model says `label` (None: unknown) with `votes`."""
        return Classified(
            interface=interface,
            task=self._task,
            name=name,
            verdict=None if label is None else self.model.classes[label],
            confidence=self.model.confidence(votes),
            reasons=() if label is None else self._reasons((interface, name), self.row(values), label),
            first_ns=first_ns,
            packets=packets,
            runs=runs,
        )

    def _reasons(self, whose: tuple[str, str], row: tuple[int, ...], label: int) -> tuple[Reason, ...]:
        kept = self._kept.get(whose)
        if not kept or kept[:2] != (row, label):
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            kept = self._kept[whose] = row, label, reasons(self.model, row, label)
        return kept[2]


def reasons(model: Model, row: Sequence[int], label: int, most: int = _SHOWN) -> tuple[Reason, ...]:
    """The features that decided for class `label`, those that decided most first.

    A tree whose leaf votes for the class says which features it tested on the way, as loudly as it votes.
    """
    heard = Counter[int]()
    for tree in model.trees:
        node, tested = tree[0], list[int]()
        while isinstance(node, Split):
            tested.append(node.feature)
            node = tree[node.below if row[node.feature] <= node.most else node.above]
        weight = dict(node.weights).get(label, 0)
        for feature in tested if weight else ():
            heard[feature] += weight
    whole = sum(heard.values())
    loudest = sorted(heard.items(), key=lambda item: (-item[1], item[0]))[:most]
    return tuple(Reason(model.features[feature], row[feature], loud / whole) for feature, loud in loudest)
