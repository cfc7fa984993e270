"""`meshlens classify evaluate`: a model against labelled captures."""

import click

from meshlens.classify.dataset import Table, read_dataset
from meshlens.classify.evaluation import Evaluation, evaluate
from meshlens.classify.shipped import find_model
from meshlens.classify.tasks import task
from meshlens.cli.classify_model import model_argument
from meshlens.cli.classify_options import data_option, label_option, plain_option, say_skipped, task_option
from meshlens.cli.command import Command, option
from meshlens.cli.options import json_option
from meshlens.cli.progress import counted
from meshlens.errors import UsageError

__all__ = ["command"]

EXAMPLES = """
A model with captures that were made later:
  meshlens classify evaluate models.json --task wifi-station --data newer --label model

What it said of each, as a table:
  meshlens classify evaluate models.json --task wifi-station --data newer --label model
    --predictions said.csv
"""

_PREDICTIONS = ("row", "file", "name", "truth", "verdict", "confidence", "votes")


@click.command("evaluate", cls=Command, examples=EXAMPLES)
@model_argument()
@task_option
@data_option
@label_option
@option("--predictions", type=click.Path(dir_okay=False), metavar="FILE.csv", section="Output",
        help="Write truth and verdict of each sample (.csv or .parquet); 'row' counts the label file's rows "
        "from 0.")  # fmt: skip
@option("--confusion", type=click.Path(dir_okay=False), metavar="FILE.png", section="Output",
        help="Draw the confusion matrix (needs matplotlib).")  # fmt: skip
@plain_option
@json_option
def command(
    model_name: str,
    task_name: str,
    directory: str,
    label: str,
    predictions: str | None,
    confusion: str | None,
    plain_addresses: bool,
    as_json: bool,
) -> None:
    """Test a MODEL, a file or the name of one that comes with meshlens, with captures it has never seen.

    Samples of labels that the model does not know are counted as unknown: how well votes tell them from the
    others (AUROC), and how many were given a name. All other figures are of the labels that it knows; calling
    one of those unknown is an error. Needs nothing beside meshlens.
    """
    from meshlens.outputs.classify import confusion_lines, evaluation_lines, figures_json
    from meshlens.outputs.confusion import draw_confusion, plotting
    from meshlens.outputs.fingerprints import write_table

    if confusion:
        plotting()
    model = find_model(model_name)
    if model.task != task_name:
        raise UsageError(f"{model_name}: a model of task {model.task}, not of {task_name}")
    chosen = task(task_name)
    places = chosen.positions(model.features)
    with counted("reading captures") as progress:
        dataset = read_dataset(chosen, directory, progress=progress, demand=[label])
    say_skipped(dataset)
    table = dataset.table(label)
    result = evaluate(model, table, [[row[place] for place in places] for row in table.rows])
    figures = result.figures(dataset.without_sample(label))
    if result.truth and not result.known.classes:
        click.echo(
            f"meshlens: no value of column {label!r} is a class of {model_name}: "
            f"it learnt column {model.label!r}",
            err=True,
        )
    if predictions:
        write_table(predictions, _PREDICTIONS, _predictions(table, result, plain=plain_addresses))
    if as_json:
        click.echo(figures_json(figures))
    else:
        for line in evaluation_lines(figures, result.known):
            click.echo(line)
        for line in confusion_lines(result.truth, result.named):
            click.echo(line)
    if confusion:
        draw_confusion(confusion, result.truth, result.named, f"{task_name}, {label}")


def _predictions(table: Table, result: Evaluation, *, plain: bool) -> list[list[object]]:
    """A row for each sample; see _PREDICTIONS."""
    from meshlens.outputs.fingerprints import Names

    names = Names(plain=plain)
    return [
        [
            row["row"],
            row["file"],
            names(sample.name),
            truth,
            named,
            round(verdict.confidence, 4),
            verdict.votes,
        ]
        for row, sample, truth, named, verdict in zip(
            table.listed, table.samples, result.truth, result.named, result.verdicts, strict=True
        )
    ]
