"""One record of a station from what each source says."""

from collections.abc import Mapping
from typing import Any, Final

from meshlens.wifi.hooks.bit_errors import bit_error_ratio
from meshlens.wifi.joined.columns import Columns
from meshlens.wifi.joined.record import Source, WifiStation

__all__ = ["join"]

#: What the mean length of frames is worked out from, told by one source of both numbers.
_LENGTHS: Final = {"tx": ("tx_bytes", "tx_frames"), "rx": ("rx_bytes", "rx_frames")}
_NOT_TOLD: Final[tuple[Any, ...]] = (None, "", (), {})

#: Fields that one source alone can tell; all others the dump of nl80211 can, if the driver does.
_ONLY: Final[dict[Source, tuple[str, ...]]] = {
    "tx-status": (
        "tx_rates", "ampdus", "ampdu_frames", "ampdu_acked", "latencies_us", "latency_mean_us",
    ),
    "rx": (
        "rx_retries", "rx_duplicates", "rx_plcp_failed", "rx_rates", "signal_min_dbm", "signal_max_dbm",
        "signals",
    ),
    "survey": ("noise_dbm", "channel_busy_ratio"),
    "minstrel": ("minstrel", "probe_frames"),
}  # fmt: skip
_NOT_REPORTED: Final = "the driver does not report it"
#: Fields that say who and where, rather than what was measured.
_PLAIN: Final = (
    "kind",
    "bssid",
    "ssid",
    "frequency_mhz",
    "width_mhz",
    "authorized",
    "mesh_link",
    "beacon_loss",
)
#: Of which fields a missing one is worth a word, and why it is missing where its source is there.
_WHY: Final = {
    "ack_signal_dbm": _NOT_REPORTED,
    "expected_mbps": "the rate control does not tell it",
    "tx_airtime_us": _NOT_REPORTED,
    "rx_airtime_us": _NOT_REPORTED,
    "chain_signals_dbm": _NOT_REPORTED,
    "rx_fcs_failed": "the driver does not count damaged frames",
    "snr_db": "no noise, or no signal, is told",
    "rx_bit_error_ratio": "no damaged frame was handed over or counted: most drivers drop them unseen",
    "tx_bit_error_ratio": "nothing was sent",
    **dict.fromkeys(_ONLY["tx-status"], "the driver does not report it, or nothing was sent"),
    **dict.fromkeys(_ONLY["rx"], "the driver does not report it, or nothing was received"),
    **dict.fromkeys(_ONLY["survey"], "the driver keeps no survey of its channel"),
    **dict.fromkeys(_ONLY["minstrel"], "mac80211 does not choose the rates: the driver or its firmware does"),
}


def join(
    interface: str, mac: str, told: Mapping[Source, Columns], plain: Columns, absent: Mapping[Source, str]
) -> WifiStation:
    """The record. Where several sources tell a field, the one that comes last in `told` is believed.

    `plain` are the fields that say who and where. `absent` says of a source why it is not there at all.
    """
    columns: Columns = {}
    sources: dict[str, Source] = {}
    for source, said in told.items():
        for name, value in said.items():
            if not _told(value):
                continue
            columns[name] = value
            if name not in _PLAIN:
                sources[name] = source
    for name, value in _computed(columns, told).items():
        if name not in columns and _told(value):
            columns[name], sources[name] = value, "computed"
    missing = {name: _why(name, absent) for name in _WHY if name not in columns}
    plain = {name: value for name, value in plain.items() if name not in columns}
    return WifiStation(interface=interface, mac=mac, **plain, **columns, sources=sources, missing=missing)


def _told(value: Any) -> bool:
    return not any(value is each or value == each for each in _NOT_TOLD)


def _why(name: str, absent: Mapping[Source, str]) -> str:
    source = next((source for source, names in _ONLY.items() if name in names), None)
    return absent.get(source, _WHY[name]) if source else _WHY[name]


def _computed(columns: Columns, told: Mapping[Source, Columns]) -> Columns:
    """What follows from the rest."""
    frames, failed, retries = (columns.get(name) for name in ("tx_frames", "tx_failed", "tx_retries"))
    acked = columns.get("tx_acked", None if frames is None or failed is None else max(0, frames - failed))
    attempts = columns.get("tx_attempts", None if frames is None or retries is None else frames + retries)
    signal = columns.get("signal_mean_dbm", columns.get("signal_dbm"))
    noise, damaged, received = (columns.get(name) for name in ("noise_dbm", "rx_fcs_failed", "rx_frames"))
    tx_ratio = rx_ratio = None
    if attempts and acked is not None and (length := _mean_bytes("tx", told)):
        tx_ratio = bit_error_ratio(attempts - acked, attempts, length)
    if damaged and received is not None and (length := _mean_bytes("rx", told)):
        rx_ratio = bit_error_ratio(damaged, damaged + received, length)
    return {
        "tx_acked": acked,
        "tx_attempts": attempts,
        "snr_db": signal - noise if signal is not None and noise is not None else None,
        "tx_bit_error_ratio": tx_ratio,
        "rx_bit_error_ratio": rx_ratio,
    }


def _mean_bytes(direction: str, told: Mapping[Source, Columns]) -> float | None:
    """By the source that is believed most of those that tell bytes and frames."""
    size, number = _LENGTHS[direction]
    for said in list(told.values())[::-1]:
        if said.get(size) and said.get(number):
            return float(said[size] / said[number])
    return None
