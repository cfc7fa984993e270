"""`meshlens wifi` on interfaces that are in a network: their stations."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import click

from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.outputs import wifi_stations as texts
from meshlens.wifi.joined.groups import by_rate, grouped
from meshlens.wifi.joined.record import WifiStation
from meshlens.wifi.joined.session import WifiStations

__all__ = ["VIEWS", "StationView", "View", "show_stations"]

View = Literal["station", "bss", "interface", "rate", "rate-control"]
VIEWS: Final[tuple[View, ...]] = ("station", "bss", "interface", "rate", "rate-control")

#: Lines of the terminal that the rows leave: heading, foot, sources, what is absent, and the cursor's.
_FRAME_LINES: Final = 7
#: To read the maps, and to write into anybody's folder.
_KEPT: Final = ATTACHING | {"dac_override"}


@dataclass
class StationView:
    """What is shown of the stations of a session that has begun."""

    session: WifiStations
    view: View
    as_json: bool
    began_s: float = field(default_factory=time.monotonic)

    def text(self, stations: Sequence[WifiStation], width: int, rows: int | None = None) -> str:
        """The table."""
        missed = self.session.missed
        match self.view:
            case "station":
                elapsed_s = time.monotonic() - self.began_s
                return texts.station_table(
                    stations, missed, self.session.absent, elapsed_s, rows=rows, width=width
                )
            case "rate":
                return texts.rate_table(stations, missed, width=width)
            case "rate-control":
                return texts.minstrel_table(stations, width=width)
            case by:
                return texts.group_table(stations, by, missed, width=width)

    def lines(self, stations: Sequence[WifiStation], time_ns: int) -> Iterator[str]:
        """The same as JSON lines; with the view of the rate control all that is known of each station."""
        match self.view:
            case "station" | "rate-control":
                yield from (texts.station_json(each, time_ns) for each in stations)
            case "rate":
                yield from (texts.group_json(each, time_ns) for each in by_rate(stations))
            case by:
                yield from (texts.group_json(each, time_ns) for each in grouped(stations, by))
        yield texts.summary_json(stations, self.session.missed, self.session.absent, time_ns)


def show_stations(
    session: WifiStations,
    view: View,
    interval_s: float,
    duration_s: float | None,
    *,
    as_json: bool,
    parquet: str | None,
) -> None:
    """Until the time is over or Ctrl-C; the last numbers are printed in any case, or written."""
    rows = None
    if parquet:
        from meshlens.outputs.wifi_parquet import StationRows

        rows = StationRows(parquet)
    with session:
        drop_capabilities(_KEPT)
        shown = StationView(session, view, as_json)
        try:
            if rows:
                _repeat(session, lambda: rows.add(session.stations(), time.time_ns()), interval_s, duration_s)
            else:
                with _screen(shown) as show:
                    _repeat(session, show, interval_s, duration_s)
        finally:
            if rows:
                rows.add(session.stations(), time.time_ns())
                rows.write()
                click.echo(f"{parquet}: {len(rows.rows)} rows")
            else:
                _print(shown)


def _repeat(
    session: WifiStations, act: Callable[[], None], interval_s: float, duration_s: float | None
) -> None:
    end = math.inf if duration_s is None else time.monotonic() + duration_s
    while (left := end - time.monotonic()) > 0:
        session.wait(min(interval_s, left))
        if left > interval_s:
            act()


@contextmanager
def _screen(shown: StationView) -> Iterator[Callable[[], None]]:
    """What shows how things stand: JSON lines, a table in its place on a terminal, else nothing."""
    if shown.as_json:
        yield lambda: _print(shown)
    elif not sys.stdout.isatty():
        yield lambda: None
    else:
        from rich.live import Live
        from rich.text import Text

        def draw() -> None:
            size = live.console.size
            rows = max(1, size.height - _FRAME_LINES)
            text = shown.text(shown.session.stations(), size.width, rows)
            live.update(Text(text, end="", no_wrap=True, overflow="crop"), refresh=True)

        with Live(auto_refresh=False, transient=True) as live:
            yield draw


def _print(shown: StationView) -> None:
    stations = shown.session.stations()
    if shown.as_json:
        for line in shown.lines(stations, time.time_ns()):
            click.echo(line)
    else:
        click.echo(shown.text(stations, shutil.get_terminal_size().columns), nl=False)
    sys.stdout.flush()
