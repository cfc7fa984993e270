"""From labelled captures to a model and its test, as typed."""

import csv
import json
import sys
from pathlib import Path

import pytest

from meshlens.classify import tasks
from meshlens.classify.model import read_model
from meshlens.cli.main import run
from tests.unit.classify.made_up import FEATURES, write_folder, write_labels

KINDS = [("lamp", 100), ("plug", 300), ("camera", 900)]
TASK = "ethernet-station"
FIGURES = [
    "samples", "classes", "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "accuracy",
    "unknown_samples", "unknown_auroc", "unknown_named", "skipped",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _made_up_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.TASKS, TASK, "tests.unit.classify.made_up")
    tasks.task.cache_clear()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data", KINDS)


def classify(*words: str | Path) -> int:
    return run(["classify", *map(str, words)])


def train(data: Path, model: Path, *more: str) -> int:
    pytest.importorskip("sklearn")
    return classify(
        "train", "--task", TASK, "--data", data, "--label", "kind", "--group", "unit", "-o", model, *more
    )


def hand_made_model(path: Path) -> Path:
    """A model that needs no training: the mean size of frames, up to 200 bytes or above."""
    plain = {
        "format": 1, "task": TASK, "label": "kind", "classes": ["lamp", "plug"], "features": ["mean_size"],
        "trees": [[[0, 200, 1, 2], [[0, 65536]], [[1, 60000]]]], "least_votes": 100, "calibration": [],
        "about": {},
    }  # fmt: skip
    path.write_text(json.dumps(plain))
    return path


