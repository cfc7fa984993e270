"""Counting capture files: progress on standard error, if that is a terminal, while it takes long."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import click

from meshlens.filters.lists import FilterList
from meshlens.packet.capture import CaptureError, CaptureReader
from meshlens.probes.count.offline import OfflineCounter
from meshlens.probes.snapshot import Snapshot

__all__ = ["count_files"]

#: What is done within this time needs no bar.
_PATIENCE_S = 1.0


def count_files(
    filters: FilterList, files: Sequence[str], text: Callable[[Snapshot], str], *, mac: str, helpers: bool
) -> None:
    """Print what was counted; if a file breaks off, what was counted until then, and raise its error."""
    counter = OfflineCounter(filters, mac=mac, helpers=helpers)
    try:
        with _progress() as progress:
            for file in files:
                counter.count(file, progress)
    except CaptureError:
        click.echo(text(counter.snapshot()), nl=False)
        raise
    click.echo(text(counter.snapshot()), nl=False)


@contextmanager
def _progress() -> Iterator[Callable[[CaptureReader], None] | None]:
    """What to call with the reader from time to time; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    begin = time.monotonic()
    show: Callable[[CaptureReader], None] | None = None
    with ExitStack() as shown:

        def update(reader: CaptureReader) -> None:
            nonlocal show
            if show is None and time.monotonic() - begin > _PATIENCE_S:
                show = shown.enter_context(_bars())
            if show:
                show(reader)

        yield update


@contextmanager
def _bars() -> Iterator[Callable[[CaptureReader], None]]:
    """A bar for each file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def show(reader: CaptureReader) -> None:
            if reader.name not in tasks:
                tasks[reader.name] = progress.add_task(reader.name, total=reader.total_bytes)
            progress.update(tasks[reader.name], completed=reader.bytes_read)

        yield show
