"""`meshlens history`: who had how much, when; from the file that `meshlens serve` keeps."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final, get_args

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import json_option
from meshlens.cli.times import parse_duration, parse_time, show_time
from meshlens.errors import UsageError
from meshlens.outputs.history.query import Totals, rates_by_step, totals
from meshlens.outputs.history.schema import LEVELS
from meshlens.outputs.history.series import History, HistoryKind
from meshlens.outputs.text import human, printable

__all__ = ["DEFAULT_FILE", "command"]

DEFAULT_FILE: Final = "/var/lib/meshlens/history.db"
WHAT: Final[tuple[HistoryKind, ...]] = get_args(HistoryKind)
SPAN, CHOICE = "When", "Which"

EXAMPLES = """
Who had most in the last hour:
  meshlens history stations --since 1h --top 10

What the interfaces carried at ten o'clock yesterday:
  meshlens history interfaces --at 2026-11-22T10:00

A day of one filter, a line each quarter of an hour:
  meshlens history filters --match arp:request --since 1d --every 15m

Who talked to whom during an incident, for another program:
  meshlens history flows --since 2026-11-23T10:00 --until 2026-11-23T10:20 --json
"""

_ROW: Final = "{:<{width}} {:<10} {:>7} {:>8} {:>7} {:>9} {:>8} {:>9}  {}"
_STEP: Final = "{:<19} {:<{width}} {:<10} {:>9} {:>9} {:>9} {:>9}"


@click.command("history", cls=Command, examples=EXAMPLES)
@click.argument("what", type=click.Choice(WHAT))
@option("--since", metavar="TIME", section=SPAN,
        help="From then on: so long ago (90s, 15m, 1h, 2d), or a date and time (default: 1h).")  # fmt: skip
@option("--until", metavar="TIME", section=SPAN, help="Until then (default: now).")
@option("--at", metavar="TIME", section=SPAN, help="In the 10 seconds (later: 5 minutes) around that time.")
@option("--every", metavar="DURATION", section=SPAN,
        help="Rates for each step of so long (10s, 5m, 1h) instead of sums.")  # fmt: skip
@option("-i", "--interface", default="", metavar="IFACE", section=CHOICE, help="Only on this interface.")
@option("--match", default="", metavar="TEXT", section=CHOICE,
        help="Only what has this in its name: an address, a station's name or vendor, a filter.")  # fmt: skip
@option("--top", type=click.IntRange(min=1), default=20, metavar="N", section=CHOICE,
        help="The N busiest (default: 20).")  # fmt: skip
@option("--db", "path", type=click.Path(), default=DEFAULT_FILE, metavar="FILE", section=CHOICE,
        help=f"The file to ask (default: {DEFAULT_FILE}).")  # fmt: skip
@json_option
def command(
    what: HistoryKind,
    since: str | None,
    until: str | None,
    at: str | None,
    every: str | None,
    interface: str,
    match: str,
    top: int,
    path: str,
    as_json: bool,
) -> None:
    """Say what interfaces, stations, filters or flows had in a time that is over.

    "in" is what a station, or the source of a flow, sent; "out" what it was sent. Steps of 10 seconds are
    kept for a day, steps of 5 minutes for 90 days, unless 'meshlens serve' was told otherwise.
    """
    now_ns = time.time_ns()
    if at is not None and (since or until or every):
        raise UsageError("--at is a time of its own: give it without --since, --until and --every")
    since_ns = parse_time(at or since or "1h", now_ns)
    until_ns = since_ns + 1 if at else parse_time(until or "now", now_ns)
    if until_ns <= since_ns:
        raise UsageError("--until has to be later than --since")
    sums = totals(path, what, since_ns=since_ns, until_ns=until_ns, interface=interface, match=match, top=top)
    if every is None:
        lines = _json(sums) if as_json else _table(what, sums)
    else:
        names = [each.name for each in sums.rows] or [""]
        step_s = max(parse_duration(every), LEVELS[0].step_s)
        steps = rates_by_step(path, what, since_ns=since_ns, until_ns=until_ns, step_s=step_s, names=names)
        lines = _steps(steps, sums, _json_step if as_json else _step_line, "" if as_json else what)
    for line in lines:
        click.echo(line)


def _table(what: str, sums: Totals) -> Iterator[str]:
    """The busiest first; at the foot how much of the span was recorded, and what was missed in it."""
    seconds = sums.recorded_s or 1
    width = _width(sums)
    columns = ("in pkt", "in bytes", "out pkt", "out bytes", "in bit/s", "out bit/s", "")
    yield _ROW.format(what, "interface", *columns, width=width).rstrip()
    for each in sums.rows:
        numbers = (each.packets_in, each.bytes_in, each.packets_out, each.bytes_out)
        rates = (8 * each.bytes_in / seconds, 8 * each.bytes_out / seconds)
        cells = map(human, (*numbers, *rates))
        name, label = printable(each.name), printable(each.label)
        yield _ROW.format(name, each.interface, *cells, label, width=width).rstrip()
    missed = ", ".join(f"{reason} {packets}" for reason, packets in sums.missed.items() if packets)
    yield (
        f"{len(sums.rows)} of {sums.things} {what} \N{MIDDLE DOT} {show_time(sums.since_s)} to "
        f"{show_time(sums.until_s)}, {sums.recorded_s:.0f} s recorded \N{MIDDLE DOT} missed "
        f"{sum(sums.missed.values())}" + (f" ({missed})" if missed else "")
    )


def _json(sums: Totals) -> Iterator[str]:
    """An object a thing; then the span, what was recorded of it, and what was missed."""
    for each in sums.rows:
        yield json.dumps(asdict(each))
    yield json.dumps(
        {
            "since_s": sums.since_s,
            "until_s": sums.until_s,
            "recorded_s": sums.recorded_s,
            "things": sums.things,
            "missed": sum(sums.missed.values()),
            "reasons": sums.missed,
        }
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """Rates of one thing in one step; None where nothing was recorded."""

    time_s: int
    name: str
    interface: str
    packets_in_per_s: float | None
    bytes_in_per_s: float | None
    packets_out_per_s: float | None
    bytes_out_per_s: float | None


def _steps(history: History, sums: Totals, line: Callable[[_Step, int], str], heading: str) -> Iterator[str]:
    """A line for each step and thing, in the order of time; behind the heading, if there is one."""
    width = _width(sums)
    if heading:
        columns = ("in pkt/s", "in bit/s", "out pkt/s", "out bit/s")
        yield _STEP.format("time", heading, "interface", *columns, width=width)
    wanted = {(each.name, each.interface) for each in sums.rows}
    pairs = [
        (into, out)
        for into, out in zip(history.series[::2], history.series[1::2], strict=True)
        if (into.name, into.interface) in wanted
    ]
    for number, time_ns in enumerate(history.times_ns):
        for into, out in pairs:
            rates = [each[number] for way in (into, out) for each in (way.packets_per_s, way.bytes_per_s)]
            yield line(_Step(time_ns // 10**9, into.name, into.interface, *rates), width)


def _step_line(step: _Step, width: int) -> str:
    rates = (
        step.packets_in_per_s,
        _bits(step.bytes_in_per_s),
        step.packets_out_per_s,
        _bits(step.bytes_out_per_s),
    )
    cells = ("-" if each is None else human(each) for each in rates)
    return _STEP.format(show_time(step.time_s), printable(step.name), step.interface, *cells, width=width)


def _json_step(step: _Step, _: int) -> str:
    return json.dumps(asdict(step))


def _bits(bytes_per_s: float | None) -> float | None:
    return None if bytes_per_s is None else 8 * bytes_per_s


def _width(sums: Totals) -> int:
    """Of the column of names: that of an address at least."""
    return max(17, *(len(each.name) for each in sums.rows), 0)
