"""The `meshlens` command: the table of its commands, and the frame in which each of them runs."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from meshlens import __version__
from meshlens.cli.command import CommandGroup, LateCommand
from meshlens.cli.errors import Terminated, explain

__all__ = ["COMMANDS", "COMPLETE_VARIABLE", "cli", "main", "run"]

# name: (module that holds `command`, the line in `meshlens --help`)
COMMANDS = {
    "count": ("meshlens.cli.count", "Count traffic by tcpdump filters, in the kernel."),
    "capture": ("meshlens.cli.capture", "Write frames to pcapng files, filtered in the kernel."),
    "wifi": ("meshlens.cli.wifi", "Show who is on the air: frames, retries, signal, rates."),
    "top": ("meshlens.cli.top", "Show who sends what right now: interfaces, stations, flows."),
    "flows": ("meshlens.cli.flows", "Print who talks to whom: flows, added up in the kernel."),
    "interfaces": ("meshlens.cli.interfaces", "Show what passes through interfaces, and what was dropped."),
    "stations": ("meshlens.cli.stations", "Print who is there: stations, and what tells their kind."),
    "classify": ("meshlens.cli.classify", "Tell types of devices and traffic: learn, test and run models."),
    "serve": ("meshlens.cli.serve", "Watch all as a daemon: dashboard, JSON API, Prometheus, history."),
    "history": ("meshlens.cli.history", "Ask the history that 'meshlens serve' keeps."),
    "bpfcountd": ("meshlens.cli.bpfcountd", "Stand in for bpfcountd: its flags, its socket."),
    "read": ("meshlens.cli.read", "Print the counts of a pinned counter."),
    "detach": ("meshlens.cli.detach", "End a pinned counter."),
    "status": ("meshlens.cli.status", "List what is attached to interfaces, by whom, at what cost."),
    "load": ("meshlens.cli.load", "Leave an XDP or tc program on an interface."),
    "unload": ("meshlens.cli.unload", "Take a program off an interface."),
    "doctor": ("meshlens.cli.doctor", "Say what this kernel supports and which command suffers."),
    "completion": ("meshlens.cli.completion", "Print the completion script for a shell."),
}

# The variable by which the completion script of a shell asks for candidates.
COMPLETE_VARIABLE = "_MESHLENS_COMPLETE"


@click.group(
    cls=CommandGroup,
    commands=[LateCommand(name, module, line) for name, (module, line) in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 success, 1 failure, 2 wrong usage, 130 ended by Ctrl-C, 143 ended by SIGTERM.",
)
@click.version_option(__version__, prog_name="meshlens", message="%(prog)s %(version)s")
def cli() -> None:
    """See and count the traffic of mesh networks inside the kernel.

    meshlens turns a list of tcpdump filters into one eBPF program, attaches it to network interfaces and
    reads the counters: no frame leaves the kernel, no compiler or kernel headers are needed.

    Run 'meshlens COMMAND --help' for the options and examples of a command.
    """


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    sys.exit(run())


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code.

    What a user can cause ends as one line on standard error; only a bug of ours raises.
    """
    words = list(sys.argv[1:] if args is None else args)
    code = _guarded(lambda: _dispatch(words))
    _settle_output()
    return code


def _dispatch(words: list[str]) -> int:
    if question := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "meshlens", COMPLETE_VARIABLE, question)
    with _sigterm_interrupts(), cli.make_context("meshlens", words, color=_color()) as ctx:
        code = cli.invoke(ctx)
    _flush_output()
    return code if isinstance(code, int) else 0


def _guarded(action: Callable[[], int]) -> int:
    """Run `action`; turn what a user can cause into a line on standard error and an exit code."""
    try:
        return action()
    except (Exception, KeyboardInterrupt) as error:
        explanation = explain(error)
        if explanation is None:
            raise
        line, code = explanation
        if line:
            click.echo(line, err=True)
        return code


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make the first SIGTERM end the command as Ctrl-C does, with all clean-up; ignore it while that runs."""

    def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flush_output() -> None:
    if sys.stdout is not None:  # None: started with standard output closed
        sys.stdout.flush()


def _settle_output() -> None:
    """Keep the interpreter from trying again at exit, and complaining, where output cannot be written."""
    try:
        _flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _color() -> bool | None:
    """Return False where NO_COLOR (no-color.org) is set, else None: colour on a terminal only."""
    return False if os.environ.get("NO_COLOR") else None
