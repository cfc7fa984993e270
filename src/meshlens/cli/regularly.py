"""Showing what a session has, now and then, until its time is over."""

import time
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["regularly"]

#: What has been idle is let go so often where nothing is printed.
LOOK_S: Final = 10.0


class Waiting(Protocol):
    """A session that follows its interfaces while it is waited for."""

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long."""


def regularly(
    session: Waiting,
    show: Callable[[], object],
    look: Callable[[], object],
    duration_s: float | None,
    interval_s: float | None,
) -> None:
    """`show()` each interval; without one `look()` each LOOK_S, which lets go of what is idle."""
    end = None if duration_s is None else time.monotonic() + duration_s
    while True:
        left_s = (interval_s or LOOK_S) if end is None else end - time.monotonic()
        if left_s <= 0:
            return
        session.wait(min(left_s, interval_s or LOOK_S))
        if end is not None and time.monotonic() >= end:
            return
        (show if interval_s else look)()
