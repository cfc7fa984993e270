"""`meshlens wifi --events`: what happens on Wi-Fi, as it happens."""

import math
import sys
import time
from collections.abc import Sequence

import click

from meshlens.outputs.wifi_events import event_json, event_line
from meshlens.wifi.events.session import wifi_events

__all__ = ["show_events"]


def show_events(interfaces: Sequence[str], duration_s: float | None, *, as_json: bool) -> None:
    """A line an event, until the time is over or Ctrl-C."""
    write = event_json if as_json else event_line
    end = math.inf if duration_s is None else time.monotonic() + duration_s
    with wifi_events(interfaces) as events:
        while (left := end - time.monotonic()) > 0:
            for event in events.wait(min(left, 3600)) or ():
                click.echo(write(event))
            sys.stdout.flush()
