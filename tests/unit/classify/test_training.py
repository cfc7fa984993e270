import pytest

from meshlens.classify.calibration import calibrate, least_votes
from meshlens.classify.crossval import Judged, OutOfFold, cross_validate, judge, learn, open_set
from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.evaluation import evaluate
from meshlens.classify.familiarity import Weighing, watch
from meshlens.classify.forest import Recipe
from meshlens.classify.metrics import UNKNOWN
from meshlens.classify.model import Model
from meshlens.classify.splits import random_folds
from meshlens.classify.training import train
from meshlens.errors import UsageError
from tests.unit.classify.made_up import TASK, write_folder

pytest.importorskip("sklearn")

KINDS = [("lamp", 100), ("plug", 300), ("camera", 900), ("speaker", 1300)]
FOREST = Recipe("extra-trees", 8)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_dataset(TASK, write_folder(tmp_path_factory.mktemp("data"), KINDS)).table("kind", "unit")


def test_what_can_be_told_by_the_size_of_frames_is(table: Table) -> None:
    training = train(table.without({"oui"}), task="made-up", label="kind", recipes=(FOREST,))
    assert training.tested
    assert training.tested.out_of_fold.report.f1_macro == 1
    assert training.model.classes == ("camera", "lamp", "plug", "speaker")
    assert training.model.features == ("mean_size", "largest", "frames")


def test_what_only_tells_the_unit_is_worth_nothing_once_units_are_kept_apart(table: Table) -> None:
    """Of a label that changes with the unit, only a leaky split can learn anything."""
    blind = table.without({"sizes", "counts"})
    leaky = cross_validate(blind, FOREST, folds=random_folds(blind.labels)).report.f1_macro
    assert leaky == 1  # the address tells the label here, whichever unit it is

    by_unit = Table(
        blind.features,
        tuple((1000 + int(group[-1]) + 10 * number,) for number, group in enumerate_groups(blind)),
        tuple(f"{int(group[-1])}" for group in blind.groups),
        blind.groups,
        blind.samples,
        blind.listed,
    )
    assert cross_validate(by_unit, FOREST, folds=random_folds(by_unit.labels)).report.f1_macro > 0.9
    assert cross_validate(by_unit, FOREST).report.f1_macro < 0.7


def enumerate_groups(table: Table) -> list[tuple[int, str]]:
    numbers = {group: number for number, group in enumerate(sorted(set(table.groups)))}
    return [(numbers[group], group) for group in table.groups]


def test_labels_of_one_group_are_learnt_but_not_tested(table: Table) -> None:
    one = {"camera 1", "camera 2"}
    few = table.only([place for place, group in enumerate(table.groups) if group not in one])
    training = train(few, task="made-up", label="kind", recipes=(FOREST,))
    assert "camera" in training.model.classes
    assert training.tested
    assert "camera" not in training.tested.out_of_fold.report.classes


def test_without_groups_to_compare_a_model_is_made_and_says_that_it_is_not_tested(table: Table) -> None:
    first = table.only([place for place, group in enumerate(table.groups) if group.endswith("0")])
    training = train(first, task="made-up", label="kind", recipes=(FOREST,))
    assert training.tested is None
    assert training.model.about["metrics"] == {}


def test_a_single_label_is_refused(table: Table) -> None:
    lamps = table.only([place for place, label in enumerate(table.labels) if label == "lamp"])
    with pytest.raises(UsageError, match=r"two labels or more; column 'kind' gives 1"):
        train(lamps, task="made-up", label="kind")


def test_the_same_data_and_seed_give_the_same_file(table: Table) -> None:
    texts = {train(table, task="made-up", label="kind", recipes=(FOREST,)).model.to_json() for _ in range(2)}
    assert len(texts) == 1


def test_a_models_file_gives_the_same_verdicts(table: Table) -> None:
    model = train(table, task="made-up", label="kind", recipes=(FOREST,)).model
    again = Model.from_json(model.to_json(), "file")
    assert again == model
    assert [again.classify(row) for row in table.rows] == [model.classify(row) for row in table.rows]


def test_labels_that_were_kept_back_are_never_among_the_known(table: Table) -> None:
    seen = open_set(table, FOREST)["importance"]
    assert len(seen.unknown) == len(table)
    assert 0 < len(seen.known) < len(table)
    assert seen.auroc is not None


