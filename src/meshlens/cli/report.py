"""How counts are shown while they grow: a live table on a terminal, else text in one of the formats."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

import click

from meshlens.outputs import FORMATS
from meshlens.probes.snapshot import Snapshot

if TYPE_CHECKING:
    from rich.live import Live

__all__ = ["Report", "open_report", "text_of", "usual_format"]

#: Lines of the terminal that the rows of the table leave: heading, foot, and the cursor's.
_FRAME_LINES = 3


class Report(Protocol):
    """Where snapshots are shown: each as it comes, and the last one."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how things stand."""

    def end(self, snapshot: Snapshot) -> None:
        """Show what came out."""


class _Silence:
    """Nothing is printed: others ask."""

    def show(self, snapshot: Snapshot) -> None:
        """Nothing."""

    end = show


class _Text:
    """Each snapshot as text on standard output."""

    def __init__(self, format_snapshot: Callable[[Snapshot], str]) -> None:
        self.format_snapshot = format_snapshot

    def show(self, snapshot: Snapshot) -> None:
        """Print at once, also into a pipe."""
        click.echo(self.format_snapshot(snapshot), nl=False)
        sys.stdout.flush()

    end = show


class _LiveTable:
    """The table in its place on the terminal, with rates; at the end in full, with exact numbers."""

    def __init__(self, live: "Live", final: _Text, *, columns: bool, helpers: bool) -> None:
        self.live, self.final, self.columns, self.helpers = live, final, columns, helpers
        self.previous = Snapshot(time.time_ns(), ())

    def show(self, snapshot: Snapshot) -> None:
        from meshlens.outputs.table import build_table

        size = self.live.console.size
        table = build_table(
            snapshot,
            self.previous,
            columns=self.columns,
            helpers=self.helpers,
            rows=max(1, size.height - _FRAME_LINES),
            width=size.width,
        )
        self.live.update(table, refresh=True)
        self.previous = snapshot

    def end(self, snapshot: Snapshot) -> None:
        self.live.stop()
        self.final.end(snapshot)


def open_report(
    format_name: str, *, live: bool, silent: bool, columns: bool, helpers: bool
) -> AbstractContextManager[Report]:
    """The report to enter once there is something to report."""
    if silent:
        return nullcontext(_Silence())
    text = _Text(text_of(format_name, columns=columns, helpers=helpers))
    return _live_table(text, columns=columns, helpers=helpers) if live else nullcontext(text)


@contextmanager
def _live_table(final: _Text, *, columns: bool, helpers: bool) -> Iterator[Report]:
    from rich.live import Live

    with Live(auto_refresh=False, transient=True) as live:
        yield _LiveTable(live, final, columns=columns, helpers=helpers)


def text_of(format_name: str, *, columns: bool, helpers: bool) -> Callable[[Snapshot], str]:
    """The formatter; the table as wide as the terminal."""
    if format_name != "table":
        return FORMATS[format_name]
    from meshlens.outputs.table import format_table

    width = shutil.get_terminal_size().columns
    return lambda snapshot: format_table(snapshot, columns=columns, helpers=helpers, width=width)


def usual_format() -> str:
    """What is printed where no format was asked for."""
    return "table" if sys.stdout.isatty() else "json"
