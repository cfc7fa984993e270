"""Trees by scikit-learn, with leaves of whole numbers: what it predicts and what our model says are one.

The share of each class in a leaf is rounded to steps of 2**-16 inside the scikit-learn estimator, so that
sums over trees are exact in floating point and equal to sums of integers, ties included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from meshlens.classify.model import ONE, Leaf, Split, Tree
from meshlens.errors import UsageError

__all__ = ["Forest", "Recipe", "array", "fit", "learner"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family of trees and its settings, in scikit-learn's terms.

    `rows`: the least in a leaf. `features`: the share of them that a split may choose from. `balanced`: rows
    of rare classes weigh more.
    """

    family: Literal["extra-trees", "random-forest", "tree"]
    trees: int = 1
    depth: int | None = None
    rows: int = 1
    features: float | Literal["sqrt"] = "sqrt"
    balanced: bool = False
    entropy: bool = False

    def __str__(self) -> str:
        words = [
            self.family if self.family == "tree" else f"{self.family} of {self.trees}",
            f"depth {self.depth}" if self.depth else "",
            f"leaves of {self.rows} or more" if self.rows > 1 else "",
            f"features {self.features}" if self.features != "sqrt" else "",
            "balanced" if self.balanced else "",
            "entropy" if self.entropy else "",
        ]
        return ", ".join(filter(None, words))


class Forest:
    """A fitted estimator. `classes` by position; `nodes` in all its trees; `estimator` is scikit-learn's."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.classes: tuple[str, ...] = tuple(str(name) for name in estimator.classes_)
        self._parts = getattr(estimator, "estimators_", [estimator])
        for part in self._parts:
            _round_leaves(part.tree_)

    @property
    def nodes(self) -> int:
        return sum(int(part.tree_.node_count) for part in self._parts)

    @property
    def count(self) -> int:
        """How many trees there are."""
        return len(self._parts)

    def votes(self, rows: Any) -> Any:
        """The sums of each class for each row by scikit-learn: an integer array, rows by classes."""
        shares = self.estimator.predict_proba(array(rows))
        return learner("numpy").rint(shares * (len(self._parts) * ONE)).astype("int64")

    def trees(self) -> tuple[Tree, ...]:
        """The trees as our model has them."""
        return tuple(_tree(part.tree_) for part in self._parts)


def fit(
    recipe: Recipe,
    rows: Sequence[Sequence[int]],
    labels: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
) -> Forest:
    """Learn the labels of the rows; `weights`: how much each counts.

    Raises UsageError if scikit-learn is not installed.
    """
    settings: dict[str, Any] = {
        "max_depth": recipe.depth,
        "min_samples_leaf": recipe.rows,
        "max_features": recipe.features,
        "class_weight": "balanced" if recipe.balanced else None,
        "criterion": "entropy" if recipe.entropy else "gini",
        "random_state": seed,
    }
    match recipe.family:
        case "tree":
            estimator = learner("sklearn.tree").DecisionTreeClassifier(**settings | {"max_features": None})
        case "extra-trees":
            estimator = learner("sklearn.ensemble").ExtraTreesClassifier(recipe.trees, **settings)
        case "random-forest":
            estimator = learner("sklearn.ensemble").RandomForestClassifier(recipe.trees, **settings)
    return Forest(estimator.fit(array(rows), learner("numpy").array(labels), sample_weight=weights))


def learner(module: str) -> Any:
    """A module of what models are trained with. Raises UsageError if it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise UsageError("training needs scikit-learn: pip install 'meshlens[ml]'") from None


def array(rows: Any) -> Any:
    """Rows as scikit-learn sees them: single precision, which has all whole numbers up to MAX_VALUE."""
    return learner("numpy").asarray(rows, dtype="float32")


def _round_leaves(tree: Any) -> None:
    """Make the shares of each leaf multiples of 2**-16 that add up to one, in place.

    All are rounded down; what then is missing goes, one step each, to those that lost most.
    """
    numpy = learner("numpy")
    shares = tree.value[:, 0, :]
    shares = shares / shares.sum(axis=1, keepdims=True)
    steps = numpy.floor(shares * ONE)
    missing = (ONE - steps.sum(axis=1)).astype(int)
    order = numpy.argsort(steps - shares * ONE, axis=1, kind="stable")
    rank = numpy.argsort(order, axis=1, kind="stable")
    tree.value[:, 0, :] = (steps + (rank < missing[:, None])) / ONE


def _tree(tree: Any) -> Tree:
    """Nodes by number; a threshold between whole numbers becomes the whole number below it."""
    numpy = learner("numpy")
    weights = numpy.rint(tree.value[:, 0, :] * ONE).astype("int64")
    most = numpy.floor(tree.threshold).astype("int64").tolist()
    features, below, above = tree.feature.tolist(), tree.children_left.tolist(), tree.children_right.tolist()

    def node(place: int) -> Split | Leaf:
        if below[place] >= 0:
            return Split(features[place], most[place], below[place], above[place])
        own = weights[place]
        return Leaf(tuple((int(label), int(own[label])) for label in own.nonzero()[0]))

    return tuple(node(place) for place in range(tree.node_count))
