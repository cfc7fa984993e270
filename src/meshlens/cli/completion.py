"""`meshlens completion`: the script that teaches a shell our commands, options and interface names."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from meshlens.cli.command import Command
from meshlens.cli.main import COMPLETE_VARIABLE, cli

__all__ = ["command"]

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}

EXAMPLES = """
For this shell only:
  source <(meshlens completion bash)

For every new one:
  meshlens completion bash > /etc/bash_completion.d/meshlens
  meshlens completion zsh > "${fpath[1]}/_meshlens"
  meshlens completion fish > ~/.config/fish/completions/meshlens.fish
"""


@click.command("completion", cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> None:
    """Print the script that completes commands, options and interface names in SHELL."""
    completer = SHELLS[shell](cli, {}, "meshlens", COMPLETE_VARIABLE)
    # Not completer.source(): for bash it starts a bash only to warn about versions older than 4.4.
    click.echo(completer.source_template % completer.source_vars())
