"""What `make evaluate` does with data, and without."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import evaluate
from bench.classify_figures import QUESTIONS, Question
from meshlens.classify import tasks
from tests.unit.classify.made_up import write_folder

KINDS = [("lamp", 100), ("plug", 300), ("camera", 900)]
QUESTION = Question("made up", "ethernet-station", "made-up", "kind", "unit", 0.5, 0.9)


@pytest.fixture(autouse=True)
def _made_up_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(tasks.TASKS, "ethernet-station", "tests.unit.classify.made_up")
    tasks.task.cache_clear()
    evaluate.dataset.cache_clear()
    monkeypatch.setattr(evaluate, "DATA", tmp_path)


def test_data_that_is_not_there_is_skipped_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "QUESTIONS", (QUESTION,))
    done = CliRunner().invoke(evaluate.main, [])
    assert done.exit_code == 0
    assert "made up: not measured" in done.output
    assert "no labels.csv" in " ".join(done.output.split())


@pytest.mark.parametrize("way", ["grouped", "unknown", "later"])
def test_a_figure_is_measured_beside_its_baseline(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    write_folder(tmp_path / "made-up", KINDS)
    question = replace(QUESTION, ways=way, earlier=lambda row: not row["unit"].endswith("2"))  # type: ignore[arg-type]
    monkeypatch.setattr(evaluate, "QUESTIONS", (question,))
    done = CliRunner().invoke(evaluate.main, ["--json", "--quick"])
    assert done.exit_code == 0, done.output
    figure = json.loads(done.stdout.splitlines()[0])
    assert (figure["baseline"], figure["reach"], figure["way"]) == (0.5, 0.9, way)
    assert 0 < figure["measured"] <= 1
    assert (figure["leaky"] is None) == (way != "grouped")


def test_each_figure_that_was_to_be_reached_has_a_question_of_its_own() -> None:
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    to_be_reached = {(question.baseline, question.reach) for question in QUESTIONS} - {(None, None)}
    assert len(to_be_reached) == 8
