"""`meshlens classify features`: fingerprints as a table."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from meshlens.classify.features import Sample
from meshlens.classify.tasks import Task, task
from meshlens.cli.classify_options import plain_option, task_option
from meshlens.cli.command import Command, option
from meshlens.cli.progress import counted
from meshlens.errors import MeshlensError, UsageError

__all__ = ["command"]

EXAMPLES = """
What each flow of a capture looks like to a model:
  meshlens classify features --task flow monday.pcap

Of a folder of captures, for pandas, DuckDB and alike:
  meshlens classify features --task wifi-station captures -o fingerprints.parquet
"""

_CAPTURE = re.compile(r"\.(pcap|pcapng|cap|dmp)(\.(gz|zst|xz|bz2))?$", re.IGNORECASE)


@click.command("features", cls=Command, examples=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@task_option
@option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", section="Output",
        help="Write a table: .parquet (needs pyarrow) or .csv. Default: CSV on standard output.")  # fmt: skip
@plain_option
def command(inputs: tuple[str, ...], task_name: str, output: str | None, plain_addresses: bool) -> None:
    """Make a table of the fingerprints in capture files: a row for each station or flow, a column a feature.

    INPUT is a capture file or a folder, of which every capture is read. Columns are file, name (hashed), the
    time of the first packet (ns since the epoch) and the features, whole numbers all of them. Capture files
    that cannot be read are named and left out.
    """
    from meshlens.outputs.fingerprints import Names, feature_table, write_csv, write_table

    chosen = task(task_name)
    with counted("reading captures") as progress:
        samples = list(_samples(chosen, [path for word in inputs for path in _captures(word)], progress))
    columns, rows = feature_table(chosen.features, samples, Names(plain=plain_addresses))
    if output:
        write_table(output, columns, rows)
        click.echo(f"{output}: {len(rows)} {chosen.unit}s, {len(chosen.features)} features")
    else:
        write_csv(sys.stdout, columns, rows)


def _captures(word: str) -> Iterator[str]:
    """The file itself, or the captures in a folder."""
    path = Path(word)
    if path.is_dir():
        found = [str(one) for one in sorted(path.rglob("*")) if _CAPTURE.search(one.name)]
        if not found:
            raise UsageError(f"{word}: no capture file in this folder (*.pcap, *.pcapng, *.cap)")
        yield from found
    elif path.exists():
        yield word
    else:
        raise UsageError(f"{word}: no such file or folder")


def _samples(chosen: Task, paths: list[str], progress: Callable[[int, int], None]) -> Iterator[Sample]:
    """The samples of all captures; the error of a broken one is raised only if there is no other."""
    for done, path in enumerate(paths, 1):
        try:
            yield from chosen.read(path)
        except (MeshlensError, OSError) as error:
            if len(paths) == 1:
                raise
            click.echo(f"meshlens: {error}", err=True)
        progress(done, len(paths))
