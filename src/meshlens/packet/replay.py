"""Send frames out of an interface, as they are."""

import errno
import socket
import time
from collections.abc import Sequence

from meshlens.errors import MeshlensError, PermissionDenied, UsageError

__all__ = ["ReplayError", "replay"]

_SHORTEST_SLEEP_SECONDS = 0.001
_REASONS = {
    errno.ENETDOWN: "the interface is down",
    errno.EMSGSIZE: "longer than the interface's MTU allows",
    errno.EINVAL: "shorter than an Ethernet header",
}


class ReplayError(MeshlensError):
    """The interface did not take a frame."""


def replay(
    interface: str, frames: Sequence[bytes], count: int | None = None, rate_pps: float | None = None
) -> int:
    """Send `count` frames (default: each once), over and over from the first, at most `rate_pps` a second.

    They pass the interface's queue and egress hooks like the frames of any program (packet(7)). Returns how
    many were sent. Raises `UsageError` if there is no such interface, `PermissionDenied` without CAP_NET_RAW,
    and `ReplayError` if the interface is down or a frame is longer than its MTU allows.
    """
    total = len(frames) if count is None else count
    with _open(interface) as link:
        begin = time.monotonic()
        for number in range(total):
            if rate_pps is not None:
                ahead = begin + number / rate_pps - time.monotonic()
                if ahead > _SHORTEST_SLEEP_SECONDS:
                    time.sleep(ahead)
            frame = frames[number % len(frames)]
            try:
                link.send(frame)
            except OSError as error:
                reason = _REASONS.get(error.errno or 0, error.strerror)
                raise ReplayError(f"{interface}: frame {number} of {len(frame)} bytes: {reason}") from error
    return total


def _open(interface: str) -> socket.socket:
    try:
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: sends only, receives nothing
    except PermissionError as error:
        raise PermissionDenied(f"{interface}: sending frames needs CAP_NET_RAW (root)") from error
    try:
        link.bind((interface, 0))
    except OSError as error:
        link.close()
        raise UsageError(f"{interface}: {error.strerror}; `ip link` lists the interfaces") from error
    return link
