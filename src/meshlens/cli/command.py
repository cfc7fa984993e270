"""How a command of `meshlens` looks: options in named sections, examples kept as typed, code loaded late."""

from functools import partial
from importlib import import_module
from typing import Any

import click

__all__ = ["Command", "CommandGroup", "LateCommand", "option"]


class Option(click.Option):
    """An option that names the section of the help text in which it stands."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


option = partial(click.option, cls=Option)


class Command(click.Command):
    """A command whose help ends with `examples`, printed line by line as written.

    Options declared with `option(..., section="Output")` are listed under that heading, sections in the
    order of their first option.
    """

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, one list a section; those without a section (`--help`) come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title in sorted(sections, key=lambda title: title == "Options"):
            with formatter.section(title):
                formatter.write_dl(sections[title])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog, then the examples, which keep their line ends."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip("\n").splitlines():
                    formatter.write(f"  {line}".rstrip() + "\n")


class LateCommand(click.Command):
    """A name and one line of help; the command itself is `module.command`, imported when it is run.

    So that `meshlens --help` and completion of command names import nothing else of meshlens.
    """

    def __init__(self, name: str, module: str, help_line: str) -> None:
        super().__init__(name, short_help=help_line)
        self.module = module

    def load(self) -> click.Command:
        """Import the module and return its `command`."""
        command = import_module(self.module).command
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse with the real command: the context carries it, and click invokes what the context carries."""
        return self.load().make_context(info_name, args, parent, **extra)


class CommandGroup(click.Group):
    """A group that lists its commands in the order of its table, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return list(self.commands)
