"""What a recipe would say of rows that it did not learn from: the honest figures of training.

table = read_dataset(task("flow"), "captures").table("proto").repeated()
print(cross_validate(table, Recipe("extra-trees", 24)).report.f1_macro)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meshlens.classify.dataset import Table
from meshlens.classify.familiarity import WEIGHINGS, Watch, Weighing, watch
from meshlens.classify.forest import Forest, Recipe, array, fit
from meshlens.classify.metrics import Report, auroc, report
from meshlens.classify.splits import grouped_folds, label_folds

__all__ = ["Judged", "OpenSet", "OutOfFold", "cross_validate", "judge", "learn", "open_set"]


class Judged(NamedTuple):
    """The class with most votes, and these votes."""

    name: str
    votes: int


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """For each row what is true, and what a model said that had not seen its group. `nodes`: the largest."""

    truth: tuple[str, ...]
    groups: tuple[str, ...]
    judged: tuple[Judged, ...]
    nodes: int

    @property
    def named(self) -> list[str]:
        return [one.name for one in self.judged]

    @property
    def right(self) -> list[bool]:
        return [one.name == name for one, name in zip(self.judged, self.truth, strict=True)]

    @property
    def report(self) -> Report:
        return report(self.truth, self.named)


@dataclass(slots=True)
class OpenSet:
    """Rows of labels that a model had learnt (from other groups), and of labels that it had not."""

    known: list[Judged] = field(default_factory=list)
    unknown: list[Judged] = field(default_factory=list)

    @property
    def auroc(self) -> float | None:
        """How well votes tell the two apart."""
        return auroc([one.votes for one in self.known], [one.votes for one in self.unknown])


def learn(table: Table, recipe: Recipe, *, seed: int = 0) -> Forest:
    """Trees that have learnt the labels of a table."""
    return fit(recipe, *table.lessons(range(len(table))), seed=seed)


def judge(forest: Forest, rows: Sequence[Sequence[int]], watched: Watch | None = None) -> list[Judged]:
    """What a forest says of rows: the first of the classes that have most votes; as Model.classify."""
    if not rows:
        return []
    values = array(rows)
    votes = forest.votes(values)
    best = votes.argmax(axis=1)
    most = votes.max(axis=1)
    if watched:
        most = most + watched.gained(values, best)
    return [Judged(forest.classes[label], int(own)) for label, own in zip(best, most, strict=True)]


def cross_validate(
    table: Table,
    recipe: Recipe,
    *,
    weighing: Weighing | None = None,
    folds: Sequence[int] | int = 5,
    seed: int = 0,
) -> OutOfFold:
    """Test a recipe with each fold, after learning from the others.

    `folds`: how many are to be made of the groups, or the fold of each row. Labels of a single group can only
    be got wrong: leave them out first (`table.repeated()`). `weighing` changes votes, not names.
    """
    fold_of = (
        grouped_folds(table.labels, table.groups, folds, seed) if isinstance(folds, int) else list(folds)
    )
    judged: list[Judged] = [Judged("", 0)] * len(table)
    nodes = 0
    for places, test in _folds(fold_of):
        learnt = table.only(places)
        forest = learn(learnt, recipe, seed=seed)
        nodes = max(nodes, forest.nodes)
        watched = watch(forest, learnt, weighing, seed=seed)
        for place, one in zip(test, judge(forest, table.only(test).rows, watched), strict=True):
            judged[place] = one
    return OutOfFold(table.labels, table.groups, tuple(judged), nodes)


def open_set(
    table: Table,
    recipe: Recipe,
    *,
    weighings: Sequence[Weighing | None] = WEIGHINGS,
    folds: int = 5,
    seed: int = 0,
) -> dict[Weighing | None, OpenSet]:
    """What a recipe says when some labels were kept from it entirely, and some groups of the others.

    In each turn a fold of the labels and a fold of the groups are kept back. Rows of the first are unknown;
    rows of the second are known, unless their label is kept back or comes in no other group. The answer is
    given for each way to weigh what is watched.
    """
    label_of = label_folds(table.labels, folds, seed)
    group_of = grouped_folds(table.labels, table.groups, folds, seed)
    seen = {weighing: OpenSet() for weighing in weighings}
    for turn in range(folds):
        learnt = table.only([i for i in range(len(table)) if label_of[i] != turn and group_of[i] != turn])
        if not len(learnt):
            continue
        has = set(learnt.labels)
        known = table.only([i for i in range(len(table)) if group_of[i] == turn and table.labels[i] in has])
        strange = table.only([i for i in range(len(table)) if label_of[i] == turn])
        forest = learn(learnt, recipe, seed=seed)
        for weighing, answer in seen.items():
            watched = watch(forest, learnt, weighing, seed=seed)
            answer.known += judge(forest, known.rows, watched)
            answer.unknown += judge(forest, strange.rows, watched)
    return seen


def _folds(fold_of: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """(rows to learn from, rows to test) for each fold that has both."""
    for fold in sorted(set(fold_of)):
        test = [place for place, own in enumerate(fold_of) if own == fold]
        rest = [place for place, own in enumerate(fold_of) if own != fold]
        if rest:
            yield rest, test