def test_a_trained_model_names_devices_that_it_never_saw(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, newer = tmp_path / "m.json", write_folder(tmp_path / "newer", [*KINDS, ("kettle", 1400)], seed=9)
    assert train(data, model) == 0
    said = capsys.readouterr().out
    assert "tested by cross-validation in 5 folds, split by unit" in said
    assert "leaky, for comparison" in said
    words = ("evaluate", model, "--task", TASK, "--data", newer, "--label", "kind")
    assert classify(*words, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == FIGURES
    assert figures["samples"] == 36
    assert figures["classes"] == 3
    assert figures["unknown_samples"] == 9
    assert figures["skipped"] == 0
    assert figures["f1_macro"] > 0.9
    assert classify(*words) == 0
    assert "9 of unknown classes" in capsys.readouterr().out


def test_the_model_file_says_what_it_was_made_of_and_how_good_it_was(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "m.json", "--no-oui", "--json") == 0
    model = read_model(tmp_path / "m.json")
    assert model.features == ("mean_size", "largest", "frames")
    assert model.task == TASK
    assert model.about["group"] == "unit"
    assert model.about["without"] == ["oui"]
    assert len(model.about["data"]) == 64
    assert model.about["metrics"]["f1_macro"] > 0.9
    assert "licence" in model.about


def test_training_prints_one_json_object_when_asked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "m.json", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["metrics"]["f1_macro"] > 0.9
    assert said["tried"][0]["recipe"] == said["recipe"]


def test_a_picture_of_the_confusions_is_drawn_on_request(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert train(data, tmp_path / "m.json", "--confusion", str(tmp_path / "m.png")) == 0
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_hold_each_sample_with_its_row_and_no_address(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hand_made_model(tmp_path / "m.json")
    words = ("evaluate", model, "--task", TASK, "--data", data, "--label", "kind", "--predictions")
    assert classify(*words, tmp_path / "p.csv") == 0
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [str(number) for number in range(27)]
    assert {(row["truth"], row["verdict"]) for row in rows} == {
        ("lamp", "lamp"), ("plug", "plug"), ("camera", "plug"),
    }  # fmt: skip
    assert "02:00:" not in (tmp_path / "p.csv").read_text()
    assert len({row["name"] for row in rows}) == 9  # the same station, the same hash
    assert classify(*words, tmp_path / "plain.csv", "--plain-addresses") == 0
    assert "02:00:01:00:00:02" in (tmp_path / "plain.csv").read_text()


def test_hashes_of_two_tables_do_not_meet(data: Path, tmp_path: Path) -> None:
    names = []
    for path in (tmp_path / "a.csv", tmp_path / "b.csv"):
        assert classify("features", "--task", TASK, data, "-o", path) == 0
        with path.open() as file:
            names.append({row["name"] for row in csv.DictReader(file)})
    assert len(names[0]) == 10
    assert not names[0] & names[1]


def test_evaluation_works_without_scikit_learn_and_training_says_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in {"sklearn", "numpy"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "numpy", None)
    model = hand_made_model(tmp_path / "m.json")
    words = ("evaluate", model, "--task", TASK, "--data", data, "--label", "kind", "--json")
    assert classify(*words) == 0
    assert json.loads(capsys.readouterr().out)["unknown_samples"] == 9
    training = ("train", "--task", TASK, "--data", data, "--label", "kind", "-o", tmp_path / "n.json")
    assert classify(*training) == 2
    assert capsys.readouterr().err == "meshlens: training needs scikit-learn: pip install 'meshlens[ml]'\n"


def test_what_cannot_be_read_is_named_and_counted_not_fatal(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "empty.pcap").touch()
    write_labels(data, [{"file": file, "kind": "lamp"} for file in ("lamp-0-0.pcap", "empty.pcap", "x.pcap")])
    model = hand_made_model(tmp_path / "m.json")
    assert classify("evaluate", model, "--task", TASK, "--data", data, "--label", "kind", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["skipped"] == 2
    assert "x.pcap: skipped: no such file" in captured.err
    assert "empty.pcap" in captured.err


def test_data_without_any_usable_sample_gives_figures_of_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labels(data, [{"file": "gone.pcap", "kind": "lamp"}])
    model = hand_made_model(tmp_path / "m.json")
    assert classify("evaluate", model, "--task", TASK, "--data", data, "--label", "kind", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["samples"], figures["skipped"], figures["unknown_auroc"]) == (0, 1, None)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--label", "model"], "no column 'model'; there are file, kind, unit, device_mac"),
        (["--label", "kind", "--group", "x"], "no column 'x'"),
        (["--label", "kind", "--without", "x"], "no feature is of group 'x'; there are counts, oui, sizes"),
    ],
)
def test_a_name_that_is_not_there_is_refused_in_one_line(
    words: list[str], line: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    model = tmp_path / "m.json"
    assert classify("train", "--task", TASK, "--data", data, "-o", model, *words) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not model.exists()


def test_what_predictions_say_comes_to_the_figures_of_the_json(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    model, table = hand_made_model(tmp_path / "m.json"), tmp_path / "p.csv"
    words = ("--task", TASK, "--data", data, "--label", "kind", "--predictions", table, "--json")
    assert classify("evaluate", model, *words) == 0
    figures = json.loads(capsys.readouterr().out)
    with table.open() as said, (data / "labels.csv").open() as labels:
        rows, listed = list(csv.DictReader(said)), list(csv.DictReader(labels))
    assert [row["file"] for row in rows] == [listed[int(row["row"])]["file"] for row in rows]
    known = [row for row in rows if row["truth"] in {"lamp", "plug"}]
    truth, verdicts = [row["truth"] for row in known], [row["verdict"] for row in known]
    f1 = metrics.f1_score(truth, verdicts, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert figures["f1_macro"] == pytest.approx(f1, abs=1e-4)
    strange = [row["verdict"] != "unknown" for row in rows if row not in known]
    assert (figures["unknown_samples"], figures["unknown_named"]) == (len(strange), sum(strange))


def test_rows_without_a_label_are_not_counted_as_skipped(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [("lamp-0-0.pcap", "lamp"), ("gone.pcap", ""), ("too-long" * 100, "lamp")]
    write_labels(data, [{"file": file, "kind": kind} for file, kind in files])
    model = hand_made_model(tmp_path / "m.json")
    assert classify("evaluate", model, "--task", TASK, "--data", data, "--label", "kind", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["samples"], figures["skipped"]) == (1, 1)


def test_a_column_that_the_model_has_not_learnt_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hand_made_model(tmp_path / "m.json")
    assert classify("evaluate", model, "--task", TASK, "--data", data, "--label", "unit", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["classes"] == 0
    assert "no value of column 'unit' is a class of" in captured.err
    assert "it learnt column 'kind'" in captured.err


def test_a_model_goes_to_standard_output_alone(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(data, Path("-")) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["label"] == "kind"
    assert "F1 macro" in captured.err
    assert not Path("-").exists()


def test_a_model_that_has_nowhere_to_go_is_refused_before_any_capture_is_read(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "labels.csv").write_text("nonsense")
    assert train(data, tmp_path / "none" / "m.json") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_model_of_another_task_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = hand_made_model(tmp_path / "m.json")
    assert classify("evaluate", model, "--task", "flow", "--data", data, "--label", "kind") == 2
    assert "a model of task ethernet-station, not of flow" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.json").write_text("{}")
    words = ("evaluate", tmp_path / "m.json", "--task", TASK, "--data", data, "--label", "kind")
    assert classify(*words) == 2
    assert "m.json: not a model of meshlens" in capsys.readouterr().err


def test_features_are_a_table_of_whole_numbers(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify("features", "--task", TASK, data / "lamp-0-0.pcap", "--plain-addresses") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["file", "name", "first_ns", *(feature.name for feature in FEATURES)]
    assert [(row["name"], row["frames"]) for row in rows] == [
        ("02:ff:00:00:00:01", "1"),
        ("02:00:00:00:00:00", "20"),
    ]


def test_features_of_a_folder_are_written_as_parquet(data: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert classify("features", "--task", TASK, data, "-o", tmp_path / "f.parquet") == 0
    table = parquet.read_table(tmp_path / "f.parquet")
    assert table.num_rows == 54
    assert str(table.schema.field("mean_size").type) == "int64"


def test_a_table_of_another_kind_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify("features", "--task", TASK, data, "-o", tmp_path / "f.xlsx") == 2
    assert "a table ends with .parquet or .csv, not with '.xlsx'" in capsys.readouterr().err
