"""How a command's help is laid out, and that its code is loaded only when it runs."""

import click
import pytest

from meshlens.cli.command import Command, CommandGroup, LateCommand, option

EXAMPLES = """
Count ARP on all interfaces, in a line long enough to be wrapped if anybody wrapped it, which nobody must:
  meshlens count arp.list
"""


@click.command("probe", cls=Command, examples=EXAMPLES)
@option("--rate", section="Output", help="How often.")
@option("--interface", section="What", help="Where.")
@option("--format", section="Output", help="How.")
def probe() -> None:
    """Probe."""


def test_options_stand_in_their_sections_and_examples_as_written() -> None:
    assert probe.get_help(click.Context(probe, info_name="probe", terminal_width=60)) == (
        """\
Usage: probe [OPTIONS]

  Probe.

Output:
  --rate TEXT    How often.
  --format TEXT  How.

What:
  --interface TEXT  Where.

Options:
  --help  Show this message and exit.

Examples:
  Count ARP on all interfaces, in a line long enough to be wrapped if anybody wrapped it, which nobody must:
    meshlens count arp.list"""
    )


def test_a_late_command_is_imported_when_it_is_run_and_not_before(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = CommandGroup("top", commands=[LateCommand("late", "late_module_that_is_not_there", "One line.")])
    assert "late  One line." in group.get_help(click.Context(group))
    with pytest.raises(ModuleNotFoundError, match="late_module_that_is_not_there"):
        group.main(["late"], standalone_mode=False)


def test_a_late_command_parses_and_runs_as_the_real_one() -> None:
    group = CommandGroup("top", commands=[LateCommand("shell", "meshlens.cli.completion", "One line.")])
    with pytest.raises(click.BadParameter, match="'powershell' is not one of"):
        group.main(["shell", "powershell"], standalone_mode=False)
