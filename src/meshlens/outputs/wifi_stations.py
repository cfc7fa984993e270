"""Stations of Wi-Fi interfaces as text: tables for people, JSON lines for programs, rows for Parquet."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from textwrap import wrap
from typing import Any, Final

from meshlens.outputs.table import human
from meshlens.outputs.text import printable, shorten
from meshlens.wifi.joined.groups import Grouping, RateGroup, WifiGroup, by_rate, grouped
from meshlens.wifi.joined.record import RateCount, WifiStation
from meshlens.wifi.minstrel.record import MinstrelRate
from meshlens.wifi.rates import Rate

__all__ = [
    "airtime_share",
    "group_json",
    "group_table",
    "minstrel_table",
    "rate_table",
    "station_json",
    "station_record",
    "station_row",
    "station_table",
    "summary_json",
]

_WIDTH: Final = 80
_STATION: Final = "{:<17} {:<8} {:>6} {:>5} {:>5} {:>5} {:>7} {:>6} {:>5} {:>6}"
_GROUP: Final = "{:<17} {:<12} {:>4} {:>6} {:>5} {:>5} {:>5} {:>5} {:>7} {:>5}"
_RATE: Final = "{:<28} {:>6} {:>4} {:>8} {:>6} {:>6} {:>5} {:>9}"
_MINSTREL: Final = "{:<6} {:<24} {:>6} {:>8} {:>8} {:>5} {:>8} {:>8}"
#: What the columns of the first table are named in the records, by heading.
_COLUMNS: Final = {
    "sent": "tx_frames",
    "retry": "tx_retries",
    "lost": "tx_failed",
    "recv": "rx_frames",
    "dBm": "signal_dbm",
    "SNR": "snr_db",
    "Mbit/s": "tx_mbps",
    "air": "tx_airtime_us",
    "expect": "expected_mbps",
}


def station_table(
    stations: Sequence[WifiStation],
    missed: Mapping[str, int],
    absent: Mapping[Any, str],
    elapsed_s: float,
    *,
    rows: int | None = None,
    width: int = _WIDTH,
) -> str:
    """A line each, at most `rows`, the busiest first; then where the columns come from, and what was missed.

    "retry" are further attempts for each frame, "lost" the frames given up of those that wanted an ACK, "air"
    the airtime of both directions as a share of the time, "expect" the throughput that rate control expects.
    A number that is not told is "-".
    """
    shown = sorted(stations, key=lambda each: -(each.tx_frames or 0) - (each.rx_frames or 0))[:rows]
    headings = ("sent", "retry", "lost", "recv", "dBm/SNR", "Mbit/s", "air", "expect")
    heading = _STATION.format("station", "at", *headings)
    lines = [heading, *(_station_line(each, elapsed_s) for each in shown)]
    lines.append(_foot(len(shown), len(stations), missed))
    for said in (*_sources(stations), *_absent(absent)):
        lines += wrap(said, width, subsequent_indent="  ")
    return _text(lines, width)


def _station_line(each: WifiStation, elapsed_s: float) -> str:
    return _STATION.format(
        each.mac,
        shorten(each.interface, 8),
        _count(each.tx_frames),
        _percent(each.retry_ratio),
        _percent(each.loss_ratio),
        _count(each.rx_frames),
        _signal(each.signal_mean_dbm, each.snr_db),
        _number(each.tx_mbps, digits=1),
        _percent(airtime_share(each, elapsed_s), digits=1),
        _number(each.expected_mbps, digits=1),
    )


def airtime_share(station: WifiStation, elapsed_s: float) -> float | None:
    """Its airtime in both directions, 0 to 1 of the time in which it was counted; None if none is told.

    That is since the station joined where the airtime is nl80211's, else since the session began.
    """
    share = None
    for name in ("tx_airtime_us", "rx_airtime_us"):
        airtime_us = getattr(station, name)
        since_s = station.connected_s if station.sources.get(name) == "nl80211" else elapsed_s
        if airtime_us is not None and since_s:
            share = (share or 0.0) + airtime_us / 1e6 / since_s
    return share


def group_table(
    stations: Sequence[WifiStation], by: Grouping, missed: Mapping[str, int], *, width: int = _WIDTH
) -> str:
    """Stations added up by BSS or interface."""
    heading = ("sent", "retry", "lost", "recv", "dBm", "tx+rx s", "MHz")
    lines = [_GROUP.format(by.upper() if by == "bss" else by, "network", "sta.", *heading)]
    groups = grouped(stations, by)
    lines += map(_group_line, groups)
    lines.append(_foot(len(stations), len(stations), missed))
    return _text(lines, width)


def _group_line(each: WifiGroup) -> str:
    airtimes = [us for us in (each.tx_airtime_us, each.rx_airtime_us) if us is not None]
    retries = each.tx_retries / each.tx_frames if each.tx_retries is not None and each.tx_frames else None
    return _GROUP.format(
        each.key,
        shorten(each.ssid or "-", 12),
        each.stations,
        _count(each.tx_frames),
        _percent(retries),
        _percent(each.loss_ratio),
        _count(each.rx_frames),
        _number(each.signal_mean_dbm),
        _number(sum(airtimes) / 1e6 if airtimes else None, digits=2),
        _count(each.frequency_mhz) if each.frequency_mhz is None else str(each.frequency_mhz),
    )


def rate_table(stations: Sequence[WifiStation], missed: Mapping[str, int], *, width: int = _WIDTH) -> str:
    """All stations' frames by the rate that they were sent and received at, the fastest first."""
    lines = [_RATE.format("rate", "Mbit/s", "sta.", "attempts", "ended", "ACK", "lost", "received")]
    lines += map(_rate_line, by_rate(stations))
    if len(lines) == 1:
        lines.append(_why_no_rates(stations))
    lines.append(_foot(len(stations), len(stations), missed))
    return _text(lines, width)


