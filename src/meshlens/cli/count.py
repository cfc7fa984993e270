"""`meshlens count`: count the traffic of interfaces, or of capture files, by a list of filters."""

import logging
import sys
from collections.abc import Sequence
from typing import Literal

import click

from meshlens.cli.command import Command, option
from meshlens.cli.count_live import Services, count_live
from meshlens.cli.options import complete_interface, json_option, refuse_live_options
from meshlens.cli.report import open_report, text_of, usual_format
from meshlens.errors import UsageError
from meshlens.filters.lists import FilterDef, FilterList, load_list, parse_list
from meshlens.outputs import FORMATS
from meshlens.probes.count.plan import ATTACH_MODES, AttachMode, hook_of
from meshlens.probes.count.session import DIRECTIONS, CountSession, DirectionChoice

__all__ = ["command"]

NO_MAC = "00:00:00:00:00:00"

COUNTING, INSTEAD = "Counting", "Instead of counting on interfaces"

EXAMPLES = """
All interfaces that are up, as a live table:
  meshlens count mesh.filters

One interface, JSON lines every minute, for a day:
  meshlens count mesh.filters -i mesh0 --json --interval 60 --duration 86400

A daemon that answers as bpfcountd does, and for Prometheus:
  meshlens count mesh.filters -i 'mesh*' --socket /run/bpfcountd.sock --prometheus-listen 9100

Without any process that stays:
  meshlens count mesh.filters -i mesh0 --pin mesh0

Capture files, or what tcpdump writes:
  meshlens count mesh.filters --read monday.pcap tuesday.pcapng
  tcpdump -w - -i eth0 | meshlens count -e 'arp' -e 'icmp6' --read -
"""

# What has no meaning for capture files, and how it is called.
LIVE_ONLY = {
    "interfaces": "--interface", "attach": "--attach", "direction": "--direction", "interval_s": "--interval",
    "duration_s": "--duration", "sockets": "--socket", "prometheus_listen": "--prometheus-listen",
    "textfile": "--textfile", "pin": "--pin",
}  # fmt: skip


def _octal(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no octal number like 660.") from None


@click.command("count", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="LIST", type=click.Path())
@option("-e", "--expression", "expressions", multiple=True, metavar="EXPR", section=COUNTING,
        help="Count by this tcpdump filter instead of by a list; can be given several times.")  # fmt: skip
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section=COUNTING,
        shell_complete=complete_interface,
        help="Count on this interface, or on those that fit a glob like 'wlan*'; can be given several times. "
        "Default: all that are up.")  # fmt: skip
@option("--direction", type=click.Choice(list(DIRECTIONS)), default="both", section=COUNTING,
        help="Count what comes in, what goes out, or both (the default).")  # fmt: skip
@option("--attach", type=click.Choice(ATTACH_MODES), default="auto", section=COUNTING,
        help="Where to count. auto, tc: TCX, else clsact. xdp: in the driver, xdp-generic: behind it; XDP "
        "sees what comes in, so what goes out is counted at tc. socket: what libpcap would see.")  # fmt: skip
@option("--helpers", is_flag=True, section=COUNTING, help="Count the filters marked by '%' as well.")
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS",
        section=COUNTING, help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--format", "format_name", type=click.Choice(list(FORMATS)), section="Output",
        help="How to print; by default a live table on a terminal, else JSON lines.")  # fmt: skip
@json_option
@option("--columns", is_flag=True, section="Output", help="In the table, a column for each interface.")
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), metavar="SECONDS", section="Output",
        help="Report so often, and at the end. Default: 1 for the live table, 10 else.")  # fmt: skip
@option("--socket", "sockets", multiple=True, type=click.Path(), metavar="PATH", section="Output",
        help="Answer on this unix socket as bpfcountd does; can be given several times.")  # fmt: skip
@option("--socket-mode", default="666", metavar="OCTAL", section="Output", callback=_octal,
        help="Permissions of the sockets (default: 666).")  # fmt: skip
@option("--socket-group", metavar="GROUP", section="Output", help="Group of the sockets.")
@option("--prometheus-listen", metavar="[HOST:]PORT", section="Output",
        help="Answer GET /metrics over HTTP, by default on localhost only.")  # fmt: skip
@option("--textfile", type=click.Path(), metavar="FILE", section="Output",
        help="Write this file (*.prom) for node_exporter each interval.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE...", section=INSTEAD,
        help="Count the frames of capture files (pcap, pcapng; '-' is standard input).")  # fmt: skip
