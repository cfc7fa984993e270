"""`meshlens wifi` on monitor interfaces and capture files: who is on the air."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import UsageError
from meshlens.wifi.monitor.session import FileTransmitters, LiveTransmitters

__all__ = ["channels_of", "show_files", "show_live"]

Heard = LiveTransmitters | FileTransmitters

#: Lines of the terminal that the rows of the table leave: heading, foot, and the cursor's.
_FRAME_LINES = 3


def show_live(
    session: LiveTransmitters,
    channels: Sequence[int],
    interval_s: float,
    duration_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Until the time is over or Ctrl-C; the last numbers are printed in any case."""
    with session, _hopping(session, channels):
        drop_capabilities(ATTACHING)
        if not session.listening:
            click.echo("meshlens: no monitor interface to listen on yet; waiting for one", err=True)
        try:
            with _screen(as_json=as_json) as show:
                _show_regularly(session, show, interval_s, duration_s)
        finally:
            _print(session, as_json=as_json)


def channels_of(text: str) -> list[int]:
    """The channels to hop, as they were given. Raises UsageError for what is none."""
    from meshlens.wifi.monitor.hopping import frequency_mhz

    try:
        channels = [int(channel) for channel in text.split(",")]
    except ValueError:
        raise UsageError(f"--hop {text}: channel numbers with commas between, as in 1,6,11") from None
    for channel in channels:
        frequency_mhz(channel)  # what is none is none without any interface
    return channels


@contextmanager
def _hopping(session: LiveTransmitters, channels: Sequence[int]) -> Iterator[None]:
    """Within it the interfaces go from channel to channel."""
    if not channels:
        yield
        return
    from meshlens.wifi.monitor.hopping import Hopper

    with Hopper(session.listening, channels) as hopper:
        yield
    if hopper.error:
        raise hopper.error


def _show_regularly(
    session: LiveTransmitters, show: Callable[[Heard], None], interval_s: float, duration_s: float | None
) -> None:
    end = math.inf if duration_s is None else time.monotonic() + duration_s
    while (left := end - time.monotonic()) > 0:
        session.wait(min(interval_s, left))
        if left > interval_s:
            show(session)


def show_files(heard: FileTransmitters, *, as_json: bool) -> None:
    """What stands before a place where a file is broken is shown, too."""
    try:
        heard.transmitters()
    finally:
        _print(heard, as_json=as_json)


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Callable[[Heard], None]]:
    """What shows how things stand: JSON lines, a table in its place on a terminal, else nothing."""
    if as_json:
        yield lambda heard: _print(heard, as_json=True)
    elif not sys.stdout.isatty():
        yield lambda _: None
    else:
        from rich.live import Live
        from rich.text import Text

        from meshlens.outputs.transmitters import transmitter_table

        def draw(heard: Heard) -> None:
            size = live.console.size
            rows = max(1, size.height - _FRAME_LINES)
            table = transmitter_table(heard.transmitters(), heard.outcomes, rows=rows, width=size.width)
            live.update(Text(table, end=""), refresh=True)

        with Live(auto_refresh=False, transient=True) as live:
            yield draw


def _print(heard: Heard, *, as_json: bool) -> None:
    from meshlens.outputs import transmitters as texts

    found = heard.transmitters()
    if as_json:
        now_ns = time.time_ns()
        for each in found:
            click.echo(texts.transmitter_json(each, now_ns))
        click.echo(texts.summary_json(found, heard.outcomes, now_ns))
    else:
        width = shutil.get_terminal_size().columns
        click.echo(texts.transmitter_table(found, heard.outcomes, width=width), nl=False)
    sys.stdout.flush()
