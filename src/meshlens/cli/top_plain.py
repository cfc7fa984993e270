"""`meshlens top` without a full screen: tables that are drawn anew, or printed once, or JSON."""

import json
import shutil
import sys
from collections.abc import Callable

import click

from meshlens.cli.top_pages import missed
from meshlens.cli.top_source import Source
from meshlens.outputs.listing import listing
from meshlens.outputs.text import printable
from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading

__all__ = ["follow", "live", "print_json", "print_tables"]

#: Of each sheet, what is printed where nobody can scroll.
_PRINTED_ROWS = 100

Show = Callable[[Reading, Rates], None]


def follow(source: Source, interval_s: float, show: Show, *, once: bool) -> None:
    """Show the first rates after one interval, and go on until interrupted unless `once`."""
    before = source.read()
    while True:
        source.wait(interval_s)
        now = source.read()
        show(now, rates(before, now))
        before = now
        if once:
            return


def print_json(reading: Reading, speed: Rates) -> None:
    """One object in one line."""
    from meshlens.web.tables import whole

    click.echo(json.dumps(whole(reading, speed)))
    sys.stdout.flush()


def print_tables(reading: Reading, speed: Rates) -> None:
    """All tables, as wide as the terminal, or 80 characters."""
    width = shutil.get_terminal_size().columns
    click.echo("\n".join([*listing(reading, speed, width=width, rows=_PRINTED_ROWS), "", _foot(reading)]))
    sys.stdout.flush()


def live(source: Source, interval_s: float) -> None:
    """Tables in their place on the terminal, as many rows as it has."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=True) as screen:

        def show(reading: Reading, speed: Rates) -> None:
            size = screen.console.size
            lines = listing(reading, speed, width=size.width, rows=size.height - 2)
            text = Text("\n".join([*lines, "", _foot(reading)]), no_wrap=True, overflow="crop")
            screen.update(text, refresh=True)

        follow(source, interval_s, show, once=False)


def _foot(reading: Reading) -> str:
    return printable(missed(reading))
