"""`meshlens read`: print what a pinned counter has counted."""

import sys
import time

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import json_option
from meshlens.cli.pins import complete_pin
from meshlens.cli.report import text_of, usual_format
from meshlens.errors import UsageError
from meshlens.outputs import FORMATS

__all__ = ["command"]

EXAMPLES = """
Pin a counter, then look at it, again every ten seconds:
  meshlens count mesh.filters -i mesh0 --pin mesh0
  meshlens read mesh0 --interval 10

As bpfcountd's socket would answer:
  meshlens read mesh0 --format bpfcountd
"""


@click.command("read", cls=Command, examples=EXAMPLES)
@click.argument("name", shell_complete=complete_pin)
@option("--format", "format_name", type=click.Choice(list(FORMATS)), section="Output",
        help="How to print; by default a table on a terminal, else JSON lines.")  # fmt: skip
@json_option
@option("--interval", "interval_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
        section="Output", help="Print again every so many seconds, until Ctrl-C.")  # fmt: skip
def command(name: str, format_name: str | None, as_json: bool, interval_s: float | None) -> None:
    """Print what the counter pinned as NAME has counted since 'meshlens count --pin NAME'.

    Needs only the right to open the pins, as root or with CAP_BPF. Interfaces that are gone keep their
    counts.
    """
    from meshlens.probes.count.pinned import open_pin

    if as_json and format_name:
        raise UsageError("--json is --format json: give one of them")
    chosen = "json" if as_json else format_name or usual_format()
    text = text_of(chosen, columns=False, helpers=True)  # if helpers are counted, somebody asked for them
    with open_pin(name) as pinned:
        click.echo(text(pinned.read()), nl=False)
        while interval_s:
            sys.stdout.flush()
            time.sleep(interval_s)
            click.echo(text(pinned.read()), nl=False)
