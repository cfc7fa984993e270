"""Whether a row looks like the class that the trees gave it: what tells unknown devices from known ones.

Trees have to say something of any row, and near leaves they say it loudly: votes alone tell labels that were
never learnt poorly from the others. So a few features are watched besides: each whose value is within what
the class had in training adds votes. A row that is unlike its class gets few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from meshlens.classify.dataset import Table
from meshlens.classify.forest import Forest, array, learner
from meshlens.classify.model import ONE
from meshlens.classify.splits import grouped_folds

__all__ = ["WATCHED", "WEIGHINGS", "Watch", "Weighing", "watch"]

#: So many features are watched: each costs the kernel two comparisons.
WATCHED: Final = 64
#: What all features together may add, in units of all votes of the trees: votes decide among equals only.
_WEIGHT: Final = 20

#: How much a feature counts: as much as trees use it; or that, times how much more often a row is outside of
#: the most similar other label than outside of its own label, seen in other groups (as a logarithm).
Weighing = Literal["importance", "reliability"]
#: What is tried; None watches nothing.
WEIGHINGS: Final[tuple[Weighing | None, ...]] = (None, "importance", "reliability")


@dataclass(frozen=True, slots=True)
class Watch:
    """The watched features by position, what each adds, and for each class (low, high) of each of them."""

    features: tuple[int, ...]
    gains: tuple[int, ...]
    bounds: tuple[tuple[tuple[int, int], ...], ...]

    def gained(self, rows: Any, labels: Any) -> Any:
        """What rows gain with the class (by position) that they were given: an array of whole numbers."""
        numpy = learner("numpy")
        bounds = numpy.asarray(self.bounds)[labels]
        values = rows[:, list(self.features)]
        inside = (values >= bounds[:, :, 0]) & (values <= bounds[:, :, 1])
        return inside @ numpy.asarray(self.gains, dtype="int64")


def watch(forest: Forest, table: Table, weighing: Weighing | None, *, seed: int = 0) -> Watch | None:
    """What to watch besides the trees of `forest`, which learnt from `table`; None if nothing counts."""
    if weighing is None:
        return None
    numpy = learner("numpy")
    rows, labels = array(table.rows), numpy.array(table.labels)
    weights = forest.estimator.feature_importances_
    if weighing == "reliability":
        weights = weights * _reliability(rows, labels, table.groups, weights, seed)
    if not weights.sum():
        return None
    features = numpy.argsort(-weights, kind="stable")[:WATCHED]
    features = sorted(int(feature) for feature in features if weights[feature] > 0)
    gains = weights / weights.sum() * (_WEIGHT * forest.count * ONE)
    lessons = table.lessons(range(len(table)))  # samples that have just begun are familiar as well
    low, high = _bounds(
        array(lessons.rows)[:, features], numpy.array(lessons.labels), numpy.array(forest.classes)
    )
    return Watch(
        tuple(features),
        tuple(int(gains[feature]) for feature in features),
        tuple(
            tuple((int(least), int(most)) for least, most in zip(*pair, strict=True))
            for pair in zip(low, high, strict=True)
        ),
    )


def _bounds(rows: Any, labels: Any, classes: Any) -> tuple[Any, Any]:
    """The lowest and highest values of each class: two arrays, classes by features."""
    numpy = learner("numpy")
    of = [rows[labels == label] for label in classes]
    return numpy.array([own.min(axis=0) for own in of]), numpy.array([own.max(axis=0) for own in of])


def _reliability(rows: Any, labels: Any, groups: Sequence[str], weights: Any, seed: int) -> Any:
    """For each feature, how much it tells of rows from groups that were not looked at; 0 if nothing."""
    numpy = learner("numpy")
    folds = numpy.array(grouped_folds(labels.tolist(), groups, seed=seed))
    own, others = numpy.ones(rows.shape[1]), numpy.ones(rows.shape[1])
    own_rows = other_rows = 2
    for fold in range(5):
        learnt, tested = folds != fold, folds == fold
        classes = numpy.unique(labels[learnt])
        if len(classes) < 2:
            continue
        low, high = _bounds(rows[learnt], labels[learnt], classes)
        for row, label in zip(rows[tested], labels[tested], strict=True):
            outside = (row < low) | (row > high)
            strange = outside @ weights
            mine = classes == label
            if mine.any():
                own += outside[mine][0]
                own_rows += 1
            strange[mine] = numpy.inf
            others += outside[strange.argmin()]
            other_rows += 1
    return numpy.maximum(0, numpy.log((others / other_rows) / (own / own_rows)))
