"""Our model against scikit-learn: the same sums, the same classes, for every row."""

import random

import pytest

from meshlens.classify.features import MAX_VALUE
from meshlens.classify.forest import Recipe, fit
from meshlens.classify.model import ONE, Leaf, Model

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

CHANCE = random.Random(11)


def made_up_row() -> list[int]:
    """Small numbers that tie, a bit, large ones, and the largest that single precision has all of."""
    return [
        CHANCE.randrange(30), CHANCE.randrange(30), CHANCE.randrange(2), CHANCE.randrange(MAX_VALUE),
        CHANCE.choice([0, MAX_VALUE - 1, MAX_VALUE]),
    ]  # fmt: skip


ROWS = [made_up_row() for _ in range(500)]
LABELS = [f"class {(row[0] + row[1]) // 12 + row[2]}" for row in ROWS]
OTHERS = [made_up_row() for _ in range(700)]
RECIPES = (
    Recipe("tree"),
    Recipe("tree", depth=4, rows=7),
    Recipe("extra-trees", 24),
    Recipe("extra-trees", 7, rows=4, balanced=True),
    Recipe("random-forest", 24, rows=3, features=0.3),
    Recipe("random-forest", 6, depth=3, entropy=True),
)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_our_votes_and_classes_are_scikit_learns_for_every_row(recipe: Recipe) -> None:
    forest = fit(recipe, ROWS, LABELS, seed=1)
    model = Model("made-up", "kind", forest.classes, tuple("abcde"), forest.trees())
    rows = ROWS + OTHERS
    assert [model.votes(row) for row in rows] == forest.votes(rows).tolist()
    theirs = forest.estimator.predict(numpy.asarray(rows, dtype="float32"))
    named = [model.classes[label] for row in rows if (label := model.classify(row).label) is not None]
    assert named == theirs.tolist()


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_the_weights_of_each_leaf_add_up_to_one_and_none_is_zero(recipe: Recipe) -> None:
    leaves = [node for tree in fit(recipe, ROWS, LABELS).trees() for node in tree if isinstance(node, Leaf)]
    assert {sum(weight for _, weight in leaf.weights) for leaf in leaves} == {ONE}
    assert min(weight for leaf in leaves for _, weight in leaf.weights) > 0


def test_ties_between_classes_go_to_the_first_of_them_in_both() -> None:
    rows, labels = [[1], [1], [2], [2]], ["b", "a", "a", "b"]
    forest = fit(Recipe("random-forest", 8, rows=2), rows, labels)
    model = Model("made-up", "kind", forest.classes, ("a",), forest.trees())
    ties = [row for row in ([0], [1], [2], [3]) if len(set(model.votes(row))) == 1]
    tree = fit(Recipe("tree"), rows, labels)
    tied = Model("made-up", "kind", tree.classes, ("a",), tree.trees())
    assert tied.votes([1]) == [ONE // 2, ONE // 2]
    assert tied.classify([1]).label == 0 == tree.estimator.predict(numpy.float32([[1]])).tolist().index("a")
    assert all(model.classify(row).label == 0 for row in ties)


def test_the_same_seed_gives_the_same_trees_and_another_seed_others() -> None:
    recipe = Recipe("extra-trees", 5)
    assert fit(recipe, ROWS, LABELS, seed=3).trees() == fit(recipe, ROWS, LABELS, seed=3).trees()
    assert fit(recipe, ROWS, LABELS, seed=3).trees() != fit(recipe, ROWS, LABELS, seed=4).trees()
