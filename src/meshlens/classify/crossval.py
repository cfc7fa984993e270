"""What a recipe would say of rows that it did not learn from: the honest figures of training.

table = read_dataset(task("flow"), "captures").table("proto").repeated()
print(cross_validate(table, Recipe("extra-trees", 24)).report.f1_macro)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshlens.classify.dataset import Table
from meshlens.classify.forest import Forest, Recipe, fit
from meshlens.classify.metrics import Report, auroc, report
from meshlens.classify.splits import grouped_folds, label_folds

__all__ = ["Judged", "OpenSet", "OutOfFold", "cross_validate", "judge", "open_set"]


class Judged(NamedTuple):
    """The class with most votes, and these votes."""

    name: str
    votes: int


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """For each row what is true, and what a model said that had not seen its group. `nodes`: the largest."""

    truth: tuple[str, ...]
    judged: tuple[Judged, ...]
    nodes: int

    @property
    def named(self) -> list[str]:
        return [one.name for one in self.judged]

    @property
    def report(self) -> Report:
        return report(self.truth, self.named)


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Rows of labels that a model had learnt (from other groups), and of labels that it had not."""

    known: tuple[Judged, ...]
    known_right: tuple[bool, ...]
    unknown: tuple[Judged, ...]

    @property
    def auroc(self) -> float | None:
        """How well votes tell the two apart."""
        return auroc([one.votes for one in self.known], [one.votes for one in self.unknown])


def judge(forest: Forest, rows: Sequence[Sequence[int]]) -> list[Judged]:
    """What a forest says of rows: the first of the classes that have most votes."""
    if not rows:
        return []
    votes = forest.votes(rows)
    best = votes.argmax(axis=1)
    return [Judged(forest.classes[label], int(own[label])) for label, own in zip(best, votes, strict=True)]


def cross_validate(
    table: Table, recipe: Recipe, *, folds: Sequence[int] | int = 5, seed: int = 0
) -> OutOfFold:
    """Test a recipe with each fold, after learning from the others.

    `folds`: how many are to be made of the groups, or the fold of each row. Labels of a single group can only
    be got wrong: leave them out first (`table.repeated()`).
    """
    fold_of = (
        grouped_folds(table.labels, table.groups, folds, seed) if isinstance(folds, int) else list(folds)
    )
    judged: list[Judged] = [Judged("", 0)] * len(table)
    nodes = 0
    for learn, test in _folds(fold_of):
        forest = _fit(table, learn, recipe, seed)
        nodes = max(nodes, forest.nodes)
        for place, one in zip(test, judge(forest, [table.rows[place] for place in test]), strict=True):
            judged[place] = one
    return OutOfFold(table.labels, tuple(judged), nodes)


def open_set(table: Table, recipe: Recipe, *, folds: int = 5, seed: int = 0) -> OpenSet:
    """What a recipe says when some labels were kept from it entirely, and some groups of the others.

    In each turn a fold of the labels and a fold of the groups are kept back. Rows of the first are unknown;
    rows of the second are known, unless their label is kept back or comes in no other group.
    """
    label_of = label_folds(table.labels, folds, seed)
    group_of = grouped_folds(table.labels, table.groups, folds, seed)
    known: list[Judged] = []
    right: list[bool] = []
    unknown: list[Judged] = []
    for turn in range(folds):
        learn = [i for i in range(len(table)) if label_of[i] != turn and group_of[i] != turn]
        if not learn:
            continue
        learnt = {table.labels[place] for place in learn}
        tested = [i for i in range(len(table)) if group_of[i] == turn and table.labels[i] in learnt]
        strange = [i for i in range(len(table)) if label_of[i] == turn]
        forest = _fit(table, learn, recipe, seed)
        said = judge(forest, [table.rows[place] for place in tested])
        known += said
        right += [one.name == table.labels[place] for one, place in zip(said, tested, strict=True)]
        unknown += judge(forest, [table.rows[place] for place in strange])
    return OpenSet(tuple(known), tuple(right), tuple(unknown))


def _fit(table: Table, places: Sequence[int], recipe: Recipe, seed: int) -> Forest:
    return fit(recipe, *table.lessons(places), seed=seed)


def _folds(fold_of: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """(rows to learn from, rows to test) for each fold that has both."""
    for fold in sorted(set(fold_of)):
        test = [place for place, own in enumerate(fold_of) if own == fold]
        learn = [place for place, own in enumerate(fold_of) if own != fold]
        if learn:
            yield learn, test