@option("--mac", metavar="ADDRESS", default="", section=INSTEAD, help="What $MAC is in capture files.")
@option("--pin", metavar="NAME", section=INSTEAD,
        help="Attach, leave the counting to the kernel, and end; see 'meshlens read'.")  # fmt: skip
@option("--explain", "explained", is_flag=True, section=INSTEAD,
        help="Say what the list was compiled to, and what it costs.")  # fmt: skip
@option("--emit", type=click.Choice(["asm", "dot"]), section=INSTEAD,
        help="Print the program, or the decision graph for Graphviz.")  # fmt: skip
def command(
    words: tuple[str, ...],
    expressions: tuple[str, ...],
    interfaces: tuple[str, ...],
    direction: DirectionChoice,
    attach: AttachMode,
    helpers: bool,
    duration_s: float | None,
    format_name: str | None,
    as_json: bool,
    columns: bool,
    interval_s: float | None,
    sockets: tuple[str, ...],
    socket_mode: int,
    socket_group: str | None,
    prometheus_listen: str | None,
    textfile: str | None,
    files: tuple[str, ...],
    mac: str,
    pin: str | None,
    explained: bool,
    emit: Literal["asm", "dot"] | None,
) -> None:
    """Count traffic by the filters of LIST ('-' is standard input), in the kernel.

    LIST has a line 'id;tcpdump expression' for each filter. Interfaces that come, go or come back are
    followed; counts are kept by their names. SIGHUP reads LIST again; filters whose id stays keep their
    counts. With --socket, --prometheus-listen or --textfile nothing is printed unless a format is asked for.
    """
    logging.basicConfig(format="meshlens: %(message)s")
    if as_json and format_name:
        raise UsageError("--json is --format json: give one of them")
    list_path, files = _list_and_files(words, expressions, files)
    filters = _filters(list_path, expressions)
    services = Services(sockets, socket_mode, socket_group, prometheus_listen, textfile)
    asked = "json" if as_json else format_name
    chosen = asked or usual_format()
    if explained or emit:
        from meshlens.cli.compiled import Form, show_compiled

        way = DIRECTIONS[direction][0]
        form: Form = emit or ("json" if as_json else "text")
        show_compiled(filters.with_mac(mac or NO_MAC), form, hook_of(attach, way), way, helpers=helpers)
    elif files:
        from meshlens.cli.count_files import count_files

        refuse_live_options(LIVE_ONLY, "counting on interfaces")
        text = text_of(chosen, columns=columns, helpers=helpers)
        count_files(filters, files, text, mac=mac, helpers=helpers)
    elif pin is not None:
        from meshlens.probes.count.pins import pin_counters

        pin_counters(pin, filters, interfaces, direction=direction, attach=attach, helpers=helpers)
    else:
        silent = bool(services) and not asked
        live = chosen == "table" and not silent and sys.stdout.isatty()
        count_live(
            CountSession(filters, interfaces, direction=direction, attach=attach, helpers=helpers),
            open_report(chosen, live=live, silent=silent, columns=columns, helpers=helpers),
            services,
            list_path=list_path if list_path != "-" else None,
            interval_s=interval_s or (1 if live else 10),
            duration_s=duration_s,
        )


def _list_and_files(
    words: tuple[str, ...], expressions: tuple[str, ...], files: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """Tell the LIST from further files behind --read, which a shell's glob makes of one."""
    list_path, further = (None, words) if expressions else (words[0] if words else None, words[1:])
    if not expressions and list_path is None:
        raise UsageError("what to count by? Give a LIST of filters, or one with -e EXPR")
    if further and not files:
        raise UsageError(f"unexpected {further[0]!r}: interfaces go behind -i, capture files behind --read")
    files += further
    if (list_path, *files).count("-") > 1:
        raise UsageError("standard input can be read once: it is '-' twice here")
    return list_path, files


def _filters(list_path: str | None, expressions: Sequence[str]) -> FilterList:
    if list_path is None:
        own = (FilterDef(each, each, line, "-e") for line, each in enumerate(dict.fromkeys(expressions), 1))
        return FilterList(tuple(own), "-e")
    if list_path == "-":
        return parse_list(sys.stdin.read(), source="standard input")
    return load_list(list_path)
