"""`meshlens classify`: the group of commands about fingerprints and models."""

import click

from meshlens.cli.command import CommandGroup, LateCommand

__all__ = ["COMMANDS", "command"]

# name: (module that holds `command`, the line in `meshlens classify --help`)
COMMANDS = {
    "features": ("meshlens.cli.classify_features", "Make a table of fingerprints from capture files."),
    "train": ("meshlens.cli.classify_train", "Learn a model from labelled captures."),
    "evaluate": ("meshlens.cli.classify_evaluate", "Test a model with labelled captures it never saw."),
    "run": ("meshlens.cli.classify_run", "Say what stations or flows are, by a model in the kernel."),
    "explain": ("meshlens.cli.classify_explain", "Say what a model takes in the kernel."),
}


@click.group(
    "classify",
    cls=CommandGroup,
    commands=[LateCommand(name, module, line) for name, (module, line) in COMMANDS.items()],
)
def command() -> None:
    """Tell devices and traffic apart by fingerprints: what type a station is of, what a flow carries.

    A fingerprint is a row of numbers that the kernel keeps of a station or a flow; a model is made of trees
    that look at these numbers. Models are learnt from labelled captures and run in the kernel.

    Run 'meshlens classify COMMAND --help' for the options and examples of a command.
    """
