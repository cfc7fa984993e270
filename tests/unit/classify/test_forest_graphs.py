"""Trees as decision graphs: the same sums for every row, with fewer tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.classify.kernel.forest import forest_graphs
from meshlens.classify.model import ONE, Leaf, Model, Split, Tree
from meshlens.decision.graph import Switch, Votes, topological
from meshlens.decision.interpret import weights_for
from meshlens.errors import UsageError
from tests.kernel.classify.made import any_size, made_model, small

A, B = Leaf(((0, ONE),)), Leaf(((1, ONE),))


def model(*trees: Tree, features: int = 2) -> Model:
    names = tuple(f"feature {number}" for number in range(features))
    return Model("made", "label", ("a", "b"), names, trees)


def sums(of: Model, row: tuple[int, ...]) -> list[int]:
    found = [0] * len(of.classes)
    for root in forest_graphs(of, range(len(of.features))):
        for label, weight in weights_for(root, row):
            found[label] += weight
    return found


@given(st.integers(0, 1 << 32), st.sampled_from([small, any_size]), st.data())
def test_a_graph_adds_what_its_tree_adds(seed: int, value: object, data: st.DataObject) -> None:
    made = made_model(seed, 3, 25, 3, 4, value)  # type: ignore[arg-type]
    tested = sorted({node.most for tree in made.trees for node in tree if isinstance(node, Split)})
    near = st.sampled_from([edge + step for edge in tested for step in (0, 1)])
    row = data.draw(st.tuples(*[near | st.integers(0, (1 << 32) - 1)] * 3))
    assert sums(made, row) == made.votes(row)


def test_tests_of_one_feature_below_one_another_become_one() -> None:
    (root,) = forest_graphs(model((Split(0, 9, 1, 2), Split(0, 4, 3, 4), A, A, B)), (0, 1))
    assert isinstance(root, Switch)
    assert root.bounds == (5, 10)
    assert all(isinstance(target, Votes) for target in root.targets)
    assert root.targets[0] is root.targets[2]


def test_a_test_that_is_decided_already_is_left_out_also_behind_another_one() -> None:
    tree = (Split(0, 9, 1, 2), Split(1, 3, 3, 4), A, Split(0, 20, 5, 6), B, A, B)
    (root,) = forest_graphs(model(tree), (0, 1))
    assert isinstance(root, Switch)
    assert len(topological(root)) == 4  # two tests, two leaves


def test_a_test_whose_sides_are_equal_is_none() -> None:
    (root,) = forest_graphs(model((Split(0, 9, 1, 2), A, A)), (0, 1))
    assert isinstance(root, Votes)


@pytest.mark.parametrize("most", [-1, (1 << 32) - 1, 1 << 40])
def test_a_test_that_no_value_passes_or_every_one_does_is_none(most: int) -> None:
    (root,) = forest_graphs(model((Split(0, most, 1, 2), A, B)), (0, 1))
    assert root is forest_graphs(model((B if most < 0 else A,)), (0, 1))[0]


def test_what_leads_back_is_no_tree() -> None:
    with pytest.raises(UsageError, match="tree 1 of the model is no tree: node 0 leads to node 0"):
        forest_graphs(model((A,), (Split(0, 1, 0, 1), A)), (0, 1))
