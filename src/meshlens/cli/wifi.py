"""`meshlens wifi`: who is on the air, and how well; what can be known about it."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import UsageError
from meshlens.wifi.monitor.session import FileTransmitters, LiveTransmitters, transmitters

__all__ = ["command"]

EXAMPLES = """
Who is heard on a monitor interface, until Ctrl-C:
  iw dev wlan0 interface add mon0 type monitor && ip link set mon0 up
  meshlens wifi -i mon0

The retries of one BSS, every 10 seconds for an hour, as JSON lines:
  meshlens wifi -i mon0 --json --interval 10 --duration 3600 'wlan addr3 02:00:00:00:00:01'

Everybody on the three usual channels of 2.4 GHz, one after the other:
  meshlens wifi -i mon0 --hop 1,6,11

Who looks for networks, in a capture file:
  meshlens wifi --read monday.pcap wlan type mgt subtype probe-req
"""

Heard = LiveTransmitters | FileTransmitters

LIVE_ONLY = {
    "interfaces": "--interface",
    "interval_s": "--interval",
    "duration_s": "--duration",
    "idle_s": "--idle",
    "max_transmitters": "--max-transmitters",
    "hop": "--hop",
}
#: Lines of the terminal that the rows of the table leave: heading, foot, and the cursor's.
_FRAME_LINES = 3


@click.command("wifi", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]...")
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="Source",
        shell_complete=complete_interface,
        help="Listen on this monitor interface; can be given several times, globs too. Default: all that "
        "are up.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE", section="Source",
        help="Read this capture file (pcap, pcapng; '-' is standard input); can be given several "
        "times.")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--hop", metavar="CHANNELS", section="Source",
        help="Listen on these channels in turn, a quarter of a second each; one stays. Numbers with commas "
        "between, or MHz.")  # fmt: skip
@option("--idle", "idle_s", type=click.FloatRange(min=0), default=0, metavar="SECONDS", section="Source",
        help="Forget transmitters not heard for so long (default: 0, never).")  # fmt: skip
@option("--max-transmitters", type=click.IntRange(min=1), default=4096, metavar="N", section="Source",
        help="Room in the kernel for each interface (default: 4096, 10 MiB); what finds none is counted as "
        "missed.")  # fmt: skip
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), default=1, metavar="SECONDS",
        section="Output", help="Print every so many seconds (default: 1).")  # fmt: skip
@json_option
@option("--survey", is_flag=True, section="Output",
        help="Print what Wi-Fi statistics there are, where each comes from and what shows it, and end; with "
        "--json as data.")  # fmt: skip
def command(
    words: tuple[str, ...],
    interfaces: tuple[str, ...],
    files: tuple[str, ...],
    duration_s: float | None,
    hop: str | None,
    idle_s: float,
    max_transmitters: int,
    interval_s: float,
    as_json: bool,
    survey: bool,
) -> None:
    """Show who is on the air: for each transmitter heard in monitor mode its frames, retries, signal, rates.

    Frames are added up in the kernel, by what radiotap and the 802.11 header tell. EXPR is a tcpdump filter
    in libpcap's language for 802.11.
    """
    if survey:
        from meshlens.wifi.survey import survey_json, survey_text

        click.echo(survey_json() if as_json else survey_text(), nl=False)
        return
    expression = " ".join(words)
    if files:
        _refuse_live_options(click.get_current_context())
        _show_files(transmitters(read=files, filter=expression), as_json=as_json)
        return
    channels = _channels(hop) if hop else []
    session = transmitters(interfaces, filter=expression, max_transmitters=max_transmitters, idle_s=idle_s)
    with session, _hopping(session, channels):
        drop_capabilities(ATTACHING)
        if not session.listening:
            click.echo("meshlens: no monitor interface to listen on yet; waiting for one", err=True)
        try:
            with _screen(as_json=as_json) as show:
                _show_regularly(session, show, interval_s, duration_s)
        finally:
            _print(session, as_json=as_json)


def _channels(text: str) -> list[int]:
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


def _show_files(heard: FileTransmitters, *, as_json: bool) -> None:
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


def _refuse_live_options(ctx: click.Context) -> None:
    for name, flag in LIVE_ONLY.items():
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise UsageError(f"{flag} is for interfaces; it cannot go with --read")
