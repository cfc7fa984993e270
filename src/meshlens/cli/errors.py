"""What a person reads when something goes wrong, and the exit code that goes with it."""

import os

import click

from meshlens.errors import MeshlensError

__all__ = ["Terminated", "explain"]

EXIT_FAILURE = 1
# A shell's own convention: 128 + the number of the signal that ended the program.
EXIT_SIGINT = 130
EXIT_SIGPIPE = 141
EXIT_SIGTERM = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: whatever cleans up after Ctrl-C cleans up after this."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """Return the line for standard error (may be empty) and the exit code; None for a bug of ours."""
    match error:
        case click.exceptions.Exit():
            return "", error.exit_code
        case Terminated():
            return "", EXIT_SIGTERM
        case KeyboardInterrupt() | click.Abort():
            return "", EXIT_SIGINT
        case BrokenPipeError():
            return "", EXIT_SIGPIPE
        case MeshlensError():
            return f"meshlens: {error}", error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message(), error.exit_code
        case click.UsageError():
            return _usage_line(error), error.exit_code
        case click.ClickException():
            return f"meshlens: {error.format_message()}", error.exit_code
        case OSError():
            return f"meshlens: {_os_error_line(error)}", EXIT_FAILURE
    return None


def _usage_line(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "meshlens"
    return f"{command}: {error.format_message()} See '{command} --help'."


def _os_error_line(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
