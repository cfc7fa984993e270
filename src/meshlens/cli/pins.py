"""What the commands on pinned counters share."""

import click

__all__ = ["complete_pin"]


def complete_pin(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of pinned counters that start with `incomplete`."""
    from meshlens.probes.count.pinned import pin_names

    return [name for name in pin_names() if name.startswith(incomplete)]
