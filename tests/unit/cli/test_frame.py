"""The frame in which every command runs: what is imported, what is printed, which code is returned."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from meshlens import __version__
from meshlens.cli.main import COMMANDS, COMPLETE_VARIABLE, cli, run
from meshlens.errors import MeshlensError, UsageError

HEAVY = {"rich", "cypcap", "pyroute2", "ctypes", "asyncio", "meshlens.ebpf", "meshlens.filters"}

MESHLENS = [sys.executable, "-m", "meshlens"]


@pytest.fixture
def run_as_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """Run a function as if it were the command `meshlens probe`; return the exit code."""

    def invoke(callback: Callable[[], object]) -> int:
        monkeypatch.setitem(cli.commands, "probe", click.Command("probe", callback=callback))
        return run(["probe"])

    return invoke


def raising(error: BaseException) -> Callable[[], None]:
    def callback() -> None:
        raise error

    return callback


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--help"], {}),
        (["--version"], {}),
        ([], {COMPLETE_VARIABLE: "bash_complete", "COMP_WORDS": "meshlens c", "COMP_CWORD": "1"}),
    ],
    ids=["help", "version", "completion"],
)
def test_help_version_and_completion_import_nothing_heavy(
    words: list[str], environment: dict[str, str]
) -> None:
    program = "import sys; from meshlens.cli.main import run; run(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    modules = set(done.stdout.splitlines()[-1].split())
    assert "meshlens.cli.main" in modules
    assert not modules & (HEAVY | {module for module, _ in COMMANDS.values()})


def test_help_names_every_command_in_the_order_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    section = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in section.splitlines()] == list(COMMANDS)
    assert "..." not in section


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([*MESHLENS, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"meshlens {__version__}\n"


def test_no_command_prints_the_help_as_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: meshlens")


@pytest.mark.parametrize(
    ("command", "typed", "problem"),
    [
        ("meshlens", "cuont", "No such command 'cuont'. Did you mean 'count'?"),
        ("meshlens", "--versoin", "No such option '--versoin'. Did you mean '--version'?"),
        ("meshlens completion", "--hepl", "No such option '--hepl'. Did you mean '--help'?"),
    ],
)
def test_a_typing_error_gets_one_line_with_what_was_meant(
    command: str, typed: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command.split()[1:], typed]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{command}: {problem} See '{command} --help'.\n")


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (MeshlensError("eth9: no such interface"), "meshlens: eth9: no such interface\n", 1),
        (UsageError("x.list:3: no ';'"), "meshlens: x.list:3: no ';'\n", 2),
        (FileNotFoundError(2, "No such file", "x.list"), "meshlens: x.list: No such file\n", 1),
        (OSError(98, "Address already in use"), "meshlens: Address already in use\n", 1),
        (TimeoutError("no answer in 5 s"), "meshlens: no answer in 5 s\n", 1),
        (KeyboardInterrupt(), "", 130),
        (BrokenPipeError(32, "Broken pipe"), "", 141),
        (click.ClickException("no"), "meshlens: no\n", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_a_user_can_cause_is_one_line_and_a_code(
    error: BaseException,
    line: str,
    code: int,
    run_as_command: Callable[[Callable[[], object]], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_as_command(raising(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", line)


def test_a_bug_of_ours_keeps_its_traceback(run_as_command: Callable[[Callable[[], object]], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        run_as_command(raising(ZeroDivisionError()))


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_a_command_may_return_its_exit_code(
    returned: object, code: int, run_as_command: Callable[[Callable[[], object]], int]
) -> None:
    assert run_as_command(lambda: returned) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_with_its_cleanup_done(
    number: signal.Signals, code: int, run_as_command: Callable[[Callable[[], object]], int]
) -> None:
    done = []

    def callback() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            done.append("cleaned up")

    assert run_as_command(callback) == code
    assert done == ["cleaned up"]


def test_a_second_sigterm_does_not_interrupt_the_cleanup(
    run_as_command: Callable[[Callable[[], object]], int],
) -> None:
    done = []

    def callback() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("cleaned up")

    assert run_as_command(callback) == 143
    assert done == ["cleaned up"]


def test_the_caller_has_its_sigterm_handler_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run(["completion", "fish"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_leaves_early_ends_it_silently() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MESHLENS, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*MESHLENS, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "meshlens: No space left on device\n")


def test_it_runs_with_standard_output_closed() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "bash", *MESHLENS, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_no_color_turns_colours_off(
    no_color: str,
    coloured: bool,
    run_as_command: Callable[[Callable[[], object]], int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    run_as_command(lambda: click.secho("red", fg="red"))
    assert ("\x1b[31m" in capsys.readouterr().out) is coloured
