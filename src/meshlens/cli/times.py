"""Times as people type them: `1h` ago, `2026-11-23T10:00`, now."""

import re
from datetime import datetime
from typing import Final

from meshlens.errors import UsageError

__all__ = ["parse_duration", "parse_time", "show_time"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_duration(text: str) -> float:
    """Seconds: `90s`, `15m`, `1h`, `2d`, `1w`, or several of them: `1h30m`. Raises UsageError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{text!r} is no duration: say 90s, 15m, 1h30m, 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_time(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch: so long before now, or a date and time (of this machine, unless it has an
    offset, as in `2026-11-23T10:00Z`). Raises UsageError.
    """
    if text == "now":
        return now_ns
    if _DURATION.match(text) and "-" not in text:
        return now_ns - int(parse_duration(text) * 1e9)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1000
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time: say 1h, 2d, 2026-11-23, 2026-11-23T10:00") from None


def show_time(seconds: float) -> str:
    """A date and time of this machine."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ006  (local, as typed)
