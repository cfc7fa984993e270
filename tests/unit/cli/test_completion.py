"""Completion, as the shells themselves see it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meshlens.cli.main import run
from meshlens.cli.options import complete_interface

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def complete_in_bash(*words: str) -> list[str]:
    """What bash offers after `words`, the last of which is still being typed."""
    script = """
        source <(meshlens completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _meshlens_completion meshlens
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words], env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["meshlens", "co"], ["count", "completion"]),
        (["meshlens", "completion", ""], ["bash", "zsh", "fish"]),
        (["meshlens", "completion", "--h"], ["--help"]),
        (["meshlens", "x"], []),
    ],
)
def test_bash_completes_commands_arguments_and_options(words: list[str], offered: list[str]) -> None:
    assert complete_in_bash(*words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_the_shell_can_read(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_MESHLENS_COMPLETE={shell}_complete" in script
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed, its syntax is not checked")
    subprocess.run([shell, "-n"], input=script, check=True, text=True)


def test_interface_names_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lo" in complete_interface(None, None, "l")  # type: ignore[arg-type]
    assert complete_interface(None, None, "no-such-name") == []  # type: ignore[arg-type]
