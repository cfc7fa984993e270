"""Events of Wi-Fi as text: a line each for people, JSON lines for programs."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from meshlens.outputs.text import printable
from meshlens.wifi.events.record import WifiEvent

__all__ = ["event_json", "event_line"]

_LINE = "{}  {:<10} {:<22} {:<17}  {}"


def event_line(event: WifiEvent) -> str:
    """When, where, what, who, and what else is told: `leave`'s numbers, a reason in words and its code."""
    when = datetime.fromtimestamp(event.time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    said = [f"{name.replace('_', ' ')} {_plain(value)}" for name, value in event.details.items()]
    if event.why:
        said.insert(0, event.why + ("" if event.reason is None else f" ({event.reason})"))
    line = _LINE.format(when, event.interface or "-", event.kind, event.mac or "-", ", ".join(said))
    return printable(line.rstrip())


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def event_json(event: WifiEvent) -> str:
    """An event as a JSON object in one line: the fields of WifiEvent."""
    return json.dumps(asdict(event))
