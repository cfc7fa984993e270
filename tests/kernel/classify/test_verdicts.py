"""The kernel's verdict is the model's, and scikit-learn's."""

from collections.abc import Callable, Sequence

import pytest

from meshlens.classify.kernel.entry import UNKNOWN, Head
from meshlens.classify.kernel.forest import forest_graphs
from meshlens.classify.kernel.load import load_model
from meshlens.classify.model import ONE, Leaf, Model, Split
from meshlens.ebpf import BpfError, ProgramSpec
from meshlens.errors import UsageError
from tests.kernel.classify.made import Value, any_size, made_model, made_rows, small, watching
from tests.kernel.classify.toy import put_row, run, toy_program

pytestmark = pytest.mark.kernel


def check(model: Model, rows: Sequence[tuple[int, ...]]) -> list[Head]:
    """Every row has the same class and votes in the kernel and in Model; the heads."""
    heads, places = [], range(len(model.features))
    with toy_program(len(places)).load() as program, load_model(model, places, program.maps):
        for row in rows:
            put_row(program, row)
            head, verdict = run(program), model.classify(row)
            assert (head.class_index, head.votes) == (verdict.label, verdict.votes), row
            assert (head.label == UNKNOWN) == (verdict.label is None)
            assert head.runs == 1
            heads.append(head)
    return heads


