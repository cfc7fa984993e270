"""The sheets of Wi-Fi: stations of interfaces in a network, transmitters heard on monitor interfaces."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from meshlens.outputs.sheet import Sheet, name, number
from meshlens.readings.rates import Rate, Rates, TwoWay, wifi_key
from meshlens.readings.reading import Reading
from meshlens.wifi.joined.record import WifiStation
from meshlens.wifi.monitor.record import Transmitter

__all__ = ["AIR", "WIFI", "AirLine", "WifiLine"]

_STILL: Final = Rate(0.0, 0.0)
#: What is not told comes last when sorted.
_NOT_TOLD: Final = -math.inf


@dataclass(frozen=True, slots=True)
class WifiLine:
    """A station of a Wi-Fi interface, and its rates: "sent" by the station, "received" by it."""

    station: WifiStation
    rate: TwoWay


@dataclass(frozen=True, slots=True)
class AirLine:
    """A transmitter, and its rate."""

    transmitter: Transmitter
    rate: Rate


def _wifi_lines(reading: Reading, rates: Rates) -> list[WifiLine]:
    silent = TwoWay(_STILL, _STILL)
    return [WifiLine(each, rates.wifi.get(wifi_key(each), silent)) for each in reading.wifi]


def _air_lines(reading: Reading, rates: Rates) -> list[AirLine]:
    return [AirLine(each, rates.transmitters.get(wifi_key(each), _STILL)) for each in reading.transmitters]


def _told(value: float | None) -> float:
    return _NOT_TOLD if value is None else value


def _shown(form: str, scale: float = 1) -> Callable[[float], str]:
    return lambda value: "-" if value == _NOT_TOLD else form.format(scale * value)


_PERCENT: Final = _shown("{:.0f}%", 100)
_WHOLE: Final = _shown("{:.0f}")
_TENTHS: Final = _shown("{:.1f}")

WIFI: Final[Sheet[WifiLine]] = Sheet(
    "wifi",
    _wifi_lines,
    (
        name("station", lambda line: line.station.mac, 17),
        name("at", lambda line: line.station.interface, 6, 15),
        number("to/s", lambda line: line.rate.received.packets),
        number("from/s", lambda line: line.rate.sent.packets),
        number("retry", lambda line: _told(line.station.retry_ratio), _PERCENT),
        number("lost", lambda line: _told(line.station.loss_ratio), _PERCENT),
        number("dBm", lambda line: _told(line.station.signal_mean_dbm), _WHOLE),
        number("SNR", lambda line: _told(line.station.snr_db), _WHOLE, width=3),
        number("Mbit/s", lambda line: _told(line.station.tx_mbps), _TENTHS),
        number("expect", lambda line: _told(line.station.expected_mbps), _TENTHS),
        name("network", lambda line: line.station.ssid, 8, 32, level=1),
        name("BSS", lambda line: line.station.bssid, 17, level=2),
    ),
    sort=2,
    key=lambda line: wifi_key(line.station),
    words=lambda line: (
        line.station.mac, line.station.interface, line.station.bssid, line.station.ssid, line.station.kind,
    ),
    speed=lambda line: line.rate.bytes,
)  # fmt: skip

AIR: Final[Sheet[AirLine]] = Sheet(
    "air",
    _air_lines,
    (
        name("transmitter", lambda line: line.transmitter.mac or "(not named)", 17),
        name("BSS", lambda line: line.transmitter.bssid or "-", 17),
        number("frame/s", lambda line: line.rate.packets),
        number("bit/s", lambda line: 8 * line.rate.bytes),
        number("retry", lambda line: line.transmitter.retry_ratio, _PERCENT),
        number("dBm", lambda line: _told(line.transmitter.signal_mean_dbm), _WHOLE),
        number("Mbit/s", lambda line: _told(line.transmitter.mean_mbps), _TENTHS),
        name("mostly", lambda line: line.transmitter.main_kind, 8, 16),
        number("SNR", lambda line: _told(line.transmitter.snr_db), _WHOLE, width=3, level=1),
        number("frames", lambda line: line.transmitter.frames, level=1),
        name("interface", lambda line: line.transmitter.interface, 9, 15, level=1),
    ),
    sort=2,
    key=lambda line: wifi_key(line.transmitter),
    words=lambda line: (line.transmitter.mac, line.transmitter.bssid, line.transmitter.interface),
    speed=lambda line: line.rate.bytes,
)
