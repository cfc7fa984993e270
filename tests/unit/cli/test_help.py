"""The whole help text of each command is pinned: a change of the command line is a change of these files.

`pytest tests/unit/cli --update-help` writes them anew.
"""

from importlib import import_module
from pathlib import Path

import pytest

from meshlens.cli import classify
from meshlens.cli.main import COMMANDS, run

HELP = Path(__file__).parent / "help"
# The modules of all commands, by what is typed; those of a group by two words.
MODULES = {name: module for name, (module, _) in COMMANDS.items()} | {
    f"classify {name}": module for name, (module, _) in classify.COMMANDS.items()
}


@pytest.mark.parametrize("command", ["meshlens", *MODULES])
def test_help_text_is_as_pinned(
    command: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    if command in MODULES:  # click remembers the help option of who asked first: of another test
        monkeypatch.setattr(import_module(MODULES[command]).command, "_help_option", None)
    assert run([*command.split(), "--help"] if command in MODULES else ["--help"]) == 0
    text = capsys.readouterr().out
    pinned = HELP / f"{command.replace(' ', '-')}.txt"
    if request.config.getoption("--update-help"):
        pinned.write_text(text)
    assert text == pinned.read_text()


def test_no_pinned_help_is_left_of_a_command_that_is_gone() -> None:
    assert {path.stem for path in HELP.glob("*.txt")} <= {
        name.replace(" ", "-") for name in ("meshlens", *MODULES)
    }
