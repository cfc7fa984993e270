"""Options that several commands share."""

from pathlib import Path

import click

from meshlens.cli.command import option

__all__ = ["complete_interface", "json_option"]

json_option = option(
    "--json", "as_json", is_flag=True, section="Output", help="Print JSON, one object a line."
)


def complete_interface(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the interfaces of this network namespace whose names start with `incomplete`."""
    return sorted(path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(incomplete))
