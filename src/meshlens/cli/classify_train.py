"""`meshlens classify train`: a model from labelled captures."""

from functools import partial
from pathlib import Path

import click

from meshlens.classify.dataset import read_dataset, read_labels
from meshlens.classify.forest import learner
from meshlens.classify.tasks import task
from meshlens.classify.training import train
from meshlens.cli.classify_options import data_option, label_option, say_skipped, task_option
from meshlens.cli.command import Command, option
from meshlens.cli.options import json_option
from meshlens.cli.progress import counted
from meshlens.errors import MeshlensError, UsageError

__all__ = ["command"]

EXAMPLES = """
Types of devices by how they join a Wi-Fi network, tested with units that were not learnt from:
  meshlens classify train --task wifi-station --data captures --label model
    --group unit -o models.json

The same without the vendor's half of the MAC address, which random addresses lack:
  meshlens classify train --task wifi-station --data captures --label model
    --group unit --no-oui -o models.json
"""


@click.command("train", cls=Command, examples=EXAMPLES)
@task_option
@data_option
@label_option
@option("--group", default="", metavar="COLUMN", section="Source",
        help="Rows with the same value in this column never stand on both sides of a split: a unit, a "
        "session, a capture. Default: unit_group, session_group or file, what is there first.")  # fmt: skip
@option("--no-oui", is_flag=True, section="Model", help="Short for --without oui.")
@option("--without", multiple=True, metavar="GROUP", section="Model",
        help="Learn without the features of this group, like ports; can be given several times.")  # fmt: skip
@option("--seed", type=click.IntRange(min=0), default=0, metavar="N", section="Model",
        help="Seed of all chance (default: 0): the same data and seed give the same model.")  # fmt: skip
@option("-o", "--output", required=True, type=click.Path(dir_okay=False, writable=True), metavar="MODEL.json",
        section="Output", help="The model's file: plain JSON; '-' is standard output, "
        "and figures then go to standard error.")  # fmt: skip
@option("--confusion", type=click.Path(dir_okay=False), metavar="FILE.png", section="Output",
        help="Draw the confusion matrix of the test (needs matplotlib).")  # fmt: skip
@json_option
def command(
    task_name: str,
    directory: str,
    label: str,
    group: str,
    no_oui: bool,
    without: tuple[str, ...],
    seed: int,
    output: str,
    confusion: str | None,
    as_json: bool,
) -> None:
    """Learn a model from labelled captures, and say how good it is with groups it has not seen.

    Several families of trees are tried by cross-validation whose splits never part a group; the best is
    learnt from all rows. Labels of a single group are learnt, but cannot be tested. From how few votes on a
    station or flow is unknown is chosen by keeping whole labels back. Needs scikit-learn; using a model does
    not.
    """
    from meshlens.outputs.classify import training_json, training_lines
    from meshlens.outputs.confusion import draw_confusion, plotting

    learner("sklearn")  # to say it now, not when all captures are read
    if confusion:
        plotting()
    if output != "-" and not Path(output).parent.is_dir():
        raise UsageError(f"{output}: there is no folder {Path(output).parent}")
    chosen = task(task_name)
    labels = read_labels(chosen, directory)
    labels.demand(group or "file")
    with counted("reading captures") as progress:
        dataset = read_dataset(chosen, directory, progress=progress, demand=[label])
    say_skipped(dataset)
    group = group or dataset.group_column()
    table = dataset.table(label, group).without({*without, *(["oui"] if no_oui else [])})
    about = {
        "data": dataset.digest,
        "group": group,
        "without": sorted({*without, *(["oui"] if no_oui else [])}),
    }
    with counted("trying recipes") as progress:
        training = train(table, task=task_name, label=label, about=about, seed=seed, progress=progress)
    try:
        with click.open_file(output, "w", encoding="ascii") as file:
            file.write(training.model.to_json())
    except OSError as error:
        raise MeshlensError(f"{output}: cannot be written: {error.strerror}") from None
    say = partial(click.echo, err=output == "-")
    if as_json:
        say(training_json(training))
    else:
        for line in training_lines(training, f"cross-validation in 5 folds, split by {group}"):
            say(line)
        say(f"{output}: {training.recipe}, {training.model.about['nodes']} nodes")
    if confusion and training.tested:
        tested = training.tested.out_of_fold
        draw_confusion(confusion, tested.truth, tested.named, f"{task_name}, {label}, split by {group}")
