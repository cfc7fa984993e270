"""`meshlens classify features`: fingerprints as a table."""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from meshlens.classify.features import Sample
from meshlens.classify.model import ONE, Leaf, Model
from meshlens.classify.tasks import Task, task
from meshlens.cli.classify_options import plain_option, task_option
from meshlens.cli.command import Command, option
from meshlens.cli.progress import counted
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import MeshlensError, UsageError

__all__ = ["command"]

EXAMPLES = """
What each flow of a capture looks like to a model:
  meshlens classify features --task flow monday.pcap

Of a folder of captures, for pandas, DuckDB and alike:
  meshlens classify features --task wifi-station captures -o fingerprints.parquet

Of the stations on an interface, for a minute:
  meshlens classify features --task ethernet-station br-lan --duration 60
"""

_CAPTURE = re.compile(r"\.(pcap|pcapng|cap|dmp)$", re.IGNORECASE)


def complete_input(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Interfaces, and files as the shell knows them."""
    names = sorted(name for _, name in socket.if_nameindex())
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


@click.command("features", cls=Command, examples=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=complete_input)
@task_option
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="Look at interfaces for so long. Default: until Ctrl-C or SIGTERM.")  # fmt: skip
@option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", section="Output",
        help="Write a table: .parquet (needs pyarrow) or .csv. Default: CSV on standard output.")  # fmt: skip
@plain_option
def command(
    inputs: tuple[str, ...],
    task_name: str,
    duration_s: float | None,
    output: str | None,
    plain_addresses: bool,
) -> None:
    """Make a table of fingerprints: a row for each station or flow, a column a feature.

    INPUT is a capture file, a folder, of which every capture is read, or an interface. Columns are file (or
    interface), name (hashed), the time of the first packet (ns since the epoch) and the features, whole
    numbers all of them. Capture files that cannot be read are named and left out. On an interface the kernel
    fills the rows, until Ctrl-C; a row is there as soon as a model would be asked about it.
    """
    from meshlens.outputs.fingerprints import Names, feature_table, write_csv, write_table

    chosen = task(task_name)
    interfaces = [word for word in inputs if not Path(word).exists() and _is_interface(word)]
    captures = [path for word in inputs if word not in interfaces for path in _captures(word)]
    with counted("reading captures") as progress:
        samples = list(_samples(chosen, captures, progress))
    if interfaces:
        samples += _live(chosen, interfaces, duration_s)
    elif duration_s is not None:
        raise UsageError("--duration is for interfaces; captures are read to their end")
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
        raise UsageError(f"{word}: no such file, folder or interface")


def _is_interface(word: str) -> bool:
    return word in {name for _, name in socket.if_nameindex()}


def _live(chosen: Task, interfaces: list[str], duration_s: float | None) -> list[Sample]:
    """What the kernel has of the stations or flows on interfaces, at the end of the time or at Ctrl-C."""
    from meshlens.classify.kernel.session import verdicts

    one_class = Model(chosen.name, "", ("",), (), ((Leaf(((0, ONE),)),),))
    with verdicts(one_class, interfaces) as session:
        drop_capabilities(ATTACHING)
        with suppress(KeyboardInterrupt):
            session.wait(duration_s or 0)
            while duration_s is None:
                session.wait(3600)
        return session.samples()


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
