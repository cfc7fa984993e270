"""`meshlens stations`: who is there, on interfaces or in capture files."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option, refuse_live_options
from meshlens.cli.regularly import regularly
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.probes.count.plan import HOOK_MODES, HookMode
from meshlens.probes.stations.record import Station, StationKind
from meshlens.probes.stations.session import FileStations, StationSession, stations

__all__ = ["command"]

WHO = "Who is shown"
KINDS: tuple[StationKind, ...] = ("station", "inner", "originator")

EXAMPLES = """
Who is on an interface, live on a terminal, until Ctrl-C:
  meshlens stations -i wlan0

Who asks by mDNS within a minute, as JSON lines:
  meshlens stations -i br-lan --duration 60 --json 'udp port 5353'

The stations behind a mesh interface, inside batman-adv's frames:
  meshlens stations -i mesh0 --kind inner

Of a capture file, with what their DHCP requests and TCP SYNs look like:
  meshlens stations --read setup.pcap --json
"""

LIVE_ONLY = {
    "interfaces": "--interface", "attach": "--attach", "duration_s": "--duration",
    "max_stations": "--max-stations", "idle_s": "--idle", "interval_s": "--interval",
}  # fmt: skip
#: Lines of the terminal that the rows of the table leave: heading, foot, and the cursor's.
FRAME_LINES = 3


@click.command("stations", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]...")
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="Source",
        shell_complete=complete_interface,
        help="Look at this interface, or at those that fit a glob like 'wlan*'; can be given several times. "
        "Default: all that are up.")  # fmt: skip
@option("--attach", type=click.Choice(HOOK_MODES), default="auto", section="Source",
        help="Where to look. auto, tc: TCX, else clsact. xdp: in the driver, xdp-generic: behind it; XDP "
        "sees what comes in, so for what goes out it is tc.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE", section="Source",
        help="Read this capture file (pcap, pcapng; '-' is standard input); can be given several "
        "times.")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), section=WHO,
        help="station: of the frames themselves; inner: of frames inside batman-adv; originator: of packets "
        "of batman-adv. Can be given several times. Default: all.")  # fmt: skip
@option("--idle", "idle_s", type=click.FloatRange(min=0, min_open=True), default=600, metavar="SECONDS",
        section=WHO, help="Let go of stations that were silent for so long (default: 600).")  # fmt: skip
@option("--max-stations", type=click.IntRange(min=1), default=4096, metavar="N", section=WHO,
        help="Room in the kernel for each interface (default: 4096, 4 MiB); packets that find none are "
        "counted as missed.")  # fmt: skip
@json_option
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), metavar="SECONDS", section="Output",
        help="Print so often, and at the end. Default: 1 for the live table on a terminal, else only at the "
        "end.")  # fmt: skip
def command(
    words: tuple[str, ...],
    interfaces: tuple[str, ...],
    attach: HookMode,
    files: tuple[str, ...],
    duration_s: float | None,
    kinds: tuple[StationKind, ...],
    idle_s: float,
    max_stations: int,
    as_json: bool,
    interval_s: float | None,
) -> None:
    """Print the stations in frames that match the tcpdump filter EXPR, those with the most bytes first.

    A station is the source of frames that come in, and the destination of those that go out. They are added
    up in the kernel; with --json all is told that there is: protocols, sizes, gaps, DHCP options, TCP SYN.
    """
    expression = " ".join(words)
    show = _Show(kinds or KINDS, as_json=as_json)
    if files:
        refuse_live_options(LIVE_ONLY)
        _show_files(stations(read=files, filter=expression), show)
        return
    session = stations(interfaces, filter=expression, attach=attach, max_stations=max_stations, idle_s=idle_s)
    live = not as_json and sys.stdout.isatty()
    _show_live(session, show, duration_s, interval_s or (1.0 if live else None), live=live)


class _Show:
    """Prints stations of some kinds, and the summary."""

    def __init__(self, kinds: Sequence[StationKind], *, as_json: bool) -> None:
        self.kinds, self.as_json = kinds, as_json

    def chosen(self, source: StationSession | FileStations) -> list[Station]:
        return [station for station in source.stations() if station.kind in self.kinds]

    def all(self, source: StationSession | FileStations) -> None:
        from meshlens.outputs import stations as texts

        chosen = self.chosen(source)
        if self.as_json:
            for station in chosen:
                click.echo(texts.station_json(station))
            click.echo(texts.summary_json(len(chosen), source.missed, source.group))
        else:
            width = shutil.get_terminal_size((80, 24)).columns
            click.echo(texts.station_table(chosen, width=width), nl=False)
            click.echo(texts.summary_line(len(chosen), source.missed, source.group))
        sys.stdout.flush()


class _Live:
    """The table in its place on the terminal, with rates."""

    def __init__(self, show: _Show) -> None:
        from rich.live import Live

        self.show, self.live = show, Live(auto_refresh=False, transient=True)
        self.before: tuple[Station, ...] = ()
        self.before_ns = time.time_ns()

    @contextmanager
    def opened(self) -> Iterator[None]:
        with self.live:
            yield

    def all(self, source: StationSession) -> None:
        from rich.text import Text

        from meshlens.outputs import stations as texts
        from meshlens.readings.rates import rates
        from meshlens.readings.reading import Reading

        chosen, now_ns = tuple(self.show.chosen(source)), time.time_ns()
        since = rates(Reading(self.before_ns, stations=self.before), Reading(now_ns, stations=chosen))
        self.before, self.before_ns = chosen, now_ns
        size = self.live.console.size
        rows = max(1, size.height - FRAME_LINES)
        table = texts.station_table(chosen, since.stations, rows=rows, width=size.width)
        foot = texts.summary_line(len(chosen), source.missed, source.group)
        self.live.update(Text(table + foot, no_wrap=True, overflow="crop"), refresh=True)


def _show_files(source: FileStations, show: _Show) -> None:
    """What stands before a place where a file is broken is shown, too."""
    try:
        source.read()
    finally:
        show.all(source)


def _show_live(
    session: StationSession, show: _Show, duration_s: float | None, interval_s: float | None, *, live: bool
) -> None:
    """Detach first at the end: what is told last is all that was seen."""
    with session:
        drop_capabilities(ATTACHING)
        try:
            if live:
                table = _Live(show)
                with table.opened():
                    regularly(session, lambda: table.all(session), session.stations, duration_s, interval_s)
            else:
                regularly(session, lambda: show.all(session), session.stations, duration_s, interval_s)
        finally:
            session.close()
            show.all(session)
