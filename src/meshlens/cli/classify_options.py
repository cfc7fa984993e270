"""Options that the commands of `meshlens classify` share."""

import click

from meshlens.classify.dataset import Dataset, Skipped
from meshlens.classify.tasks import TASKS
from meshlens.cli.command import option

__all__ = ["data_option", "label_option", "plain_option", "say_skipped", "task_option"]

_SAID_MOST = 20

task_option = option(
    "--task", "task_name", required=True, type=click.Choice(list(TASKS)), section="Source",
    help="What a sample is: a station that joins a Wi-Fi network, a station on Ethernet, or a flow.",
)  # fmt: skip
data_option = option(
    "--data", "directory", required=True, type=click.Path(exists=True, file_okay=False), metavar="DIR",
    section="Source",
    help="A folder of captures with a labels.csv (for flows also flow_labels.csv), whose column 'file' names "
    "them.",
)  # fmt: skip
label_option = option(
    "--label", required=True, metavar="COLUMN", section="Source", help="The column that has the truth."
)
plain_option = option(
    "--plain-addresses", is_flag=True, section="Output",
    help="Write addresses as they are. Default: a keyed hash of them, whose key is not kept.",
)  # fmt: skip


def say_skipped(dataset: Dataset) -> None:
    """Say on standard error what could not be used."""
    for one in dataset.skipped[:_SAID_MOST]:
        click.echo(f"meshlens: {_line(one)}", err=True)
    if (more := len(dataset.skipped) - _SAID_MOST) > 0:
        click.echo(f"meshlens: {more} more skipped", err=True)
    if dataset.left_out:
        click.echo(f"meshlens: {dataset.left_out} rows left out: their labels are guesses", err=True)


def _line(one: Skipped) -> str:
    return one.reason if one.reason.startswith(one.file) else f"{one.file}: skipped: {one.reason}"
