"""`meshlens serve`: one daemon for all probes and outputs, with a dashboard, an API and metrics."""

import logging
from functools import partial
from typing import TYPE_CHECKING

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface

if TYPE_CHECKING:
    from meshlens.cli.serve_settings import Settings

__all__ = ["command"]

NO_MAC = "00:00:00:00:00:00"

EXAMPLES = """
All interfaces that are up; the dashboard is at http://127.0.0.1:9617/, metrics at /metrics:
  meshlens serve

The mesh only, for others in the network too:
  openssl rand -hex 16 > /etc/meshlens/token
  meshlens serve -i 'mesh*' --listen 0.0.0.0:9617 --token-file /etc/meshlens/token

As a service, with filter lists, a history and further outputs:
  meshlens serve --config /etc/meshlens/meshlens.toml --check
  meshlens serve --config /etc/meshlens/meshlens.toml
"""


@click.command("serve", cls=Command, examples=EXAMPLES)
@option("--config", type=click.Path(), metavar="FILE", section="What to do",
        help="Read this TOML file; packaging/meshlens.toml is one with all keys. SIGHUP reads it, and the "
        "filter lists it names, again.")  # fmt: skip
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="What to do",
        shell_complete=complete_interface,
        help="Watch this interface, or those that fit a glob like 'wlan*'; can be given several times. "
        "Default: those of the file, else all that are up.")  # fmt: skip
@option("--check", is_flag=True, section="What to do",
        help="Say whether the file and the filter lists are right, and end.")  # fmt: skip
@option("--listen", metavar="HOST:PORT", section="Who may ask",
        help="Answer HTTP here (default: 127.0.0.1:9617). Elsewhere than on this machine a token is "
        "needed.")  # fmt: skip
@option("--token-file", type=click.Path(), metavar="FILE", section="Who may ask",
        help="Answer only who knows the token in this file.")  # fmt: skip
def command(
    config: str | None, interfaces: tuple[str, ...], check: bool, listen: str | None, token_file: str | None
) -> None:
    """Watch interfaces, stations, flows and filters; serve a dashboard, a JSON API and Prometheus metrics.

    A TOML file adds filter lists, a history that survives restarts (see 'meshlens history'), and outputs:
    respondd, InfluxDB, JSON lines, Parquet, a file for node_exporter.
    """
    from meshlens.cli.serve_run import serve
    from meshlens.cli.serve_settings import load_settings

    load = partial(load_settings, config, interfaces=interfaces, listen=listen, token_file=token_file)
    settings = load()
    logging.basicConfig(format="meshlens: %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if check:
        click.echo(_check(settings))
    else:
        serve(settings, load)


def _check(settings: "Settings") -> str:
    """What would run. Raises UsageError for filters and tokens that are wrong."""
    from meshlens.cli.serve_run import open_monitor
    from meshlens.cli.serve_settings import read_token
    from meshlens.filters.compiler import compile_list

    listed = settings.filter_list()
    if listed:
        compile_list(listed.with_mac(NO_MAC))
    if settings.token_file:
        read_token(settings.token_file)
    probes = ", ".join(open_monitor(settings).probes)
    where = ", ".join(settings.interfaces) or "all interfaces"
    return f"right: {probes} on {where}; {len(listed or ())} filters; listens on {settings.listen}"
