"""`meshlens detach`: end pinned counters."""

import click

from meshlens.cli.command import Command, option
from meshlens.cli.pins import complete_pin
from meshlens.errors import UsageError

__all__ = ["command"]

EXAMPLES = """
End the counter that 'meshlens count --pin mesh0' left in the kernel:
  meshlens detach mesh0
"""


@click.command("detach", cls=Command, examples=EXAMPLES)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_pin)
@option("--all", "every", is_flag=True, section="What", help="End all pinned counters.")
def command(names: tuple[str, ...], every: bool) -> None:
    """End the counters pinned as NAME: detach their programs and remove their pins.

    Their counts are lost; other programs on the same interfaces go on.
    """
    from meshlens.probes.count.pinned import pin_names
    from meshlens.probes.count.pins import detach_pin

    if bool(names) == every:
        raise UsageError("say which counters to end: either NAME... or --all")
    ending = pin_names() if every else list(dict.fromkeys(names))
    for name in ending:
        detach_pin(name)
        click.echo(f"detached {name}")
    if not ending:
        click.echo("nothing is pinned")
