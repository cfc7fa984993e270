"""A small server on a unix socket: who connects gets a text, and the connection is closed."""

import grp
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from meshlens.errors import MeshlensError, UsageError
from meshlens.outputs.serve import CLIENT_TIMEOUT_S, CLIENTS_AT_ONCE, serving

__all__ = ["SOCKET_MODE", "serve_unix"]

SOCKET_MODE = 0o666
"""Everybody may connect, as with bpfcountd; connecting to a socket takes write permission."""

PATH_MAX_BYTES = 107  # sun_path of unix(7), less its final NUL


@contextmanager
def serve_unix(
    path: str | Path, text: Callable[[], str], *, mode: int = SOCKET_MODE, group: str | int | None = None
) -> Iterator[None]:
    """Answer on the unix socket `path` inside the `with` block; remove it after.

    `text` is called in a client's thread, never twice at once. `group` is a name or a number. A socket file
    that nobody answers any more is replaced.

    Raises UsageError if another process answers at `path`, if something else is there, and for an unknown
    group; MeshlensError if the socket cannot be made.
    """
    path = Path(path)
    one_at_a_time = Lock()

    def answer(client: socket.socket) -> None:
        with one_at_a_time:
            answered = text()
        client.sendall(answered.encode(errors="surrogateescape"))

    listener = _listen(path, mode, _group_id(group))
    inode = path.stat().st_ino
    try:
        with serving(listener, answer):
            yield
    finally:
        if path.exists() and path.stat().st_ino == inode:  # not another's that took the place
            path.unlink()


def _listen(path: Path, mode: int, group_id: int) -> socket.socket:
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise UsageError(f"socket path {path} is too long: at most {PATH_MAX_BYTES} bytes")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listener.bind(os.fspath(path))
        os.chown(path, -1, group_id)
        path.chmod(mode)
        listener.listen(CLIENTS_AT_ONCE)  # last: until here connections are refused, whatever the mode was
    except (OSError, MeshlensError) as error:
        if listener.getsockname():  # bound: the file is ours
            path.unlink()
        listener.close()
        if isinstance(error, OSError):
            raise MeshlensError(f"cannot make the socket {path}: {error.strerror or error}") from error
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket file that a killed process left behind."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UsageError(f"{path} exists and is not a socket: choose another path or remove it")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CLIENT_TIMEOUT_S)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise UsageError(f"another process answers at {path}: end it or choose another path")


def _group_id(group: str | int | None) -> int:
    """Return the number of a group; -1, chown's "leave it", for None."""
    if group is None:
        return -1
    if isinstance(group, int) or group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"no group {group!r} for the socket: name one of /etc/group, or a number") from None
