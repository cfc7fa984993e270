"""A model's file comes from anybody: what is wrong in it is said, and nothing goes astray."""

import json

import pytest

from meshlens.classify.model import ONE, Leaf, Model, Split
from meshlens.errors import UsageError

MODEL = Model(
    "flow", "proto", ("a", "b"), ("x",), ((Split(0, 3, 1, 2), Leaf(((0, ONE),)), Leaf(((1, ONE),))),)
)


def test_a_model_comes_back_from_its_text() -> None:
    assert Model.from_json(MODEL.to_json(), "m.json") == MODEL


@pytest.mark.parametrize(
    ("tree", "what"),
    [
        ([[0, 3, 0, 2], [[0, ONE]], [[1, ONE]]], "tree 0, node 0 names what is not there: [0, 3, 0, 2]"),
        ([[0, 3, 1, 3], [[0, ONE]], [[1, ONE]]], "node 0 names what is not there"),
        ([[1, 3, 1, 2], [[0, ONE]], [[1, ONE]]], "node 0 names what is not there"),
        ([[0, 3, 1, 2], [[2, ONE]], [[1, ONE]]], "node 1 names what is not there"),
        ([[0, 3, 1, 2], [[0, ONE]], [0, 1, 1, 2]], "node 2 names what is not there"),
        ([], "tree 0 is empty"),
    ],
)
def test_a_tree_in_which_a_row_would_go_astray_is_refused(tree: object, what: str) -> None:
    plain = json.loads(MODEL.to_json()) | {"trees": [tree]}
    with pytest.raises(UsageError) as caught:
        Model.from_json(json.dumps(plain), "m.json")
    assert str(caught.value).startswith("m.json: not a model of meshlens (")
    assert what in str(caught.value)


@pytest.mark.parametrize("gains", [[[0, 5]], [[0, 5], [0, 6]]])
def test_gains_without_bounds_for_each_class_are_refused(gains: object) -> None:
    plain = json.loads(MODEL.to_json()) | {"gains": gains, "bounds": [[[0, 1]]]}
    with pytest.raises(UsageError, match="not as many bounds"):
        Model.from_json(json.dumps(plain), "m.json")
