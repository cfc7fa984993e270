"""What each source says of a station, in the names of WifiStation; None: it does not say."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from meshlens.wifi.airtime import total_airtime_ns
from meshlens.wifi.hooks.record import HookedStation
from meshlens.wifi.joined.record import RateCount
from meshlens.wifi.minstrel.record import MinstrelTable
from meshlens.wifi.netlink.interfaces import WifiInterface
from meshlens.wifi.netlink.stations import StationInfo
from meshlens.wifi.netlink.survey import ChannelSurvey
from meshlens.wifi.rates import Rate

__all__ = [
    "NOTHING_HEARD",
    "NOTHING_SENT",
    "Columns",
    "airtimes",
    "of_heard",
    "of_interface",
    "of_minstrel",
    "of_nl80211",
    "of_sent",
    "of_survey",
]

Columns = dict[str, Any]

#: Where the field of StationInfo is called otherwise.
_NL80211: Final = {
    "connected_s": "connected_s",
    "inactive_ms": "inactive_ms",
    "authorized": "authorized",
    "mesh_link": "mesh_link",
    "beacon_loss": "beacon_loss",
    "tx_frames": "tx_packets",
    "tx_bytes": "tx_bytes",
    "tx_failed": "tx_failed",
    "tx_retries": "tx_retries",
    "tx_rate": "tx_rate",
    "tx_mbps": "tx_mbps",
    "rx_frames": "rx_packets",
    "rx_bytes": "rx_bytes",
    "rx_dropped": "rx_dropped",
    "rx_fcs_failed": "fcs_errors",
    "rx_rate": "rx_rate",
    "rx_mbps": "rx_mbps",
    "signal_dbm": "signal_dbm",
    "signal_mean_dbm": "signal_mean_dbm",
    "chain_signals_dbm": "chain_signals_dbm",
    "ack_signal_dbm": "ack_signal_dbm",
    "ack_signal_mean_dbm": "ack_signal_mean_dbm",
}


def of_interface(interface: WifiInterface, mac: str) -> Columns:
    """What a station has of its interface: network, channel, and the BSS that it is in."""
    bssid = interface.mac if interface.is_access_point else mac if interface.is_client else ""
    return {
        "kind": interface.kind,
        "bssid": bssid,
        "ssid": interface.ssid,
        "frequency_mhz": interface.frequency_mhz,
        "width_mhz": interface.width_mhz,
    }


def of_nl80211(info: StationInfo) -> Columns:
    """A dump's numbers. mac80211 tells airtime always, as 0 where the driver does not report any."""
    columns: Columns = {name: getattr(info, field) for name, field in _NL80211.items()}
    columns["tx_airtime_us"] = info.tx_duration_us or None
    columns["rx_airtime_us"] = info.rx_duration_us or None
    columns["expected_mbps"] = None if info.expected_kbps is None else info.expected_kbps / 1000
    return columns


def of_survey(surveys: Sequence[ChannelSurvey], frequency_mhz: int | None) -> Columns:
    """The channel that is in use, or that of the interface where the driver marks none."""
    chosen = next((each for each in surveys if each.in_use), None)
    if chosen is None:
        chosen = next((each for each in surveys if each.frequency_mhz == frequency_mhz), None)
    if chosen is None:
        return {}
    return {"noise_dbm": chosen.noise_dbm, "channel_busy_ratio": chosen.busy_ratio}


def of_minstrel(table: MinstrelTable) -> Columns:
    """Rate control's own numbers."""
    return {
        "minstrel": table.rates,
        "probe_frames": table.probe_frames,
        "expected_mbps": table.expected_throughput_kbps / 1000,
    }


#: Of a station of which the programs have seen nothing yet.
NOTHING_SENT: Final[Columns] = dict.fromkeys(
    ("tx_frames", "tx_acked", "tx_failed", "tx_attempts", "tx_retries"), 0
)
NOTHING_HEARD: Final[Columns] = dict.fromkeys(("rx_frames", "rx_bytes", "rx_retries", "rx_duplicates"), 0)


def of_sent(station: HookedStation) -> Columns:
    """What the programs know of what was sent to it.

    Where the driver gives frames back without a word, reports of some tell nothing of all: the dump's numbers
    stand.
    """
    ack, rates = station.ack_signal, station.rates
    latencies: Columns = {"latencies_us": station.latency_us, "latency_mean_us": station.latency_mean_us}
    if station.tx_untold:
        return latencies
    return latencies | {
        "tx_frames": station.tx_frames,
        "tx_acked": station.tx_acked,
        "tx_failed": station.tx_failed,
        "tx_attempts": station.tx_attempts,
        "tx_retries": station.tx_retries,
        "tx_rates": tuple(
            RateCount(rate=each.rate, attempts=each.attempts, frames=each.frames, acked=each.acked)
            for each in rates
        ),
        "tx_airtime_us": station.airtime_ns // 1000 if station.airtime_ns else None,
        "ampdus": station.ampdus,
        "ampdu_frames": station.ampdu_frames,
        "ampdu_acked": station.ampdu_acked,
        "ack_signal_dbm": ack.last_dbm if ack else None,
        "ack_signal_mean_dbm": ack.mean_dbm if ack else None,
    }


def of_heard(station: HookedStation) -> Columns:
    """What the programs know of what was received from it."""
    columns: Columns = {
        "rx_frames": station.rx_frames,
        "rx_bytes": station.rx_bytes,
        "rx_retries": station.rx_retries,
        "rx_duplicates": station.rx_duplicates,
        "rx_fcs_failed": station.rx_fcs_failed,
        "rx_plcp_failed": station.rx_plcp_failed,
        "rx_rates": tuple(RateCount(rate=each.rate, frames=each.frames) for each in station.rx_rates),
        "chain_signals_dbm": tuple(each.last_dbm for each in station.chain_signals if each),
    }
    if signal := station.signal:
        columns |= {
            "signal_dbm": signal.last_dbm,
            "signal_min_dbm": signal.min_dbm,
            "signal_max_dbm": signal.max_dbm,
            "signal_mean_dbm": signal.mean_dbm,
            "signals": signal.histogram,
        }
    return columns


#: FCS, which the length of received frames does not have.
_FCS_BYTES: Final = 4


def airtimes(station: HookedStation, frequency_mhz: int | None) -> Columns:
    """Airtime by the formulas, from rate, number and mean length: for where no driver reports it.

    A frame of an A-MPDU counts with a preamble of its own, which is more than it takes.
    """
    sent = [(each.rate, each.attempts, each.bytes) for each in station.rates]
    heard = [(each.rate, each.frames, each.bytes + _FCS_BYTES * each.frames) for each in station.rx_rates]
    return {
        "tx_airtime_us": _airtime_us(sent, frequency_mhz),
        "rx_airtime_us": _airtime_us(heard, frequency_mhz),
    }


def _airtime_us(uses: Iterable[tuple[Rate, int, int]], frequency_mhz: int | None) -> int | None:
    """Of rates, frames and bytes; None if nothing of it is known."""
    told = [
        total_airtime_ns(rate, frames, size, frequency_mhz=frequency_mhz)
        for rate, frames, size in uses
        if frames and size
    ]
    known = [each_ns for each_ns in told if each_ns is not None]
    return sum(known) // 1000 if known else None
