"""The whole help text of each command is pinned: a change of the command line is a change of these files.

`pytest tests/unit/cli --update-help` writes them anew.
"""

from importlib import import_module
from pathlib import Path

import pytest

from meshlens.cli.main import COMMANDS, run

HELP = Path(__file__).parent / "help"


@pytest.mark.parametrize("command", ["meshlens", *COMMANDS])
def test_help_text_is_as_pinned(
    command: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    if command in COMMANDS:  # click remembers the help option of who asked first: of another test
        monkeypatch.setattr(import_module(COMMANDS[command][0]).command, "_help_option", None)
    assert run([command, "--help"] if command in COMMANDS else ["--help"]) == 0
    text = capsys.readouterr().out
    pinned = HELP / f"{command}.txt"
    if request.config.getoption("--update-help"):
        pinned.write_text(text)
    assert text == pinned.read_text()


def test_no_pinned_help_is_left_of_a_command_that_is_gone() -> None:
    assert {path.stem for path in HELP.glob("*.txt")} <= {"meshlens", *COMMANDS}
