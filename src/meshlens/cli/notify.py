"""Tells systemd how a service is: datagrams to the socket that it names, if it does (sd_notify(3))."""

import os
import socket
import time
from contextlib import suppress

__all__ = ["notify", "ready", "reloading", "stopping", "watchdog_s"]


def notify(*lines: str) -> None:
    """Send `NAME=value` lines. Without $NOTIFY_SOCKET, or if nobody listens, nothing happens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path.startswith(("/", "@")):
        address = "\0" + path[1:] if path.startswith("@") else path  # an abstract socket, unix(7)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, suppress(OSError):
            client.sendto("\n".join(lines).encode(), address)


def ready(status: str) -> None:
    """It has started, or has reloaded; `status` is what systemctl shows."""
    notify("READY=1", f"STATUS={status}")


def reloading() -> None:
    """It has begun to reload; systemd wants the time by its own clock, microseconds."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """It has begun to end."""
    notify("STOPPING=1")


def watchdog_s() -> float | None:
    """Seconds in which systemd wants to hear WATCHDOG=1 from this process; None if it does not."""
    pid, period = os.environ.get("WATCHDOG_PID"), os.environ.get("WATCHDOG_USEC", "")
    if not period.isdecimal() or (pid and pid != str(os.getpid())):
        return None
    return int(period) / 1e6
