"""From a table of labelled rows to a model that knows how good it is."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from meshlens.classify.calibration import calibrate, least_votes
from meshlens.classify.crossval import OpenSet, OutOfFold, cross_validate, learn, open_set
from meshlens.classify.dataset import Table
from meshlens.classify.familiarity import Weighing, watch
from meshlens.classify.forest import Forest, Recipe, learner
from meshlens.classify.metrics import Report
from meshlens.classify.model import Model
from meshlens.classify.selection import NODE_BUDGET, RECIPES, TREES, Tried, select
from meshlens.classify.splits import random_folds
from meshlens.errors import UsageError

__all__ = ["Tested", "Training", "train"]

_LICENCE: Final = (
    "A model is derived from its training data: whoever passes it on has to look at that data's licence."
)
#: What is taken where no label comes in two groups, so that nothing can be compared.
_DEFAULT: Final = Recipe("extra-trees", TREES, features=0.3)
#: What is measured is divided otherwise than what the recipe was chosen with.
_OTHER_SEED: Final = 100


@dataclass(frozen=True, slots=True)
class Tested:
    """How good a recipe is on groups that it had not seen: only labels of two groups or more.

    `among_all`: all rows, learnt from as the model does; those of a single group can only be got wrong.
    `leaky`: the rows of `out_of_fold` divided at random, for comparison. `seen`: with labels kept back.
    """

    out_of_fold: OutOfFold
    among_all: OutOfFold
    leaky: Report
    seen: OpenSet
    weighing: Weighing | None


@dataclass(frozen=True, slots=True)
class Training:
    """A model and how it came about: `tried`, the best recipe first; `tested` is None if nothing could be."""

    model: Model
    recipe: Recipe
    tried: tuple[Tried, ...]
    tested: Tested | None


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
    learner("sklearn")
    if len(set(table.labels)) < 2:
        raise UsageError(f"a model needs two labels or more; column {label!r} gives {len(set(table.labels))}")
    table = table.varying()
    repeated = table.repeated()
    if len(set(repeated.labels)) > 1:
        tried = select(repeated, recipes, folds=folds, seed=seed, progress=progress)
        recipe = tried[0].recipe
        tested = _test(table, repeated, recipe, folds, seed + _OTHER_SEED)
    else:
        tried, recipe, tested = [], _DEFAULT, None
    forest = learn(table, recipe, seed=seed)
    model = _model(forest, table, tested, task, label, seed, about or {})
    model.about["recipe"] = str(recipe)
    return Training(model, recipe, tuple(tried), tested)


def _test(table: Table, repeated: Table, recipe: Recipe, folds: int, seed: int) -> Tested:
    """Measure a recipe, and find the way to weigh that tells unknown labels best."""
    answers = open_set(table, recipe, folds=folds, seed=seed)
    weighing = max(answers, key=lambda one: answers[one].auroc or 0)
    out_of_fold = cross_validate(repeated, recipe, weighing=weighing, folds=folds, seed=seed)
    among_all = out_of_fold
    if len(repeated) < len(table):  # more labels to choose from, and fewer votes for each
        among_all = cross_validate(table, recipe, weighing=weighing, folds=folds, seed=seed)
    at_random = random_folds(repeated.labels, folds, seed)
    leaky = cross_validate(repeated, recipe, folds=at_random, seed=seed).report
    return Tested(out_of_fold, among_all, leaky, answers[weighing], weighing)


def _model(
    forest: Forest,
    table: Table,
    tested: Tested | None,
    task: str,
    label: str,
    seed: int,
    about: dict[str, Any],
) -> Model:
    watched = watch(forest, table, tested.weighing, seed=seed) if tested else None
    return Model(
        task,
        label,
        forest.classes,
        tuple(feature.name for feature in table.features),
        forest.trees(),
        least_votes(tested.among_all) if tested else 0,
        calibrate(tested.out_of_fold.judged, tested.out_of_fold.right) if tested else (),
        {
            **about,
            "rows": len(table),
            "groups": len(set(table.groups)),
            "nodes": forest.nodes,
            "node_budget": NODE_BUDGET,
            "watched": tested.weighing if tested else None,
            "seed": seed,
            "scikit-learn": version("scikit-learn"),
            "metrics": _metrics(tested) if tested else {},
            "licence": _LICENCE,
        },
        tuple(zip(watched.features, watched.gains, strict=True)) if watched else (),
        watched.bounds if watched else (),
    )


def _metrics(tested: Tested) -> dict[str, Any]:
    """The figures that a model's file carries."""
    figures = tested.out_of_fold.report
    area = tested.seen.auroc
    return {
        "rows": figures.rows,
        "classes": len(figures.classes),
        "precision_macro": round(figures.precision_macro, 4),
        "recall_macro": round(figures.recall_macro, 4),
        "f1_macro": round(figures.f1_macro, 4),
        "f1_weighted": round(figures.f1_weighted, 4),
        "accuracy": round(figures.accuracy, 4),
        "f1_macro_leaky": round(tested.leaky.f1_macro, 4),
        "unknown_auroc": None if area is None else round(area, 4),
        "f1_by_class": {name: round(score.f1, 4) for name, score in figures.classes.items()},
    }
