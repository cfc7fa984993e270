"""`meshlens wifi`: stations and how well they are reached, who is on the air, and what happens there."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option
from meshlens.cli.wifi_modes import is_monitor
from meshlens.errors import UsageError

__all__ = ["command"]

EXAMPLES = """
The stations of this machine's Wi-Fi interfaces, until Ctrl-C:
  meshlens wifi

What rate control knows of each, once:
  meshlens wifi -i wlan0 --by rate-control --duration 0

Retries and losses by rate, every 10 seconds for an hour, as JSON lines:
  meshlens wifi -i wlan0 --by rate --json --interval 10 --duration 3600

Who comes, goes and roams, and why:
  meshlens wifi --events

Who is heard on a monitor interface, on the three usual channels of 2.4 GHz in turn:
  iw dev wlan0 interface add mon0 type monitor && ip link set mon0 up
  meshlens wifi -i mon0 --hop 1,6,11

Who looks for networks, in a capture file:
  meshlens wifi --read monday.pcap wlan type mgt subtype probe-req
"""

#: By mode: the options that belong to others, and what they are for.
_LIVE: Final = {
    "interfaces": "--interface", "interval_s": "--interval", "duration_s": "--duration",
}  # fmt: skip
_MONITOR: Final = {"idle_s": "--idle", "max_transmitters": "--max-transmitters", "hop": "--hop"}
_STATIONS: Final = {
    "view": "--by", "hooks": "--no-hooks", "max_stations": "--max-stations", "parquet": "--parquet",
}  # fmt: skip
MONITOR, STATIONS = "Monitor interfaces and capture files", "Interfaces in a network"


@click.command("wifi", cls=Command, examples=EXAMPLES)
@click.argument("words", nargs=-1, metavar="[EXPR]...")
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="Source",
        shell_complete=complete_interface,
        help="Look at this interface; can be given several times, globs too. Default: all monitor interfaces "
        "that are up; without any, all other Wi-Fi interfaces.")  # fmt: skip
@option("--read", "files", multiple=True, type=click.Path(), metavar="FILE", section="Source",
        help="Read this capture file (pcap, pcapng; '-' is standard input); can be given several "
        "times.")  # fmt: skip
@option("--duration", "duration_s", type=click.FloatRange(min=0), metavar="SECONDS", section="Source",
        help="End after so many seconds. Default: at Ctrl-C or SIGTERM.")  # fmt: skip
@option("--by", "view", type=click.Choice(["station", "bss", "interface", "rate", "rate-control"]),
        default="station", section=STATIONS,
        help="Add up by this; rate-control: for each station what Minstrel knows of its rates (default: "
        "station).")  # fmt: skip
@option("--no-hooks", "hooks", is_flag=True, flag_value=False, default=True, section=STATIONS,
        help="Attach nothing: only what nl80211 tells.")  # fmt: skip
@option("--max-stations", type=click.IntRange(min=1), default=1024, metavar="N", section=STATIONS,
        help="Room in the kernel (default: 1024, 14 MiB); what finds none is counted as missed.")  # fmt: skip
@option("--parquet", type=click.Path(), metavar="FILE", section=STATIONS,
        help="Write a Parquet file at the end instead, a row for each station and interval (needs "
        "pyarrow).")  # fmt: skip
@option("--hop", metavar="CHANNELS", section=MONITOR,
        help="Listen on these channels in turn, a quarter of a second each; one stays. Numbers with commas "
        "between, or MHz.")  # fmt: skip
@option("--idle", "idle_s", type=click.FloatRange(min=0), default=0, metavar="SECONDS", section=MONITOR,
        help="Forget transmitters not heard for so long (default: 0, never).")  # fmt: skip
@option("--max-transmitters", type=click.IntRange(min=1), default=4096, metavar="N", section=MONITOR,
        help="Room in the kernel for each interface (default: 4096, 10 MiB); what finds none is counted as "
        "missed.")  # fmt: skip
@option("--events", is_flag=True, section="Output",
        help="Print what happens instead: stations that join, leave, roam, lose their beacons or ACKs, "
        "channels that change.")  # fmt: skip
@option("--interval", "interval_s", type=click.FloatRange(min=0.1), default=1, metavar="SECONDS",
        section="Output", help="Print every so many seconds (default: 1).")  # fmt: skip
@json_option
@option("--survey", is_flag=True, section="Output",
        help="Print what Wi-Fi statistics there are, where each comes from and what shows it, and end; with "
        "--json as data.")  # fmt: skip
def command(words: tuple[str, ...], **options: Any) -> None:
    """Show the stations of Wi-Fi interfaces: frames, retries, losses, signal, rates, airtime of each.

    Which view it is, the interface decides. One that is in a network (access point, client, mesh) has
    stations: what was sent to each and came of it, from mac80211 and nl80211; each number says its source. A
    monitor interface, or a capture file, has transmitters: all that are heard, by radiotap and the 802.11
    header; EXPR is a tcpdump filter for these, in libpcap's language for 802.11.
    """
    ctx = click.get_current_context()
    interfaces, as_json, expression = options["interfaces"], options["as_json"], " ".join(words)
    if options["survey"]:
        from meshlens.wifi.survey import survey_json, survey_text

        click.echo(survey_json() if as_json else survey_text(), nl=False)
    elif options["events"]:
        _refuse(ctx, _MONITOR | _STATIONS | {"files": "--read", "interval_s": "--interval"}, "--events")
        _refuse_words(expression, "--events")
        from meshlens.cli.wifi_events import show_events

        show_events(interfaces, options["duration_s"], as_json=as_json)
    elif options["files"]:
        _refuse(ctx, _LIVE | _MONITOR, "--read", "is for interfaces; ")
        _refuse(ctx, _STATIONS, "--read")
        from meshlens.cli.wifi_monitor import show_files
        from meshlens.wifi.monitor.session import transmitters

        show_files(transmitters(read=options["files"], filter=expression), as_json=as_json)
    elif _wants_monitor(ctx, interfaces, expression):
        _refuse(ctx, _STATIONS, "others", "is for Wi-Fi interfaces that are in a network; ")
        _show_transmitters(interfaces, expression, options)
    else:
        _refuse(ctx, _MONITOR, "interfaces that are in a network")
        _refuse_words(expression, "interfaces that are in a network")
        _show_stations(interfaces, options)


def _show_transmitters(interfaces: Sequence[str], expression: str, options: Mapping[str, Any]) -> None:
    from meshlens.cli.wifi_monitor import channels_of, show_live
    from meshlens.wifi.monitor.session import transmitters

    channels = channels_of(options["hop"]) if options["hop"] else []
    session = transmitters(
        interfaces,
        filter=expression,
        max_transmitters=options["max_transmitters"],
        idle_s=options["idle_s"],
    )
    show_live(session, channels, options["interval_s"], options["duration_s"], as_json=options["as_json"])


def _show_stations(interfaces: Sequence[str], options: Mapping[str, Any]) -> None:
    from meshlens.cli.wifi_stations import show_stations
    from meshlens.wifi.joined.session import wifi_stations

    if options["as_json"] and options["parquet"]:
        raise UsageError("--json prints, --parquet writes a file: give one of them")
    hooks = options["hooks"]
    session = wifi_stations(interfaces, hooks=hooks, minstrel=hooks, max_stations=options["max_stations"])
    show_stations(
        session,
        options["view"],
        options["interval_s"],
        options["duration_s"],
        as_json=options["as_json"],
        parquet=options["parquet"],
    )


def _wants_monitor(ctx: click.Context, interfaces: Sequence[str], expression: str) -> bool:
    """What was asked for decides if it can be of one kind only, then the interfaces that are there."""
    given = {name for name in ctx.params if _given(ctx, name)}
    if not interfaces and (expression or given & _MONITOR.keys()):
        return True
    if not interfaces and given & _STATIONS.keys():
        return False
    return is_monitor(interfaces)


def _refuse(ctx: click.Context, options: Mapping[str, str], other: str, why: str = "") -> None:
    for name, flag in options.items():
        if _given(ctx, name):
            raise UsageError(f"{flag} {why or 'is not for this: '}it cannot go with {other}")


def _refuse_words(expression: str, other: str) -> None:
    if expression:
        raise UsageError(f"a filter is for monitor interfaces and capture files; it cannot go with {other}")


def _given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
