"""`meshlens top`: who sends what right now, on interfaces, by station, flow and filter."""

import sys
from importlib.util import find_spec

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option
from meshlens.cli.top_source import Source

__all__ = ["command"]

EXAMPLES = """
Everything on the wireless interfaces, on a full screen:
  meshlens top -i 'wlan*'

Stations and flows of multicast DNS only; the filters of a list beside them:
  meshlens top -i mesh0 --filters mesh.filters udp port 5353

The five stations that send most right now, for a script:
  meshlens top -i wlan0 --once --json | jq '.stations | sort_by(-.in_bytes_per_s)[:5]'
"""


@click.command("top", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]...")
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="What",
        shell_complete=complete_interface,
        help="Look at this interface, or those that fit a glob like 'wlan*'; can be given several times. "
        "Default: all that are up.")  # fmt: skip
@option("--filters", "list_path", type=click.Path(), metavar="LIST", section="What",
        help="Count by the filters of this list, too.")  # fmt: skip
@option("--model", "model_name", metavar="MODEL", section="What",
        help="Say what stations or flows are by this model, too: a file, or the name of one that comes with "
        "meshlens.")  # fmt: skip
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), default=1, metavar="SECONDS",
        section="Output",
        help="Look again after so long; rates are those of this time (default: 1).")  # fmt: skip
@option("--once", is_flag=True, section="Output", help="Print what one interval brings, and end.")
@option("--plain", is_flag=True, section="Output",
        help="Print tables, as is done where textual is not installed.")  # fmt: skip
@json_option
def command(
    words: tuple[str, ...],
    interfaces: tuple[str, ...],
    list_path: str | None,
    model_name: str | None,
    interval_s: float,
    once: bool,
    plain: bool,
    as_json: bool,
) -> None:
    """Show who sends what right now: interfaces, stations, flows, filters, Wi-Fi, with rates.

    EXPR is a tcpdump filter for stations and flows. Keys: Tab, arrows and Enter to look around, / to search,
    s to sort, Space to freeze, ? for all of them, q to quit.
    """
    from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
    from meshlens.readings.session import PROBES, monitor

    left_out = {"count": list_path, "classify": model_name}
    probes = [each for each in PROBES if left_out.get(each, True)]
    watched = monitor(
        interfaces,
        probes=probes,
        filters=list_path,
        filter=" ".join(words),
        options={"classify": {"model": model_name}},
        lenient=True,
    )
    with watched as source:
        drop_capabilities(ATTACHING)
        absent = dict(source.absent)
        if list_path is None:
            absent["filters"] = "no filters: give a list with --filters LIST"
        if model_name is None:
            absent["verdicts"] = "no model: give one with --model MODEL"
        elif "classify" in absent:
            absent["verdicts"] = absent["classify"]
        if "transmitters" in absent:
            absent["air"] = absent["transmitters"]
        _show(source, interval_s, absent, once=once, plain=plain, as_json=as_json)


def _show(
    source: Source, interval_s: float, absent: dict[str, str], *, once: bool, plain: bool, as_json: bool
) -> None:
    if as_json or once or not sys.stdout.isatty():
        from meshlens.cli.top_plain import follow, print_json, print_tables

        follow(source, interval_s, print_json if as_json else print_tables, once=once)
    elif plain or not _has_textual():
        from meshlens.cli.top_plain import live

        live(source, interval_s)
    else:
        _full_screen(source, interval_s, absent)


def _full_screen(source: Source, interval_s: float, absent: dict[str, str]) -> None:
    from meshlens.cli.top_app import TopApp
    from meshlens.cli.top_pages import Pages
    from meshlens.probes.stations.neighbours import addresses_by_mac

    pages = Pages(addresses_by_mac, absent)
    pages.take(source.read())
    app = TopApp(source, pages, interval_s)
    try:
        app.run()
    finally:
        app.end_reading()
    if app.ended_by is not None:
        raise app.ended_by


def _has_textual() -> bool:
    return find_spec("textual") is not None