@pytest.mark.parametrize(
    ("trees", "splits", "features", "classes", "value"),
    [
        (1, 0, 1, 1, small),
        (1, 40, 1, 3, small),
        (2, 5, 2, 2, small),
        (4, 30, 3, 4, small),
        (7, 60, 8, 5, any_size),
        (16, 160, 40, 171, any_size),
        (5, 20, 300, 1022, small),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_verdict_in_the_kernel_is_the_models(
    seed: int, trees: int, splits: int, features: int, classes: int, value: Value
) -> None:
    model = made_model(seed, trees, splits, features, classes, value)
    check(model, made_rows(seed + 100, 60, features, value))


@pytest.mark.parametrize(
    ("features", "classes", "most", "value"),
    [(1, 1, 1, small), (3, 4, 2, small), (40, 171, 32, any_size), (12, 1022, 8, small)],
)
@pytest.mark.parametrize("seed", range(3))
def test_what_watched_features_add_in_the_kernel_is_what_they_add_in_the_model(
    seed: int, features: int, classes: int, most: int, value: Value
) -> None:
    model = watching(made_model(seed, 6, 30, features, classes, value, 8 * ONE), seed + 50, most, value)
    rows = made_rows(seed + 100, 60, features, value)
    heads = check(model, rows)
    if most > 1:
        gained = {head.votes - max(model.votes(row)) for head, row in zip(heads, rows, strict=True)}
        assert len(gained) > 1


def test_the_ends_of_what_a_class_had_are_inside_and_what_is_beyond_is_not() -> None:
    tree = (Split(0, 4, 1, 2), Leaf(((0, ONE),)), Leaf(((1, ONE),)))
    model = Model(
        "made", "label", ("a", "b"), ("x",), (tree,), gains=((0, 7),), bounds=(((2, 3),), ((6, 6),))
    )
    heads = check(model, [(number,) for number in range(9)])
    assert [head.votes - ONE for head in heads] == [0, 0, 7, 7, 0, 0, 7, 0, 0]


def test_gains_that_overflow_are_refused() -> None:
    model = Model(
        "made", "label", ("a",), ("x",), ((Leaf(((0, ONE),)),),), gains=((0, 1 << 31),), bounds=(((0, 1),),)
    )
    with pytest.raises(UsageError, match="sums have to be from 0 to"):
        check(model, [(0,)])


def test_of_equal_sums_the_first_class_wins_whichever_came_first() -> None:
    late = (Leaf(((2, ONE // 2), (3, ONE // 2))),)
    early = (Leaf(((0, ONE // 4), (2, ONE // 2), (3, ONE // 4))),)
    for leaves, winner in (
        (((1, 9), (2, 9)), 1),
        (((2, 9), (1, 9)), 1),
        (((2, 5), (1, 9), (2, 4)), 1),
        (((0, 3), (1, 2), (2, 3), (1, 1)), 0),
    ):
        trees = tuple((Leaf((pair,)),) for pair in leaves)
        (head,) = check(Model("made", "label", ("a", "b", "c"), ("x",), trees), [(0,)])
        assert head.class_index == winner
    (head,) = check(Model("made", "label", ("a", "b", "c", "d"), ("x",), (late, early)), [(0,)])
    assert head.class_index == 2


def test_votes_below_the_least_are_unknown_and_no_others() -> None:
    tree = (Split(0, 4, 1, 2), Leaf(((1, ONE),)), Leaf(((0, ONE // 2), (1, ONE // 2))))
    model = Model("made", "label", ("a", "b"), ("x",), (tree,), least_votes=ONE // 2 + 1)
    known, unknown = check(model, [(4,), (5,)])
    assert (known.class_index, unknown.label) == (1, UNKNOWN)


@pytest.mark.parametrize("least", [ONE, 3 * ONE, 1 << 31, 1 << 40])
def test_any_least_votes_will_do(least: int) -> None:
    model = made_model(5, 4, 10, 3, 3, least=least)
    check(model, made_rows(6, 20, 3))


def test_features_are_read_where_the_task_has_them() -> None:
    tree = (Split(0, 10, 1, 2), Leaf(((0, ONE),)), Leaf(((1, ONE),)))
    model = Model("made", "label", ("low", "high"), ("x",), (tree,))
    with toy_program(3).load() as program, load_model(model, (2,), program.maps):
        for row, expected in (((99, 99, 10), 0), ((0, 0, 11), 1)):
            put_row(program, row)
            assert run(program).class_index == expected


def test_a_model_in_several_programs_gives_the_same_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(self: ProgramSpec, maps: object = None) -> object:
        if self.name == "meshlens_model" and len(self.insns) > 1500:
            raise BpfError("BPF program is too large. Processed 1000001 insn", 7)
        return whole(self, maps)  # type: ignore[arg-type]

    whole = ProgramSpec.load
    monkeypatch.setattr(ProgramSpec, "load", too_large)
    model = made_model(3, 30, 40, 20, 30, any_size)
    rows = made_rows(4, 40, 20, any_size)
    with toy_program(20).load() as program, load_model(model, range(20), program.maps) as loaded:
        assert 5 < len(loaded.programs) <= 32
        assert [tree for stage in loaded.stages for tree in stage.trees] == forest_graphs(model, range(20))
        for row in rows:
            put_row(program, row)
            head, verdict = run(program), model.classify(row)
            assert (head.class_index, head.votes) == (verdict.label, verdict.votes)


@pytest.mark.parametrize(
    ("tree", "what"),
    [
        ((Split(0, 1, 0, 1), Leaf(())), "node 0 leads to node 0"),
        ((Split(0, 1, 1, 1), Leaf(())), "node 0 leads to node 1"),
        ((Split(0, 1, 1, 7), Leaf(())), "node 0 leads to node 7"),
    ],
)
def test_what_is_no_tree_is_refused(tree: tuple[Split | Leaf, ...], what: str) -> None:
    model = Model("made", "label", ("a", "b"), ("x",), (tree,))
    with toy_program(1).load() as program, pytest.raises(UsageError, match=what):
        load_model(model, (0,), program.maps)


@pytest.mark.parametrize("kind", ["RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier"])
def test_a_verdict_in_the_kernel_is_scikit_learns(kind: str) -> None:
    numpy = pytest.importorskip("numpy")
    model, predict, rows = trained(kind, numpy)
    classes = predict(rows)
    heads = check(model, [tuple(map(int, row)) for row in rows])
    assert [head.class_index for head in heads] == [int(each) for each in classes]


def trained(
    kind: str, numpy: "object"
) -> tuple[Model, Callable[[object], Sequence[int]], Sequence[Sequence[int]]]:
    """A scikit-learn model of made-up data, as a Model, and what predicts by it: sums of rounded leaves."""
    np = numpy
    ensemble = pytest.importorskip("sklearn.ensemble")
    trees = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(7)  # type: ignore[attr-defined]
    values = np.concatenate([  # type: ignore[attr-defined]
        rng.integers(0, 4, (400, 4)),  # ties
        rng.integers(0, 1 << 24, (400, 4)),
        np.full((400, 1), 12),  # type: ignore[attr-defined]
    ], axis=1)  # fmt: skip
    labels = (values[:, 0] * 3 + values[:, 5] // (1 << 22) + rng.integers(0, 2, 400)) % 9
    if kind == "DecisionTreeClassifier":
        estimator = trees.DecisionTreeClassifier(random_state=1).fit(values, labels)
        single = [estimator]
    else:
        estimator = getattr(ensemble, kind)(16, random_state=1, max_depth=16).fit(values, labels)
        single = list(estimator.estimators_)
    for each in single:  # distributions in steps of 1/65536, as the trainer has them
        weights = each.tree_.value
        rounded = np.floor(weights * ONE)  # type: ignore[attr-defined]
        rounded[:, 0, 0] += ONE - rounded.sum(axis=2)[:, 0]
        weights[:] = rounded / ONE
    model = Model(
        "made",
        "label",
        tuple(map(str, estimator.classes_)),
        tuple(f"feature {number}" for number in range(values.shape[1])),
        tuple(as_tree(each.tree_) for each in single),
    )
    return model, estimator.predict, values


def as_tree(tree: object) -> tuple[Split | Leaf, ...]:
    """scikit-learn's arrays as nodes."""
    nodes: list[Split | Leaf] = []
    columns = (tree.feature, tree.threshold, tree.children_left, tree.children_right, tree.value)  # type: ignore[attr-defined]
    for feature, threshold, left, right, value in zip(*columns, strict=True):
        if left < 0:
            pairs = enumerate(round(each * ONE) for each in value[0])
            nodes.append(Leaf(tuple((label, weight) for label, weight in pairs if weight)))
        else:
            nodes.append(Split(int(feature), int(threshold // 1), int(left), int(right)))
    return tuple(nodes)
