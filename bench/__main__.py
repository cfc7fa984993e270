"""`python -m bench [CLAIM ...]`: measure and print, claim by claim; all of them without arguments.

The exit code is 0 also where a target is missed: the table says so.
"""

import os
import platform
import re
import signal
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console

from bench.measure import pin_to_one_cpu
from bench.network import keep_mounts_to_ourselves
from bench.report import Skip, print_json, print_table

CLAIMS = (
    "overhead_mix",
    "payload",
    "live_mix",
    "hannover",
    "scaling",
    "alternatives",
    "startup",
    "memory",
    "veth_path",
    "verifier",
    "libpcap",
    "capture",
    "flows",
    "interfaces",
    "flows_xdp",
    "together",
    "stations",
    "wifi_monitor",
    "wifi_hooks",
    "wifi",
    "classify_kernel",
    "classify_early",
    "classify_ethernet",
    "classify_flows",
    "serve",
    "fast_day",
)


@click.command()
@click.argument("claims", nargs=-1, type=click.Choice(CLAIMS), metavar="[CLAIM]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a figure, a line each.")
@click.option("--quick", is_flag=True, help="Fewer turns: figures that are less sure, sooner.")
def main(claims: tuple[str, ...], as_json: bool, quick: bool) -> None:
    """Measure and print: overhead_mix, payload, ... (the files in bench/); all of them without arguments."""
    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else 120)
    console.print(_machine(), highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with all clean-up, as Ctrl-C
    pin_to_one_cpu()
    if os.geteuid() == 0:
        keep_mounts_to_ourselves()
    for claim in claims or CLAIMS:
        module = import_module(f"bench.{claim}")
        title = f"{claim}: {str(module.__doc__).splitlines()[0]}"
        try:
            figures = list(module.figures(quick))
        except Skip as reason:
            console.print(f"{claim}: not measured: {reason}", style="yellow")
            continue
        if as_json:
            print_json(claim, figures)
        else:
            print_table(console, title, figures)


def _machine() -> str:
    cpus = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) or [platform.machine()]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}, Linux {platform.release()}, {len(cpus)} x {cpus[0]}, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main(prog_name="bench")
