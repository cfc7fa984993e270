"""Stations added up: by BSS, by interface, by rate."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from meshlens.wifi.joined.ratios import given_up_ratio, unacknowledged_ratio
from meshlens.wifi.joined.record import RateCount, WifiStation
from meshlens.wifi.rates import Rate

__all__ = ["GROUPINGS", "Grouping", "RateGroup", "WifiGroup", "by_rate", "grouped"]

Grouping = Literal["bss", "interface"]

_SUMS: Final = (
    "tx_frames", "tx_bytes", "tx_acked", "tx_failed", "tx_attempts", "tx_retries", "tx_airtime_us",
    "rx_frames", "rx_bytes", "rx_retries", "rx_duplicates", "rx_fcs_failed", "rx_airtime_us",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiGroup:
    """Stations together: sums as in WifiStation, None where no station tells; the mean of their signals."""

    by: str
    key: str
    stations: int
    ssid: str = ""
    frequency_mhz: int | None = None
    tx_frames: int | None = None
    tx_bytes: int | None = None
    tx_acked: int | None = None
    tx_failed: int | None = None
    tx_attempts: int | None = None
    tx_retries: int | None = None
    tx_airtime_us: int | None = None
    rx_frames: int | None = None
    rx_bytes: int | None = None
    rx_retries: int | None = None
    rx_duplicates: int | None = None
    rx_fcs_failed: int | None = None
    rx_airtime_us: int | None = None
    signal_mean_dbm: float | None = None
    noise_dbm: int | None = None

    @property
    def loss_ratio(self) -> float | None:
        """The share of frames that were given up, of those that wanted an ACK, 0 to 1."""
        return given_up_ratio(self.tx_acked, self.tx_failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateGroup:
    """All stations' frames at one rate; of a direction that nothing tells: None."""

    rate: Rate
    stations: int
    tx_attempts: int | None = None
    tx_frames: int | None = None
    tx_acked: int | None = None
    rx_frames: int | None = None

    @property
    def loss_ratio(self) -> float | None:
        """The share of attempts without an ACK, 0 to 1."""
        return unacknowledged_ratio(self.tx_attempts, self.tx_acked)


GROUPINGS: Final[dict[Grouping, Callable[[WifiStation], str]]] = {
    "bss": lambda station: station.bssid or station.ssid or station.interface,
    "interface": lambda station: station.interface,
}


def grouped(stations: Iterable[WifiStation], by: Grouping) -> list[WifiGroup]:
    """The groups in the order in which they come first."""
    members: dict[str, list[WifiStation]] = {}
    for station in stations:
        members.setdefault(GROUPINGS[by](station), []).append(station)
    return [_group(by, key, each) for key, each in members.items()]


def _group(by: Grouping, key: str, members: Sequence[WifiStation]) -> WifiGroup:
    signals = [each.signal_mean_dbm for each in members if each.signal_mean_dbm is not None]
    sums = {name: _sum(getattr(each, name) for each in members) for name in _SUMS}
    first = members[0]
    return WifiGroup(
        by=by,
        key=key,
        stations=len(members),
        ssid=first.ssid,
        frequency_mhz=first.frequency_mhz,
        signal_mean_dbm=sum(signals) / len(signals) if signals else None,
        noise_dbm=first.noise_dbm,
        **sums,
    )


def by_rate(stations: Iterable[WifiStation]) -> list[RateGroup]:
    """The fastest first."""
    sent: dict[Rate, list[RateCount]] = {}
    heard: dict[Rate, list[RateCount]] = {}
    for station in stations:
        for each in station.tx_rates:
            sent.setdefault(each.rate, []).append(each)
        for each in station.rx_rates:
            heard.setdefault(each.rate, []).append(each)
    groups = [_rate_group(rate, sent.get(rate, []), heard.get(rate, [])) for rate in {**sent, **heard}]
    return sorted(groups, key=lambda group: (-(group.rate.mbps or 0), str(group.rate)))


def _rate_group(rate: Rate, sent: Sequence[RateCount], heard: Sequence[RateCount]) -> RateGroup:
    return RateGroup(
        rate=rate,
        stations=max(len(sent), len(heard)),
        tx_attempts=_sum(each.attempts for each in sent),
        tx_frames=_sum(each.frames for each in sent),
        tx_acked=_sum(each.acked for each in sent),
        rx_frames=_sum(each.frames for each in heard),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    told = [value for value in values if value is not None]
    return sum(told) if told else None
