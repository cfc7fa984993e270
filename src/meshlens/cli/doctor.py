"""`meshlens doctor`: what this kernel supports, what is missing, and which command suffers."""

import json
import os
import platform
from collections.abc import Iterator
from typing import NamedTuple

import click

from meshlens import __version__
from meshlens.cli.command import Command
from meshlens.cli.options import json_option
from meshlens.ebpf.capabilities import has_capability
from meshlens.ebpf.cpus import possible_cpus
from meshlens.ebpf.features import Feature, features
from meshlens.wifi.features import HOOKS, MINSTREL, MONITOR, NL80211, wifi_features

__all__ = ["command"]

EXAMPLES = """
What to fix before the first count:
  meshlens doctor

Is this fleet ready? Exit status 0 where every command works:
  for host in $(cat hosts); do ssh $host meshlens doctor --json > $host.json || echo $host; done
"""


class Effect(NamedTuple):
    """What it means that a feature is missing; `fatal` where a command then cannot do its work at all."""

    text: str
    fatal: bool = False


PRIVILEGES = "privileges to load and attach programs"
CAPABILITIES = ("bpf", "net_admin", "perfmon")

NOTHING_COUNTED = Effect("count, bpfcountd: cannot count on interfaces", fatal=True)
NOTHING_SHARED = Effect(
    "count, capture, flows, stations, interfaces: cannot read what they count", fatal=True
)
NO_HASH = Effect("flows, stations: have nowhere to keep them", fatal=True)

EFFECTS = {
    PRIVILEGES: Effect("all but count --read, which uses the interpreter", fatal=True),
    "program: sched_cls (tc)": Effect(
        "count: works with --attach socket only; capture, flows, stations, interfaces: do not work; "
        "load: takes XDP programs only",
        fatal=True,
    ),
    "program: xdp": Effect(
        "count --attach xdp, xdp-generic, capture --at entry: do not work; load: at tc only"
    ),
    "program: socket filter": Effect("bpfcountd, count --attach socket: do not work", fatal=True),
    "map: array": NOTHING_COUNTED,
    "map: mmap-able array": NOTHING_SHARED,
    "map: per-CPU array": NOTHING_COUNTED,
    "map: hash": NO_HASH,
    "map: ring buffer": Effect("flows: do not work on interfaces", fatal=True),
    "attach: TCX": Effect(
        "count, capture, flows, stations, interfaces: attach by clsact, which a killed process leaves "
        "behind; load: has no --hook tcx-in, tcx-out"
    ),
    "attach: fentry and fexit": Effect("capture --at exit: does not work"),
    "test run": Effect("count --read, flows --read: use the interpreter, which is slower"),
    "run statistics": Effect("status --stats: cannot measure"),
    "pins (bpffs)": Effect("read, detach, unload: find nothing until count --pin or load, which mount one"),
    "just-in-time compiler": Effect("all that count: cost several times more"),
    NL80211: Effect("wifi: has only --read and --survey; --events: does not work"),
    HOOKS: Effect("wifi: has no rates, latencies, histograms; counts are nl80211's, since a station joined"),
    MINSTREL: Effect("wifi --by rate-control: has no table"),
    MONITOR: Effect("wifi: cannot hear who is on the air"),
}
NO_COMMAND = Effect("no command, only probes of your own that use it")


@click.command("doctor", cls=Command, examples=EXAMPLES)
@json_option
def command(as_json: bool) -> int:
    """Say what this kernel supports, what is missing, and which command suffers.

    Each feature is tried, not guessed from the kernel's version; nothing stays loaded or attached. Where
    there is nl80211, the sources of Wi-Fi's statistics are tried, too. What is missing is listed with the
    reason and the remedy, then with the commands that suffer.

    The exit status is 1 if a command cannot do its work here, else 0.
    """
    found = list(findings())
    works = not any(effect_of(finding).fatal for finding in found if not finding.supported)
    lines = json_lines(found, works) if as_json else text_lines(found, works)
    for line in lines:
        click.echo(line)
    return 0 if works else 1


def findings() -> Iterator[Feature]:
    """Yield the privileges, then, if they allow to try it, each feature of the kernel."""
    missing = [name for name in CAPABILITIES if not has_capability(name)]
    if missing and not has_capability("sys_admin"):
        names = ", ".join(f"CAP_{name.upper()}" for name in missing)
        why = f"run as root, or with {names}; until then, the kernel's features cannot be tried"
        yield Feature(PRIVILEGES, supported=False, why=why)
        return
    yield Feature(PRIVILEGES, supported=True, why="")
    yield from features()
    yield from wifi_features()


def effect_of(finding: Feature) -> Effect:
    """Return what it means that this feature is missing."""
    return EFFECTS.get(finding.name, NO_COMMAND)


def text_lines(found: list[Feature], works: bool) -> Iterator[str]:
    """Yield the report for a person."""
    yield ", ".join(f"{name} {version}" for name, version in versions().items())
    yield ""
    for finding in found:
        yield f"{_answer(finding)} {finding.name}"
        if not finding.supported:
            yield f"      {finding.why}"
            yield f"      suffers: {effect_of(finding).text}"
    yield ""
    missing = sum(not finding.supported for finding in found)
    if not works:
        yield "Some commands do not work here."
    elif missing:
        yield f"Every command works; missing features: {missing} of {len(found)}."
    else:
        yield "Every command works, nothing is missing."


def _answer(finding: Feature) -> str:
    if finding.supported:
        return click.style("yes  ", fg="green")
    return click.style("no   ", fg="red" if effect_of(finding).fatal else "yellow")


def json_lines(found: list[Feature], works: bool) -> Iterator[str]:
    """Yield an object a feature, then one with the summary and the versions."""
    for finding in found:
        record: dict[str, object] = {"feature": finding.name, "supported": finding.supported}
        if not finding.supported:
            effect = effect_of(finding)
            record |= {"why": finding.why, "suffers": effect.text, "fatal": effect.fatal}
        yield json.dumps(record)
    yield json.dumps({"works": works, "versions": versions()})


def versions() -> dict[str, str]:
    """Return what a bug report should name."""
    import cypcap

    system = os.uname()
    return {
        "meshlens": __version__,
        "Linux": f"{system.release} ({system.machine}, {possible_cpus()} CPUs)",
        "Python": platform.python_version(),
        "libpcap": cypcap.lib_version().removeprefix("libpcap version ").split()[0],
    }
