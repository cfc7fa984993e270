"""The `meshlens` command."""

import click

from meshlens import __version__


@click.group()
@click.version_option(__version__, prog_name="meshlens")
def main() -> None:
    """Count and classify network traffic inside the kernel."""
