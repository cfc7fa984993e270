"""Options that several commands share."""

from collections.abc import Mapping
from pathlib import Path

import click

from meshlens.cli.command import option
from meshlens.errors import UsageError

__all__ = ["complete_interface", "json_option", "refuse_live_options"]

json_option = option(
    "--json", "as_json", is_flag=True, section="Output", help="Print JSON, one object a line."
)


def complete_interface(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the interfaces of this network namespace whose names start with `incomplete`."""
    return sorted(path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith(incomplete))


def refuse_live_options(live_only: Mapping[str, str], use: str = "interfaces") -> None:
    """Raise UsageError if one of these (parameter: flag) was given with --read; `use`: what they are for."""
    ctx = click.get_current_context()
    for name, flag in live_only.items():
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise UsageError(f"{flag} is for {use}; it cannot go with --read")
