"""Metrics of Wi-Fi: stations of interfaces that are in a network, transmitters heard on monitor interfaces.

What is not told has no sample. `node_exporter` has some of it as `node_wifi_station_*`; the words are its own
where it has one.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any, Final

from meshlens.outputs.exposition import Family, label_text
from meshlens.readings.reading import Reading

__all__ = ["WIFI_FAMILIES", "wifi_rows"]

#: Of more than these only the busiest are told.
_MAX: Final = 1000
_US, _M = 1e-6, 1e6

#: Name of the metric, its kind, help text, field of WifiStation, factor to the metric's unit.
_STATION: Final = (
    ("transmit_frames", "counter", "Frames sent to a station.", "tx_frames", 1),
    ("transmit_bytes", "counter", "Bytes sent to a station.", "tx_bytes", 1),
    ("transmit_acked", "counter", "Frames that a station acknowledged.", "tx_acked", 1),
    ("transmit_failed", "counter", "Frames to a station that were given up.", "tx_failed", 1),
    ("transmit_attempts", "counter", "Transmissions to a station, retries too.", "tx_attempts", 1),
    ("transmit_retries", "counter", "Further transmissions to a station.", "tx_retries", 1),
    ("transmit_airtime_seconds", "counter", "Airtime of what was sent to a station.", "tx_airtime_us", _US),
    ("receive_frames", "counter", "Frames received from a station.", "rx_frames", 1),
    ("receive_bytes", "counter", "Bytes received from a station.", "rx_bytes", 1),
    ("receive_retries", "counter", "Frames from a station with the Retry bit.", "rx_retries", 1),
    ("receive_duplicates", "counter", "Frames from a station that had come before.", "rx_duplicates", 1),
    ("receive_damaged", "counter", "Frames from a station with a wrong FCS.", "rx_fcs_failed", 1),
    ("receive_airtime_seconds", "counter", "Airtime of what came from a station.", "rx_airtime_us", _US),
    ("beacon_loss", "counter", "Times that beacons of a station were missed.", "beacon_loss", 1),
    ("signal_dbm", "gauge", "Mean signal of a station.", "signal_mean_dbm", 1),
    ("ack_signal_dbm", "gauge", "Mean signal of a station's ACKs.", "ack_signal_mean_dbm", 1),
    ("snr_db", "gauge", "Signal of a station above the channel's noise.", "snr_db", 1),
    ("noise_dbm", "gauge", "Noise of a station's channel.", "noise_dbm", 1),
    ("channel_busy_ratio", "gauge", "Share of time in which the channel is busy.", "channel_busy_ratio", 1),
    ("transmit_bits_per_second", "gauge", "Rate of the last frame to a station.", "tx_mbps", _M),
    ("receive_bits_per_second", "gauge", "Rate of the last frame from a station.", "rx_mbps", _M),
    ("expected_bits_per_second", "gauge", "Throughput that rate control expects.", "expected_mbps", _M),
    ("connected_seconds", "gauge", "How long a station has been there.", "connected_s", 1),
    ("inactive_seconds", "gauge", "How long a station has been silent.", "inactive_ms", 1e-3),
)
_TRANSMITTER: Final = (
    ("frames", "counter", "Whole frames heard of a transmitter.", "frames", 1),
    ("bytes", "counter", "Bytes heard of a transmitter.", "bytes", 1),
    ("retries", "counter", "Frames of a transmitter with the Retry bit.", "retries", 1),
    ("damaged", "counter", "Damaged frames that name a transmitter.", "damaged", 1),
    ("signal_dbm", "gauge", "Mean signal of a transmitter.", "signal_mean_dbm", 1),
)


def _family(prefix: str, name: str, kind: str, help: str) -> Family:
    if kind == "counter":
        return Family(f"meshlens_{prefix}_{name}_total", help)
    return Family(f"meshlens_{prefix}_{name}", help, "gauge")


def wifi_rows(
    of: str, field: str, factor: float, reading: Reading
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """A sample for each station, or each transmitter, that has the field."""
    things: Iterable[Any] = reading.wifi if of == "wifi_station" else reading.transmitters
    for each in sorted(things, key=_frames, reverse=True)[:_MAX]:
        value = getattr(each, field)
        if value is not None:
            labels = label_text([("interface", each.interface), ("mac", each.mac), ("bssid", each.bssid)])
            yield labels, (value * factor,)


def _frames(each: Any) -> int:
    names = ("tx_frames", "rx_frames") if hasattr(each, "tx_frames") else ("frames",)
    return sum(value or 0 for value in (attrgetter(name)(each) for name in names))


#: Each family, and what gives its rows.
WIFI_FAMILIES: Final = tuple(
    (_family(of, name, kind, help), partial(wifi_rows, of, field, factor))
    for of, table in (("wifi_station", _STATION), ("wifi_transmitter", _TRANSMITTER))
    for name, kind, help, field, factor in table
)
