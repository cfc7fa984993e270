"""`meshlens interfaces`: what passes through interfaces, and what is dropped there."""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities

if TYPE_CHECKING:
    from rich.live import Live

    from meshlens.probes.traffic.record import InterfaceTraffic
    from meshlens.probes.traffic.session import InterfaceSession

__all__ = ["command"]

EXAMPLES = """
All interfaces that are up, live; at Ctrl-C the sums:
  meshlens interfaces

What a minute brings, as JSON lines with ethertypes and sizes:
  meshlens interfaces -i 'mesh*' --json --interval 60 --duration 60
"""


@click.command("interfaces", cls=Command, examples=EXAMPLES)
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="What",
        shell_complete=complete_interface,
        help="Count on this interface, or on those that fit a glob like 'wlan*'; can be given several times. "
        "Default: all that are up.")  # fmt: skip
@option("--interval", "interval_s", type=click.FloatRange(min=0.05), default=1, metavar="SECONDS",
        section="What", help="Show so often (default: 1).")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="What",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@json_option
def command(interfaces: tuple[str, ...], interval_s: float, duration_s: float | None, as_json: bool) -> None:
    """Show packets and bits per second of interfaces by direction, kind of address and ethertype; and drops.

    Counted in the kernel, packets and bytes as they are on the wire. What was dropped is what the kernel
    says (ip -s link), and what XDP programs decided is what the driver says (ethtool -S), since the interface
    is there. Interfaces that come, go and return are followed.

    On a terminal the table is live; at the end the sums are printed. With --json there is an object an
    interface each interval, with sums since the start.
    """
    from meshlens.probes.traffic.session import InterfaceSession

    with InterfaceSession(interfaces) as session:
        drop_capabilities(ATTACHING)
        with _opened(as_json=as_json) as report:
            try:
                _show_regularly(session, report, interval_s, duration_s)
            finally:
                session.close()
                report.end(session)


class _Report(Protocol):
    """Where interfaces are shown: regularly, and at the end."""

    def begin(self, now: "Sequence[InterfaceTraffic]") -> None: ...
    def show(self, now: "Sequence[InterfaceTraffic]") -> None: ...
    def end(self, session: "InterfaceSession") -> None: ...


class _Json:
    """Objects, a line each."""

    def begin(self, now: "Sequence[InterfaceTraffic]") -> None:
        """Nothing to say yet."""

    def show(self, now: "Sequence[InterfaceTraffic]") -> None:
        from meshlens.outputs.interfaces import interfaces_json

        for line in interfaces_json(now, time.time_ns()):
            click.echo(line)
        sys.stdout.flush()

    def end(self, session: "InterfaceSession") -> None:
        from meshlens.outputs.interfaces import missed_json

        self.show(session.interfaces())
        click.echo(missed_json(session.missed))


class _Table:
    """Rates in their place on a terminal; at the end the sums."""

    def __init__(self, live: "Live | None") -> None:
        self.live = live
        self.when, self.before = 0.0, list["InterfaceTraffic"]()

    def begin(self, now: "Sequence[InterfaceTraffic]") -> None:
        self.when, self.before = time.monotonic(), list(now)

    def show(self, now: "Sequence[InterfaceTraffic]") -> None:
        from meshlens.outputs.interfaces import interfaces_table

        if self.live is None:
            return
        from rich.text import Text

        seconds, size = time.monotonic() - self.when, self.live.console.size
        lines = interfaces_table(now, self.before, seconds, size.width).splitlines()[: size.height - 1]
        self.begin(now)
        self.live.update(Text("\n".join(lines), no_wrap=True), refresh=True)

    def end(self, session: "InterfaceSession") -> None:
        from meshlens.outputs.interfaces import interfaces_table, missed_line

        if self.live:
            self.live.stop()
        click.echo(interfaces_table(session.interfaces()), nl=False)
        click.echo(missed_line(session.missed))


@contextmanager
def _opened(*, as_json: bool) -> Iterator[_Report]:
    if as_json:
        yield _Json()
    elif not sys.stdout.isatty():
        yield _Table(None)
    else:
        from rich.live import Live

        with Live(auto_refresh=False, transient=True) as live:
            yield _Table(live)


def _show_regularly(
    session: "InterfaceSession", report: _Report, interval_s: float, duration_s: float | None
) -> None:
    report.begin(session.interfaces())
    now = time.monotonic()
    due, end = now + interval_s, now + (math.inf if duration_s is None else duration_s)
    while now < end:
        session.wait(min(due, end) - now)
        now = time.monotonic()
        if due <= now < end:
            report.show(session.interfaces())
            due = max(due + interval_s, now)
