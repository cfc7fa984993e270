"""`make evaluate`: how well models name what they have not seen, each figure beside what it should reach.

    python -m bench.evaluate [--quick] [--json] [TASK ...]

Data that is not there is skipped, and said so. MESHLENS_TEST_DATA names its folder.
"""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Grid

from bench.classify_figures import QUESTIONS, Question
from bench.inputs import DATA
from meshlens.classify.crossval import cross_validate, judge, open_set
from meshlens.classify.dataset import Dataset, Table, read_dataset
from meshlens.classify.forest import Recipe, fit
from meshlens.classify.metrics import report
from meshlens.classify.selection import select
from meshlens.classify.splits import random_folds
from meshlens.classify.tasks import TASKS, task
from meshlens.errors import MeshlensError

#: Splits that are measured have seeds of their own: recipes are chosen with smaller ones.
_FIRST_SEED = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """The figure (mean over differently divided turns), its spread, and what it was measured with.

    `leaky` is the same with a random split, for comparison; None where that has no meaning.
    """

    value: float
    spread: float
    leaky: float | None
    rows: int
    labels: int
    recipe: str


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice(list(TASKS)), metavar="[TASK]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a figure, a line each.")
@click.option("--quick", is_flag=True, help="One turn: figures that are less sure, sooner.")
def main(tasks: tuple[str, ...], as_json: bool, quick: bool) -> None:
    """Measure what docs/classify-methods.md says of models."""
    console = Console(stderr=as_json)
    grid = Grid(title="models, on what they have not seen", title_justify="left", title_style="bold")
    for column in ("figure", "baseline", "reach", "measured", "leaky", "rows", "labels", "recipe"):
        grid.add_column(column)
    missing = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        asked = [one for one in QUESTIONS if not tasks or one.task in tasks]
        bar = progress.add_task("", total=len(asked))
        for question in asked:
            progress.update(bar, description=question.name)
            try:
                answer = measure(question, turns=1 if quick else 3)
            except MeshlensError as error:
                missing.append(f"{question.name}: not measured: {error}")
            else:
                if as_json:
                    click.echo(_line(question, answer))
                grid.add_row(*_cells(question, answer))
            progress.advance(bar)
    console.print(grid)
    for line in missing:
        console.print(line, style="yellow", highlight=False)


def measure(question: Question, turns: int) -> Answer:
    """Answer a question. Raises MeshlensError if its data or scikit-learn is missing."""
    table = dataset(question.task, question.data).table(question.label, question.group)
    table = table.without(question.without).varying()
    if question.ways == "later":
        return _later(question, turns)
    tested = _common(table, question.groups, question.rows)
    recipe = select(tested)[0].recipe
    seeds = range(_FIRST_SEED, _FIRST_SEED + turns)
    if question.ways == "unknown":
        answers = open_set(table, recipe)
        weighing = max(answers, key=lambda one: answers[one].auroc or 0)
        areas = [
            open_set(table, recipe, weighings=[weighing], seed=seed)[weighing].auroc or 0.0 for seed in seeds
        ]
        return _answer(areas, None, table, recipe)
    scores = [cross_validate(tested, recipe, seed=seed).report.f1_macro for seed in seeds]
    at_random = random_folds(tested.labels, seed=_FIRST_SEED)
    leaky = cross_validate(tested, recipe, folds=at_random, seed=_FIRST_SEED).report.f1_macro
    return _answer(scores, leaky, tested, recipe)


def _later(question: Question, turns: int) -> Answer:
    """Learn from the rows for which `earlier` holds, test with the others whose label was learnt."""
    data = dataset(question.task, question.data)

    def part(where: Callable[..., bool]) -> Table:
        return data.table(question.label, question.group, where=where).without(question.without)

    learn, test = part(question.earlier), part(lambda row: not question.earlier(row))
    learnt = set(learn.labels)
    test = test.only([place for place, label in enumerate(test.labels) if label in learnt])
    recipe = select(learn.repeated())[0].recipe
    scores = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + turns):
        forest = fit(recipe, learn.rows, learn.labels, seed=seed)
        named = [one.name for one in judge(forest, test.rows)]
        scores.append(report(test.labels, named).f1_macro)
    return _answer(scores, None, test, recipe)


def _common(table: Table, groups: int, rows: int) -> Table:
    """The rows whose label comes in so many groups and rows."""
    repeated = table.repeated(groups)
    counts = Counter(repeated.labels)
    return repeated.only([place for place, label in enumerate(repeated.labels) if counts[label] >= rows])


def _answer(scores: list[float], leaky: float | None, table: Table, recipe: Recipe) -> Answer:
    return Answer(
        statistics.fmean(scores),
        statistics.pstdev(scores),
        leaky,
        len(table),
        len(set(table.labels)),
        str(recipe),
    )


@cache
def dataset(task_name: str, folder: str) -> Dataset:
    """The data of a question, read once. Raises MeshlensError if it is not there."""
    return read_dataset(task(task_name), DATA / folder)


def _cells(question: Question, answer: Answer) -> Iterator[str]:
    reached = question.reach is None or answer.value >= question.reach
    measured = f"{answer.value:.3f} ± {answer.spread:.3f}"
    yield question.name
    yield "" if question.baseline is None else f"{question.baseline:.3f}"
    yield "" if question.reach is None else f"{question.reach:.3f}"
    yield measured if question.reach is None else f"[{'green' if reached else 'bold red'}]{measured}[/]"
    yield "" if answer.leaky is None else f"{answer.leaky:.3f}"
    yield str(answer.rows)
    yield str(answer.labels)
    yield answer.recipe


def _line(question: Question, answer: Answer) -> str:
    figure = {
        "figure": question.name,
        "way": question.ways,
        "baseline": question.baseline,
        "reach": question.reach,
        "measured": round(answer.value, 4),
        "spread": round(answer.spread, 4),
        "leaky": None if answer.leaky is None else round(answer.leaky, 4),
        "rows": answer.rows,
        "labels": answer.labels,
        "recipe": answer.recipe,
    }
    return json.dumps(figure)


if __name__ == "__main__":
    main(prog_name="bench.evaluate")
