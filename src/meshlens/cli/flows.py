"""`meshlens flows`: what two ends sent each other, on interfaces or in capture files."""

import logging
import sys
from collections.abc import Iterable

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option, refuse_live_options
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import UsageError
from meshlens.probes.count.plan import ATTACH_MODES, AttachMode
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.session import FileFlows, LiveFlows, flows

__all__ = ["command"]

KINDS = "What a flow is"

EXAMPLES = """
The flows of an interface, each when it has ended, until Ctrl-C:
  meshlens flows -i eth0

Those of mDNS, as JSON lines, for a minute:
  meshlens flows -i wlan0 --json --duration 60 'udp port 5353'

Of a capture file, for pandas, DuckDB and alike:
  meshlens flows --read monday.pcap --parquet monday.parquet
"""

LIVE_ONLY = {
    "interfaces": "--interface", "attach": "--attach", "duration_s": "--duration", "max_flows": "--max-flows",
}  # fmt: skip


@click.command("flows", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]...")
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="Source",
        shell_complete=complete_interface,
        help="Look at this interface, or at those that fit a glob like 'mesh*'; can be given several times. "
        "Default: all that are up.")  # fmt: skip
@option("--attach", type=click.Choice(ATTACH_MODES), default="auto", section="Source",
        help="Where to look. auto, tc: TCX, else clsact. xdp: in the driver, xdp-generic: behind it; XDP "
        "sees what comes in, so for what goes out it is tc. socket: what libpcap would see.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE", section="Source",
        help="Read this capture file (pcap, pcapng; '-' is standard input); can be given several "
        "times.")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--idle", "idle_s", type=click.FloatRange(min=0.001), default=15, metavar="SECONDS", section=KINDS,
        help="A flow ends when no packet came for so long (default: 15).")  # fmt: skip
@option("--active", "active_s", type=click.FloatRange(min=0), default=1800, metavar="SECONDS", section=KINDS,
        help="Report flows that go on whenever so much time is over, counted from the full hour (default: "
        "1800; 0: never).")  # fmt: skip
@option("--head", type=click.IntRange(0, 64), default=8, metavar="N", section=KINDS,
        help="Keep size, way and gap of the first N packets of a flow (default: 8).")  # fmt: skip
@option("--max-flows", type=click.IntRange(min=1), default=16_384, metavar="N", section=KINDS,
        help="Room in the kernel for each interface (default: 16384 flows, 5 MiB); what finds none is "
        "counted as missed.")  # fmt: skip
@json_option
@option("--parquet", type=click.Path(), metavar="FILE", section="Output",
        help="Write a Parquet file at the end instead (needs pyarrow).")  # fmt: skip
def command(
    words: tuple[str, ...],
    interfaces: tuple[str, ...],
    attach: AttachMode,
    files: tuple[str, ...],
    duration_s: float | None,
    idle_s: float,
    active_s: float,
    head: int,
    max_flows: int,
    as_json: bool,
    parquet: str | None,
) -> None:
    """Print the flows that match the tcpdump filter EXPR: addresses, ports, packets, bytes, TCP flags, times.

    Both directions of a flow are one record, and its source is who sent the first packet. Packets are added
    up in the kernel; a record leaves it when its flow has ended. Flows inside the frames of a batman-adv mesh
    are found as well. Interfaces that come, go or change names are followed.
    """
    logging.basicConfig(format="meshlens: %(message)s")
    if files:
        refuse_live_options(LIVE_ONLY)
    expression = " ".join(words)
    stream: FileFlows | LiveFlows
    if files:
        stream = flows(read=files, filter=expression, idle_s=idle_s, active_s=active_s, head=head)
    else:
        stream = flows(
            interfaces,
            filter=expression,
            attach=attach,
            idle_s=idle_s,
            active_s=active_s,
            head=head,
            max_flows=max_flows,
            duration_s=duration_s,
        )
    if as_json and parquet:
        raise UsageError("--json prints, --parquet writes a file: give one of them")
    show = _Parquet(parquet) if parquet else _Lines(as_json=as_json)
    if isinstance(stream, LiveFlows):
        _show_live(stream, show)
    else:
        _show(stream, show)


class _Lines:
    """Each flow in a line, at once; then a summary."""

    def __init__(self, *, as_json: bool) -> None:
        from meshlens.outputs import flows as texts

        self.number, self.heading = 0, "" if as_json else texts.FLOW_HEADING
        self.line = texts.flow_json if as_json else texts.flow_line
        self.summary = texts.summary_json if as_json else texts.summary_line

    def begin(self) -> None:
        if self.heading:
            click.echo(self.heading)

    def add(self, some: Iterable[Flow]) -> None:
        for flow in some:
            self.number += 1
            click.echo(self.line(flow))
            sys.stdout.flush()

    def end(self, stream: LiveFlows | FileFlows) -> None:
        click.echo(self.summary(self.number, stream.missed, stream.other))


class _Parquet:
    """All flows in one file; a summary is printed."""

    def __init__(self, path: str) -> None:
        from meshlens.probes.flows.stream import library

        self.path, self.flows = path, list[Flow]()
        library("pyarrow")  # to say it now, not when all flows are there

    def begin(self) -> None:
        """Nothing to say yet."""

    def add(self, some: Iterable[Flow]) -> None:
        self.flows += some

    def end(self, stream: LiveFlows | FileFlows) -> None:
        from meshlens.outputs.flows import summary_line
        from meshlens.probes.flows.session import to_parquet

        to_parquet(self.flows, self.path)
        click.echo(f"{self.path}: {summary_line(len(self.flows), stream.missed, stream.other)}")


def _show(stream: FileFlows, show: _Lines | _Parquet) -> None:
    """What stands before a place where a file is broken is shown, too."""
    show.begin()
    try:
        show.add(stream)
    finally:
        show.end(stream)


def _show_live(stream: LiveFlows, show: _Lines | _Parquet) -> None:
    """At Ctrl-C the flows that are still going on are shown as well."""
    with stream:
        drop_capabilities(
            ATTACHING | {"net_raw", "dac_override"}
        )  # for sockets; to write into anybody's folder
        if not stream.costs():
            click.echo("meshlens: no interface to look at yet; waiting for one", err=True)
        show.begin()
        try:
            show.add(stream)
        except KeyboardInterrupt:
            show.add(stream.finish())
            show.end(stream)
            raise
        show.end(stream)