def _rate_line(each: RateGroup) -> str:
    return _RATE.format(
        str(each.rate),
        _number(each.rate.mbps, digits=1),
        each.stations,
        *map(_count, (each.tx_attempts, each.tx_frames, each.tx_acked)),
        _percent(each.loss_ratio),
        _count(each.rx_frames),
    )


def _why_no_rates(stations: Sequence[WifiStation]) -> str:
    reasons = {each.missing.get("tx_rates", "") for each in stations} - {""}
    return f"no rates: {min(reasons)}" if reasons else "no rates yet"


def minstrel_table(stations: Sequence[WifiStation], *, width: int = _WIDTH) -> str:
    """Each station's table of rates, as Minstrel keeps it: those that were tried or are marked.

    The marks are those of debugfs' rc_stats: A to D for the rates of most throughput, P for the most
    probable one, S for one to be sampled.
    """
    lines = list[str]()
    for station in stations:
        lines += [""] if lines else []
        lines.append(_minstrel_heading(station))
        if not station.minstrel:
            lines.append(f"  no table: {station.missing.get('minstrel', 'not told')}")
            continue
        headings = ("marks", "rate", "Mbit/s", "attempts", "success", "prob.", "expect", "air us")
        lines.append(_MINSTREL.format(*headings))
        lines += (_minstrel_line(each) for each in station.minstrel if each.attempts or each.marks)
    return _text(lines or ["no stations"], width)


def _minstrel_heading(station: WifiStation) -> str:
    probes = "" if station.probe_frames is None else f", {station.probe_frames} frames to probe"
    expected = _number(station.expected_mbps, digits=1)
    return f"{station.mac} at {station.interface}: {expected} Mbit/s expected{probes}"


def _minstrel_line(each: MinstrelRate) -> str:
    return _MINSTREL.format(
        each.marks,
        str(each.rate),
        _number(each.rate.mbps, digits=1),
        human(each.attempts),
        human(each.success),
        _percent(each.probability),
        _number(each.throughput_mbps, digits=1),
        _number(each.airtime_us),
    )


