"""Precision, recall, F1, confusion, AUROC: in plain Python, as scikit-learn defines them.

A class that is never predicted has precision 0, as in scikit-learn with `zero_division=0`. Macro is the mean
over the classes that the truth has; weighted by how many rows each has.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["UNKNOWN", "ClassScore", "Report", "auroc", "confusion", "report"]

#: What stands for "unknown" among the names that a model gives.
UNKNOWN = "unknown"


class ClassScore(NamedTuple):
    """How well one class is found; `rows` is how many the truth has."""

    precision: float
    recall: float
    f1: float
    rows: int


class Report(NamedTuple):
    """The figures of one test. `classes` by name."""

    rows: int
    precision_macro: float
    recall_macro: float
    f1_macro: float
    f1_weighted: float
    accuracy: float
    classes: Mapping[str, ClassScore]


def report(truth: Sequence[str], named: Sequence[str]) -> Report:
    """The figures of the names that a model gave, against the truth."""
    there, given = Counter(truth), Counter(named)
    right = Counter(label for label, name in zip(truth, named, strict=True) if label == name)
    classes = {label: _score(right[label], given[label], there[label]) for label in sorted(there)}
    scores, rows = classes.values(), len(truth)
    share = 1 / len(classes) if classes else 0.0
    return Report(
        rows,
        share * sum(score.precision for score in scores),
        share * sum(score.recall for score in scores),
        share * sum(score.f1 for score in scores),
        sum(score.f1 * score.rows for score in scores) / rows if rows else 0.0,
        right.total() / rows if rows else 0.0,
        classes,
    )


def _score(right: int, given: int, there: int) -> ClassScore:
    precision = right / given if given else 0.0
    recall = right / there
    return ClassScore(precision, recall, 2 * right / (given + there), there)


def confusion(truth: Sequence[str], named: Sequence[str]) -> Counter[tuple[str, str]]:
    """How many rows of a class (first) were given a name (second)."""
    return Counter(zip(truth, named, strict=True))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """How likely a score of `positive` is above one of `negative`, ties as one half; None if one is empty.

    The Mann-Whitney statistic by ranks: the area under the ROC curve.
    """
    if not positive or not negative:
        return None
    scores = sorted([(score, 1) for score in positive] + [(score, 0) for score in negative])
    rank_sum, place = 0.0, 0
    while place < len(scores):
        end = place
        while end < len(scores) and scores[end][0] == scores[place][0]:
            end += 1
        middle = (place + 1 + end) / 2
        rank_sum += middle * sum(is_positive for _, is_positive in scores[place:end])
        place = end
    many, few = len(positive), len(negative)
    return (rank_sum - many * (many + 1) / 2) / (many * few)
