"""Which family of trees to take, and with what settings: a short list, judged by grouped cross-validation.

The list is short on purpose: with a few hundred groups, the best of many recipes is the luckiest. All of them
fit the kernel: TREES paths of at most some dozen splits a verdict, NODE_BUDGET nodes altogether.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from meshlens.classify.crossval import cross_validate
from meshlens.classify.dataset import Table
from meshlens.classify.forest import Recipe

__all__ = ["NODE_BUDGET", "RECIPES", "TREES", "Tried", "select"]

#: Trees of a forest: the time of a verdict grows with them, and past these, accuracy hardly does.
TREES: Final = 24
#: What a model may have at most, in all its trees.
NODE_BUDGET: Final = 40_000

RECIPES: Final = (
    Recipe("tree", balanced=True),
    Recipe("random-forest", TREES, features=0.3),
    Recipe("random-forest", TREES, features=0.3, balanced=True),
    Recipe("random-forest", TREES, features=0.3, balanced=True, entropy=True),
    Recipe("extra-trees", TREES, features=0.3),
    Recipe("extra-trees", TREES, features=0.3, rows=2, balanced=True),
    Recipe("extra-trees", TREES, features=0.5, balanced=True, entropy=True),
    Recipe("extra-trees", TREES, features=1.0, balanced=True),
    Recipe("extra-trees", TREES, features=1.0, balanced=True, entropy=True),
)


class Tried(NamedTuple):
    """A recipe, its F1 by cross-validation (mean of the turns), and the nodes of its largest model."""

    recipe: Recipe
    f1_macro: float
    f1_weighted: float
    nodes: int

    @property
    def score(self) -> float:
        """By what recipes are compared: macro-F1 is mostly that of rare classes, weighted F1 of all rows."""
        return (self.f1_macro + self.f1_weighted) / 2


def select(
    table: Table,
    recipes: tuple[Recipe, ...] = RECIPES,
    *,
    folds: int = 5,
    turns: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Tried]:
    """Try each recipe with the same splits, `turns` times anew divided: the best first.

    Recipes whose models are larger than NODE_BUDGET come last.
    """
    tried = []
    for number, recipe in enumerate(recipes, 1):
        results = [cross_validate(table, recipe, folds=folds, seed=seed + turn) for turn in range(turns)]
        reports = [result.report for result in results]
        f1_macro = sum(one.f1_macro for one in reports) / turns
        f1_weighted = sum(one.f1_weighted for one in reports) / turns
        tried.append(Tried(recipe, f1_macro, f1_weighted, max(result.nodes for result in results)))
        progress(number, len(recipes))
    return sorted(tried, key=lambda one: (one.nodes > NODE_BUDGET, -one.score, one.nodes))