def _foot(shown: int, number: int, missed: Mapping[str, int]) -> str:
    which = f"{number}" if shown == number else f"{shown} of {number}"
    lost = {reason: frames for reason, frames in missed.items() if frames}
    detail = ", ".join(f"{reason.replace('_', ' ')} {frames}" for reason, frames in lost.items())
    return f"{which} stations · missed {sum(lost.values())}" + (f" ({detail})" if detail else "")


def _sources(stations: Sequence[WifiStation]) -> list[str]:
    """Where the columns come from, those of one source together."""
    by_source: dict[str, list[str]] = {}
    for heading, name in _COLUMNS.items():
        told = sorted({each.sources[name] for each in stations if name in each.sources})
        if told:
            by_source.setdefault(" or ".join(told), []).append(heading)
    said = "; ".join(f"{', '.join(headings)}: {source}" for source, headings in by_source.items())
    return [said] if said else []


def _absent(absent: Mapping[Any, str]) -> list[str]:
    """Sources that are not there, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for source, why in absent.items():
        reasons.setdefault(why, []).append(source)
    return [f"no {', '.join(sources)}: {why}" for why, sources in reasons.items()]


def _text(lines: Iterable[str], width: int) -> str:
    return "".join(f"{printable(line)[:width].rstrip()}\n" for line in lines)


def _count(value: int | None) -> str:
    return "-" if value is None else human(value)


def _percent(ratio: float | None, digits: int = 0) -> str:
    return "-" if ratio is None else f"{100 * ratio:.{digits}f}%"


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _signal(dbm: float | None, snr_db: float | None) -> str:
    return _number(dbm) if snr_db is None else f"{_number(dbm)}/{snr_db:.0f}"


def station_json(station: WifiStation, time_ns: int) -> str:
    """A station as a JSON object in one line: the fields of WifiStation, and the ratios.

    `time_ns` is when the numbers were read. Rates also have their name and Mbit/s.
    """
    return json.dumps({"time_ns": time_ns, **station_record(station)})


def group_json(group: WifiGroup | RateGroup, time_ns: int) -> str:
    """Stations added up, as a JSON object in one line."""
    record: dict[str, Any] = {"time_ns": time_ns, **asdict(group), "loss_ratio": _rounded(group.loss_ratio)}
    if isinstance(group, RateGroup):
        record |= {"rate": _rate(group.rate)}
    return json.dumps(record)


def summary_json(
    stations: Sequence[WifiStation], missed: Mapping[str, int], absent: Mapping[Any, str], time_ns: int
) -> str:
    """What is said behind the stations of one reading: how many, what was missed, and absent sources."""
    return json.dumps(
        {"time_ns": time_ns, "stations": len(stations), "missed": dict(missed), "absent": dict(absent)}
    )


def station_record(station: WifiStation) -> dict[str, Any]:
    """The fields of WifiStation and the ratios, as JSON can hold them."""
    record: dict[str, Any] = {}
    for field in fields(station):
        record[field.name] = _plain(getattr(station, field.name))
    for name in ("loss_ratio", "retry_ratio", "subframe_error_ratio"):
        record[name] = _rounded(getattr(station, name))
    return record


def _plain(value: Any) -> Any:
    match value:
        case Rate():
            return _rate(value)
        case RateCount() | MinstrelRate():
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case tuple():
            return [_plain(each) for each in value]
        case float():
            return _rounded(value)
    return value


def _rate(rate: Rate) -> dict[str, Any]:
    return {"name": str(rate), "mbps": _rounded(rate.mbps), **asdict(rate)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def station_row(station: WifiStation, time_ns: int) -> dict[str, Any]:
    """A flat row: lists and maps as JSON text, a rate by its name."""
    row = {"time_ns": time_ns, **station_record(station)}
    for name in ("tx_rate", "rx_rate"):
        row[name] = row[name] and row[name]["name"]
    return {
        name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in row.items()
    }
