"""From a table of labelled rows to a model that knows how good it is."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from meshlens.classify.calibration import calibrate, least_votes
from meshlens.classify.crossval import OpenSet, OutOfFold, cross_validate, open_set
from meshlens.classify.dataset import Table
from meshlens.classify.forest import Recipe, fit, learner
from meshlens.classify.metrics import Report
from meshlens.classify.model import Model
from meshlens.classify.selection import NODE_BUDGET, RECIPES, TREES, Tried, select
from meshlens.classify.splits import random_folds
from meshlens.errors import UsageError

__all__ = ["Training", "train"]

_LICENCE: Final = (
    "A model is derived from its training data: whoever passes it on has to look at that data's licence."
)
#: What is taken where no label comes in two groups, so that nothing can be compared.
_DEFAULT: Final = Recipe("extra-trees", TREES)


@dataclass(frozen=True, slots=True)
class Training:
    """A model and how it came about.

    `tested`: the chosen recipe on groups that it had not seen, only labels of two groups or more; None where
    there are none. `leaky`: the same rows divided at random, for comparison. `tried`: the best recipe first.
    """

    model: Model
    recipe: Recipe
    tried: tuple[Tried, ...]
    tested: OutOfFold | None
    leaky: Report | None
    seen: OpenSet | None


def train(
    table: Table,
    *,
    task: str,
    label: str,
    about: dict[str, Any] | None = None,
    folds: int = 5,
    seed: int = 0,
    recipes: tuple[Recipe, ...] = RECIPES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Training:
    """Choose a recipe, test it, calibrate its votes, and learn from all rows with it.

    `about` goes into the model's file beside the figures. Raises UsageError if there are less than two labels
    or scikit-learn is not installed.
    """
    learner("sklearn")  # to say it now, not when the captures are read
    if len(set(table.labels)) < 2:
        raise UsageError(f"a model needs two labels or more; column {label!r} gives {len(set(table.labels))}")
    repeated = table.repeated()
    tried: list[Tried] = []
    tested = leaky = seen = None
    if len(set(repeated.labels)) > 1:
        tried = select(repeated, recipes, folds=folds, seed=seed, progress=progress)
    recipe = tried[0].recipe if tried else _DEFAULT
    calibration: tuple[tuple[int, float], ...] = ()
    least = 0
    if tried:
        tested = cross_validate(repeated, recipe, folds=folds, seed=seed)
        at_random = random_folds(repeated.labels, folds, seed)
        leaky = cross_validate(repeated, recipe, folds=at_random, seed=seed).report
        right = [one.name == name for one, name in zip(tested.judged, tested.truth, strict=True)]
        calibration = calibrate(tested.judged, right)
        seen = open_set(table, recipe, folds=folds, seed=seed)
        least = least_votes(seen)
    forest = fit(recipe, *table.lessons(range(len(table))), seed=seed)
    model = Model(
        task,
        label,
        forest.classes,
        tuple(feature.name for feature in table.features),
        forest.trees(),
        least,
        calibration,
        {
            **(about or {}),
            "rows": len(table),
            "groups": len(set(table.groups)),
            "recipe": str(recipe),
            "nodes": forest.nodes,
            "node_budget": NODE_BUDGET,
            "seed": seed,
            "scikit-learn": version("scikit-learn"),
            "metrics": _metrics(tested, leaky, seen),
            "licence": _LICENCE,
        },
    )
    return Training(model, recipe, tuple(tried), tested, leaky, seen)


def _metrics(tested: OutOfFold | None, leaky: Report | None, seen: OpenSet | None) -> dict[str, Any]:
    """The figures that a model's file carries; empty where nothing could be tested."""
    if not (tested and leaky and seen):
        return {}
    figures = tested.report
    return {
        "rows": figures.rows,
        "classes": len(figures.classes),
        "precision_macro": round(figures.precision_macro, 4),
        "recall_macro": round(figures.recall_macro, 4),
        "f1_macro": round(figures.f1_macro, 4),
        "f1_weighted": round(figures.f1_weighted, 4),
        "accuracy": round(figures.accuracy, 4),
        "f1_macro_leaky": round(leaky.f1_macro, 4),
        "unknown_auroc": None if seen.auroc is None else round(seen.auroc, 4),
        "f1_by_class": {name: round(score.f1, 4) for name, score in figures.classes.items()},
    }