def test_of_a_label_the_model_does_not_have_rows_count_as_unknown_only(table: Table) -> None:
    lamps = [place for place, label in enumerate(table.labels) if label == "lamp"]
    others = [place for place, label in enumerate(table.labels) if label != "lamp"]
    model = train(table.only(others), task="made-up", label="kind", recipes=(FOREST,)).model
    result = evaluate(model, table, table.rows)
    assert result.unknown_samples == len(lamps)
    assert result.unknown_named == sum(result.named[place] != UNKNOWN for place in lamps)
    assert result.known.rows == len(others)
    assert set(result.known.classes) == set(model.classes)


def test_calibrated_confidence_rises_with_votes_and_is_what_came_true() -> None:
    judged = [Judged("x", votes) for votes in range(1000)]
    right = [votes % 10 < votes // 100 for votes in range(1000)]  # 0 % at the low end, 90 % at the high
    model = Model("made-up", "kind", ("a", "b"), (), (), 0, calibrate(judged, right))
    assert [votes for votes, _ in model.calibration] == sorted({votes for votes, _ in model.calibration})
    shares = [model.confidence(votes) for votes in range(0, 1200, 10)]
    assert shares == sorted(shares)
    assert all(0 < share < 1 for share in shares)
    for votes in range(50, 1000, 100):
        assert model.confidence(votes) == pytest.approx(votes // 100 / 10, abs=0.08)


def test_the_threshold_costs_no_more_right_verdicts_than_was_said() -> None:
    judged = tuple(Judged("x", votes) for votes in range(100))
    seen = OutOfFold(("x",) * 100, tuple(map(str, range(100))), judged, 1)
    assert sum(one.votes < least_votes(seen, 0.05) for one in judged) == 5
    assert least_votes(OutOfFold((), (), (), 0)) == 0


def test_a_group_of_many_rows_does_not_set_the_threshold_for_the_others() -> None:
    """A scan of a thousand flows that all get full votes would make 30 of other groups unknown."""
    judged = (*(Judged("x", 1000) for _ in range(1000)), *(Judged("x", votes) for votes in range(900, 930)))
    seen = OutOfFold(("x",) * 1030, (*["scan"] * 1000, *map(str, range(30))), judged, 1)
    assert sum(one.votes < least_votes(seen, 0.1) for one in judged) == 3


def test_wrong_verdicts_do_not_set_the_threshold() -> None:
    judged = tuple(Judged("x" if votes >= 50 else "y", votes) for votes in range(100))
    seen = OutOfFold(("x",) * 100, tuple(map(str, range(100))), judged, 1)
    assert least_votes(seen, 0) == 50


def test_the_threshold_is_learnt_with_all_labels_also_those_of_a_single_group(table: Table) -> None:
    one = {"camera 1", "camera 2"}
    few = table.only([place for place, group in enumerate(table.groups) if group not in one])
    tested = train(few, task="made-up", label="kind", recipes=(FOREST,)).tested
    assert tested
    assert len(tested.among_all.judged) == len(few) > len(tested.out_of_fold.judged)


@pytest.mark.parametrize("weighing", [None, "importance", "reliability"])
def test_votes_with_what_is_watched_are_the_models_for_every_row(
    table: Table, weighing: Weighing | None
) -> None:
    forest = learn(table, FOREST)
    watched = watch(forest, table, weighing)
    gains = tuple(zip(watched.features, watched.gains, strict=True)) if watched else ()
    bounds = watched.bounds if watched else ()
    model = Model(
        "made-up",
        "kind",
        forest.classes,
        ("a", "b", "c", "d"),
        forest.trees(),
        gains=gains,
        bounds=bounds,
    )
    rows = [*table.rows, (0, 0, 0, 0), (1000, 1000, 1000, 1000)]
    for one, row in zip(judge(forest, rows, watched), rows, strict=True):
        verdict = model.classify(row)
        assert verdict.label is not None
        assert (model.classes[verdict.label], verdict.votes) == one
        assert 0 < verdict.votes <= model.most_votes


def test_a_row_like_none_of_its_class_gets_fewer_votes_than_one_that_is(table: Table) -> None:
    model = train(table.without({"oui"}), task="made-up", label="kind", recipes=(FOREST,)).model
    like = next(row for row, label in zip(table.rows, table.labels, strict=True) if label == "speaker")
    strange = (5000, 5000, 21)
    assert model.classify(like).label == model.votes(strange).index(max(model.votes(strange)))
    assert model.gained(like, model.classes.index("speaker")) > model.gained(
        strange, model.classes.index("speaker")
    )
