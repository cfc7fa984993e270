"""Why a model says so: the features of the tests that led to the class."""

from meshlens.classify.model import ONE, Leaf, Model, Split
from meshlens.classify.reasons import reasons

A, B = Leaf(((0, ONE),)), Leaf(((1, ONE),))
MODEL = Model(
    "made",
    "label",
    ("a", "b"),
    ("x", "y", "z"),
    (
        (Split(0, 5, 1, 2), A, Split(1, 5, 3, 4), A, B),
        (Split(0, 5, 1, 2), A, B),
        (Split(2, 5, 1, 2), A, B),
    ),
)


def test_features_that_more_trees_tested_come_first_with_their_values() -> None:
    told = [(each.feature, each.value, each.share) for each in reasons(MODEL, (9, 7, 1), 1)]
    assert told == [("x", 9, 2 / 3), ("y", 7, 1 / 3)]


def test_trees_that_voted_otherwise_are_not_heard() -> None:
    assert [each.feature for each in reasons(MODEL, (9, 7, 1), 0)] == ["z"]


def test_a_loud_leaf_is_heard_louder() -> None:
    quiet = Leaf(((0, 3 * ONE // 4), (1, ONE // 4)))
    model = Model(
        "made", "label", ("a", "b"), ("x", "y"), ((Split(0, 5, 1, 2), A, B), (Split(1, 5, 1, 2), A, quiet))
    )
    told = [(each.feature, each.share) for each in reasons(model, (9, 9), 1)]
    assert told == [("x", 0.8), ("y", 0.2)]


def test_without_tests_there_are_no_reasons() -> None:
    assert reasons(Model("made", "label", ("a",), ("x",), ((A,),)), (1,), 0) == ()
