"""`meshlens classify run`: a model on interfaces, or on capture files."""

import shutil
import sys
from typing import TYPE_CHECKING

import click

from meshlens.classify.kernel.session import FileVerdicts, VerdictSession, verdicts
from meshlens.classify.tasks import task
from meshlens.cli.classify_model import model_argument
from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option, refuse_live_options
from meshlens.cli.regularly import regularly
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities

if TYPE_CHECKING:
    from rich.live import Live

__all__ = ["command"]

EXAMPLES = """
What the stations on an interface are, live on a terminal, until Ctrl-C:
  meshlens classify run devices.json -i br-lan

Cameras get the mark 7, what nobody knows the priority 1, for tc and nft:
  meshlens classify run devices.json -i br-lan --action Camera=mark:7
    --action unknown=priority:1

What the same model says of a capture file, as JSON lines:
  meshlens classify run devices.json --read setup.pcap --json
"""

LIVE_ONLY = {
    "interfaces": "--interface", "actions": "--action", "duration_s": "--duration", "idle_s": "--idle",
    "max_samples": "--max-samples", "interval_s": "--interval", "costs": "--costs",
}  # fmt: skip
#: Lines of the terminal that the rows of the table leave: heading, foot, and the cursor's.
FRAME_LINES = 3


@click.command("run", cls=Command, examples=EXAMPLES)
@model_argument()
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="Source",
        shell_complete=complete_interface,
        help="Look at this interface, or at those that fit a glob like 'wlan*'; can be given several times. "
        "Default: all that are up and carry what the model is about.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE", section="Source",
        help="Classify what is in this capture file (pcap, pcapng); can be given several times.")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--action", "actions", multiple=True, metavar="CLASS=WHAT:N", section="Packets",
        help="Give the packets of a class, or of 'unknown', a mark ('CLASS=mark:7') or a priority "
        "('CLASS=priority:6'), for tc and nft; can be given several times. Default: nothing is done to "
        "any.")  # fmt: skip
@option("--idle", "idle_s", type=click.FloatRange(min=0, min_open=True), default=600, metavar="SECONDS",
        section="Packets", help="Let go of who was silent for so long (default: 600).")  # fmt: skip
@option("--max-samples", type=click.IntRange(min=1), default=4096, metavar="N", section="Packets",
        help="Room in the kernel for each interface (default: 4096 stations or flows); packets that find "
        "none are counted as missed.")  # fmt: skip
@option("--costs", is_flag=True, section="Output",
        help="Say at the end what the programs take: instructions and memory.")  # fmt: skip
@json_option
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), metavar="SECONDS", section="Output",
        help="Print so often, and at the end. Default: 1 for the live table on a terminal, else only at the "
        "end.")  # fmt: skip
def command(
    model_name: str,
    interfaces: tuple[str, ...],
    files: tuple[str, ...],
    duration_s: float | None,
    actions: tuple[str, ...],
    idle_s: float,
    max_samples: int,
    costs: bool,
    as_json: bool,
    interval_s: float | None,
) -> None:
    """Say what stations or flows are, by a MODEL: a file, or the name of one that comes with meshlens.

    The model runs in the kernel, on the first packets of each station or flow; a verdict is there with them,
    and those that come after cost a look-up. The table says what each is, how sure that is, and the features
    that decided.
    """
    if files:
        refuse_live_options(LIVE_ONLY)
        read = verdicts(model_name, read=files)
        show = _Show(read, as_json=as_json, costs=False)
        try:
            read.read()
        finally:
            show.all()
        return
    session = verdicts(model_name, interfaces, actions=actions, max_samples=max_samples, idle_s=idle_s)
    live = not as_json and sys.stdout.isatty()
    show = _Show(session, as_json=as_json, costs=costs)
    _show_live(session, show, duration_s, interval_s or (1.0 if live else None), live=live)


class _Show:
    """Prints verdicts, and the summary."""

    def __init__(self, source: VerdictSession | FileVerdicts, *, as_json: bool, costs: bool) -> None:
        self.source, self.as_json, self.costs = source, as_json, costs
        self.unit = task(source.model.task).unit

    def all(self) -> None:
        from meshlens.outputs import verdicts as texts

        found = self.source.verdicts()
        if self.as_json:
            for each in found:
                click.echo(texts.verdict_json(each))
            click.echo(
                texts.summary_json(
                    len(found),
                    self.source.waiting,
                    self.source.elsewhere,
                    self.source.missed,
                    self.source.counts(),
                )
            )
        else:
            width = shutil.get_terminal_size((80, 24)).columns
            click.echo(texts.verdict_table(found, self.unit, width=width), nl=False)
            click.echo(self.foot(len(found)))
        sys.stdout.flush()

    def foot(self, found: int) -> str:
        from meshlens.outputs.verdicts import summary_line

        return summary_line(self.unit, found, self.source.waiting, self.source.missed)

    def on(self, live: "Live") -> None:
        """The table in its place on the terminal."""
        from rich.text import Text

        from meshlens.outputs.verdicts import verdict_table

        found, size = self.source.verdicts(), live.console.size
        table = verdict_table(found, self.unit, rows=max(1, size.height - FRAME_LINES), width=size.width)
        live.update(Text(table + self.foot(len(found)), no_wrap=True, overflow="crop"), refresh=True)


def _show_live(
    session: VerdictSession, show: _Show, duration_s: float | None, interval_s: float | None, *, live: bool
) -> None:
    """Detach first at the end: what is told last is all that was seen."""
    from meshlens.outputs.verdicts import costs_json, costs_text

    costs = []
    with session:
        drop_capabilities(ATTACHING)
        try:
            if live:
                from rich.live import Live

                table = Live(auto_refresh=False, transient=True)
                with table:
                    regularly(session, lambda: show.on(table), session.verdicts, duration_s, interval_s)
            else:
                regularly(session, show.all, session.verdicts, duration_s, interval_s)
        finally:
            costs = session.costs() if show.costs else []
            session.close()
            show.all()
            if show.costs:
                click.echo((costs_json if show.as_json else costs_text)(costs), nl=False)
