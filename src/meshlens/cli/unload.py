"""`meshlens unload`: take a program off an interface."""

import click
from click.shell_completion import CompletionItem

from meshlens.cli.command import Command, option
from meshlens.cli.options import complete_interface
from meshlens.errors import MeshlensError, UsageError

__all__ = ["command"]

EXAMPLES = """
What was loaded under a name:
  meshlens unload --pin eth0@xdp

A program by its number in 'meshlens status', whosever it is:
  meshlens unload -i eth0 --id 42
"""


def complete_pin(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of what is loaded, as far as we may see it."""
    from meshlens.probes.loading.loaded import loaded_programs

    try:
        return [CompletionItem(each.pin) for each in loaded_programs() if each.pin.startswith(incomplete)]
    except MeshlensError:
        return []


@click.command("unload", cls=Command, examples=EXAMPLES)
@option("--pin", metavar="NAME", section="What", shell_complete=complete_pin,
        help="What 'meshlens load' left under this name or path.")  # fmt: skip
@option("-i", "--interface", metavar="IFACE", section="What", shell_complete=complete_interface,
        help="Where the program is, for --id and --all-ours.")  # fmt: skip
@option("--id", "program_id", type=click.IntRange(min=1), metavar="ID", section="What",
        help="The program of this number, also if it is not ours.")  # fmt: skip
@option("--all-ours", is_flag=True, section="What",
        help="All that 'meshlens load' left on the interface under a name.")  # fmt: skip
def command(pin: str | None, interface: str | None, program_id: int | None, all_ours: bool) -> None:
    """Take programs off interfaces: only what is named, and somebody else's only by its number.

    Counters that 'meshlens count --pin' left are ended by 'meshlens detach'.
    """
    from meshlens.probes.loading.load import unload_all, unload_id, unload_pin

    named = [pin is not None, program_id is not None, all_ours]
    if sum(named) != 1:
        raise UsageError("say what to unload: --pin NAME, -i IFACE --id ID, or -i IFACE --all-ours")
    if pin is not None:
        if interface:
            raise UsageError("--pin says it all: leave --interface out")
        click.echo(f"program {unload_pin(pin).program_id} is off")
    elif interface is None:
        raise UsageError("say where: -i IFACE")
    elif program_id is not None:
        unload_id(interface, program_id)
        click.echo(f"program {program_id} is off {interface}")
    else:
        gone = unload_all(interface)
        for each in gone:
            click.echo(f"program {each.program_id} ({each.pin}) is off {interface}")
        if not gone:
            click.echo(f"nothing of ours is on {interface}")
