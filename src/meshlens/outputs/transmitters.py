"""Transmitters as text: a table for people, JSON lines for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from meshlens.outputs.table import human
from meshlens.wifi.monitor.record import Transmitter

__all__ = ["summary_json", "transmitter_json", "transmitter_table"]

_LINE = "{:<17} {:<17} {:>6} {:>5} {:>5} {:>7} {:>6}  {}"
_HEADING = _LINE.format("transmitter", "BSS", "frames", "bytes", "retry", "dBm/SNR", "Mbit/s", "mostly")
_WIDTH = 80


def transmitter_table(
    transmitters: Sequence[Transmitter],
    outcomes: Mapping[str, int],
    *,
    rows: int | None = None,
    width: int = _WIDTH,
) -> str:
    """A line each, at most `rows`, then the sums of all and what was missed; lines are cut at `width`.

    "BSS" is "AP" for an access point; the signal is the mean in dBm, behind it the ratio to the noise where
    that is told; the rate is the mean over the frames. The busiest come first, whichever interface they are
    of.
    """
    shown = sorted(transmitters, key=lambda each: -each.frames)[:rows]
    lines = [_HEADING, *map(_line, shown), _foot(len(shown), transmitters, outcomes)]
    return "".join(f"{line[:width].rstrip()}\n" for line in lines)


def _line(each: Transmitter) -> str:
    return _LINE.format(
        each.mac or "(not named)",
        "AP" if each.bssid and each.bssid == each.mac else each.bssid or "-",
        human(each.frames),
        human(each.bytes),
        f"{100 * each.retry_ratio:.0f}%",
        _signal(each),
        _number(each.mean_mbps, digits=1),
        each.main_kind or "(damaged)",
    )


def _signal(each: Transmitter) -> str:
    signal, snr = _number(each.signal_mean_dbm), each.snr_db
    return signal if snr is None else f"{signal}/{snr:.0f}"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _foot(shown: int, transmitters: Sequence[Transmitter], outcomes: Mapping[str, int]) -> str:
    number = len(transmitters)
    which = f"{number}" if shown == number else f"{shown} of {number}"
    frames = sum(each.frames for each in transmitters)
    damaged = sum(each.damaged for each in transmitters) + outcomes["damaged"]
    missed = {
        reason: lost for reason, lost in outcomes.items() if lost and reason not in ("counted", "damaged")
    }
    detail = ", ".join(f"{reason.replace('_', ' ')} {lost}" for reason, lost in missed.items())
    why = f" ({detail})" if detail else ""
    return f"{which} transmitters · {frames} frames · {damaged} damaged · missed {sum(missed.values())}{why}"


def transmitter_json(each: Transmitter, time_ns: int) -> str:
    """A transmitter as a JSON object in one line: the fields of Transmitter, and those derived from them.

    `time_ns` is when the numbers were read. A rate also has its name and Mbit/s.
    """
    fields: dict[str, Any] = {"time_ns": time_ns, **asdict(each)}
    fields["rates"] = [
        {"rate": str(use.rate), "mbps": _rounded(use.rate.mbps), **asdict(use.rate)}
        | {"frames": use.frames, "bytes": use.bytes, "retries": use.retries}
        for use in each.rates
    ]
    for name in ("retry_ratio", "snr_db", "mean_mbps", "airtime_ns", "signal_mean_dbm", "noise_mean_dbm"):
        fields[name] = _rounded(getattr(each, name))
    return json.dumps(fields)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def summary_json(transmitters: Iterable[Transmitter], outcomes: Mapping[str, int], time_ns: int) -> str:
    """What is said behind the transmitters of one reading: how many, and what became of all frames."""
    number = sum(1 for _ in transmitters)
    return json.dumps({"time_ns": time_ns, "transmitters": number, "outcomes": dict(outcomes)})
