"""`meshlens load`: leave an XDP or tc program on an interface."""

import json
import sys
from typing import TYPE_CHECKING

import click

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface, json_option

if TYPE_CHECKING:
    from meshlens.ebpf import XdpMode
    from meshlens.probes.loading.programs import HookName

__all__ = ["command"]

EXAMPLES = """
An object of clang's, with the XDP program in it:
  clang -O2 -g -target bpf -c filter.c && meshlens load filter.o -i eth0

One of several programs in it, on what goes out:
  meshlens load shaper.o --program mark -i eth0 --hook tcx-out --pin mark

A ProgramSpec that a Python file defines, in the place of program 42:
  meshlens load probe.py:PROBE -i wlan0 --hook xdp --replace 42
"""

HOOKS = ("xdp", "tcx-in", "tcx-out", "clsact-in", "clsact-out")
MODES = ("auto", "native", "generic", "offload")


@click.command("load", cls=Command, examples=EXAMPLES)
@click.argument("source", metavar="PROGRAM", type=click.Path())
@option("-i", "--interface", required=True, metavar="IFACE", section="Where",
        shell_complete=complete_interface, help="The interface.")  # fmt: skip
@option("--hook", type=click.Choice(HOOKS), section="Where",
        help="Where frames pass it (default: what the object's section says).")  # fmt: skip
@option("--mode", type=click.Choice(MODES), default="auto", section="Where",
        help="XDP in the driver (native), behind it (generic), or by the device itself (offload). Default: "
        "native where the driver can, else generic.")  # fmt: skip
@option("--replace", type=click.IntRange(min=1), metavar="ID", section="Where",
        help="Take the place of this program, without a gap.")  # fmt: skip
@option("--program", "--section", "name", metavar="NAME", section="What",
        help="The program in the object, by its function or section.")  # fmt: skip
@option("--pin", metavar="NAME", section="What",
        help="What to call it, or a path on a bpffs (default: interface and hook, as in "
        "eth0@xdp).")  # fmt: skip
@json_option
def command(
    source: str,
    interface: str,
    hook: "HookName | None",
    mode: "XdpMode",
    replace: int | None,
    name: str | None,
    pin: str | None,
    as_json: bool,
) -> None:
    """Attach an XDP or tc program to an interface, where it stays until 'meshlens unload'.

    PROGRAM is an ELF object as clang makes it (-target bpf), FILE.py:NAME for a ProgramSpec written in
    Python, or one of ours: 'pass' lets every frame go on, 'drop' drops every frame.

    A program that is there is never replaced unless --replace names it. At TCX and clsact programs share the
    hook. No libbpf is needed; what only libbpf does (CO-RE, kernel functions) is refused by name.
    """
    from meshlens.probes.loading.load import load_program
    from meshlens.probes.loading.programs import find_program

    spec, side = find_program(source, name, hook)
    loaded = load_program(spec, interface, hook=hook, side=side, mode=mode, pin=pin, replace=replace)
    if as_json:
        click.echo(json.dumps({"program_id": loaded.program_id, "pin": loaded.pin, "interface": interface}))
    else:
        ending = f"'meshlens unload --pin {loaded.pin}' ends it"
        click.echo(f"program {loaded.program_id} ({spec.name}) is on {interface} as {loaded.pin}; {ending}")
    sys.stdout.flush()
