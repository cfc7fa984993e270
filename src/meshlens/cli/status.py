"""`meshlens status`: what is attached to the interfaces, by whom, at what cost."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option
from meshlens.probes.status import AttachedProgram, attached_programs, measure_runs

__all__ = ["command"]

EXAMPLES = """
What is attached, in the order in which it runs:
  meshlens status

What it costs: measure every run for five seconds:
  meshlens status --stats 5 -i mesh0
"""

# Heading, and whether the column is one of numbers.
_COLUMNS = (
    ("INTERFACE", False), ("HOOK", False), ("DIR", False), ("#", True), ("PLACE", False), ("PROGRAM", False),
    ("ID", True), ("TAG", False), ("INSNS", True), ("KIB", True), ("AGE", True), ("RUNS", True),
    ("NS/RUN", True), ("BY", False),
)  # fmt: skip


@click.command("status", cls=Command, examples=EXAMPLES)
@option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", section="What",
        shell_complete=complete_interface,
        help="Only this interface, or those that fit a glob like 'wlan*'; can be repeated.")  # fmt: skip
@option("--stats", "seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", section="What",
        help="Switch run statistics on for so long and say what was measured; they slow every BPF program "
        "of the machine down by some 20 ns a run.")  # fmt: skip
@json_option
def command(interfaces: tuple[str, ...], seconds: float | None, as_json: bool) -> None:
    """List the BPF programs on network interfaces: XDP, TCX and clsact, ours and others'.

    Programs of a hook are listed in the order in which they run. PLACE is the link that holds a program, or
    priority and handle of a clsact filter. KIB is the memory of a program and its maps; AGE is the time since
    it was loaded. RUNS and NS/RUN are what was measured while run statistics were on (--stats, or sysctl
    kernel.bpf_stats_enabled). What was pinned and is off its interface is listed too.
    """
    programs = attached_programs(interfaces)
    if seconds:
        programs = measure_runs(programs, seconds)
    if as_json:
        for each in programs:
            click.echo(json.dumps(asdict(each) | {"ns_per_run": each.ns_per_run}))
    else:
        click.echo(_table([_cells(each) for each in programs]) if programs else "nothing is attached")


def _cells(program: AttachedProgram) -> list[str]:
    by = "meshlens" if program.ours else "another"
    if program.pin:
        by += f", pinned as {program.pin}"
    if program.state != "attached":
        by += f" ({program.state})"
    return [
        program.interface or "-",
        program.hook,
        program.direction or "-",
        str(program.position or "-"),
        _place(program),
        program.name or "-",
        str(program.program_id),
        program.tag,
        str(program.instructions),
        str(-(-program.memory_bytes // 1024)),
        _age(program),
        str(program.run_count) if program.run_count else "-",
        "-" if program.ns_per_run is None else f"{program.ns_per_run:.0f}",
        by,
    ]


def _place(program: AttachedProgram) -> str:
    if program.link_id:
        return f"link {program.link_id}"
    return f"{program.priority}:{program.handle:#x}" if program.handle else "-"


def _age(program: AttachedProgram) -> str:
    """How long ago it was loaded, in the largest unit that fits."""
    seconds = max(0, time.time_ns() - program.loaded_ns) // 1_000_000_000
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [[heading for heading, _ in _COLUMNS], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, (_, is_number) in zip(line, widths, _COLUMNS, strict=True)
        ).rstrip()
        for line in lines
    )
