"""A station of a Wi-Fi interface as it is handed out: all that is known, and where each number comes from."""

from dataclasses import dataclass, field
from typing import Literal

from meshlens.wifi.joined.ratios import given_up_ratio, unacknowledged_ratio
from meshlens.wifi.minstrel.record import MinstrelRate
from meshlens.wifi.rates import Rate

__all__ = ["RateCount", "Source", "WifiStation"]

#: A program at mac80211's reports of what was sent, or at its reception of frames; a dump of nl80211's; its
#: survey of the channel; Minstrel's table; worked out from the others.
Source = Literal["tx-status", "rx", "nl80211", "survey", "minstrel", "computed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCount:
    """What was sent at one rate, or received; None: not told.

    `attempts` are transmissions, retries too; `frames` were sent to their end at it, `acked` of them with an
    ACK; of received ones `frames`.
    """

    rate: Rate
    attempts: int | None = None
    frames: int | None = None
    acked: int | None = None

    @property
    def loss_ratio(self) -> float | None:
        """The share of attempts without an ACK, 0 to 1."""
        return unacknowledged_ratio(self.attempts, self.acked)


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiStation:
    """A station; None (and "", or empty) where nothing tells.

    `sources` has the source of each field that is told, by its name; `missing` says why one is not.
    Counts of "nl80211" go on from when the station joined, those of "tx-status" and "rx" from when the
    session began.

    "tx" is what went to the station. `tx_frames` are frames that the driver reported, of which `tx_acked` got
    an ACK and `tx_failed` were given up; from nl80211 alone, packets of the network stack. `tx_attempts` are
    all transmissions, of which `tx_retries` were further ones. `latencies_us` counts frames by the
    time from the stack's hand-over to the report, by the lowest of a power of two.

    "rx" is what came from it: `rx_retries` had the Retry bit, `rx_duplicates` had been received before,
    `rx_fcs_failed` and `rx_plcp_failed` were damaged.

    Airtime is that of frames and their retries, without ACKs and pauses. Signals are in dBm: `signal_dbm` the
    last one; `signals` counts frames by steps of 4 dB. `channel_busy_ratio` is the share of time in which
    the channel was busy, for whatever reason.

    The two bit error ratios are estimates (see `bit_error_ratio`): of what was received, and of what was sent
    as if all attempts without ACK had been bit errors, which is the most that they can be.
    """

    interface: str
    mac: str
    kind: str = ""
    bssid: str = ""
    ssid: str = ""
    frequency_mhz: int | None = None
    width_mhz: int | None = None

    connected_s: int | None = None
    inactive_ms: int | None = None
    authorized: bool | None = None
    mesh_link: str | None = None
    beacon_loss: int | None = None

    tx_frames: int | None = None
    tx_bytes: int | None = None
    tx_acked: int | None = None
    tx_failed: int | None = None
    tx_attempts: int | None = None
    tx_retries: int | None = None
    tx_rate: Rate | None = None
    tx_mbps: float | None = None
    tx_rates: tuple[RateCount, ...] = ()
    tx_airtime_us: int | None = None
    ampdus: int | None = None
    ampdu_frames: int | None = None
    ampdu_acked: int | None = None
    latencies_us: dict[int, int] = field(default_factory=dict)
    latency_mean_us: float | None = None
    ack_signal_dbm: int | None = None
    ack_signal_mean_dbm: float | None = None
    tx_bit_error_ratio: float | None = None

    rx_frames: int | None = None
    rx_bytes: int | None = None
    rx_retries: int | None = None
    rx_duplicates: int | None = None
    rx_dropped: int | None = None
    rx_fcs_failed: int | None = None
    rx_plcp_failed: int | None = None
    rx_rate: Rate | None = None
    rx_mbps: float | None = None
    rx_rates: tuple[RateCount, ...] = ()
    rx_airtime_us: int | None = None
    rx_bit_error_ratio: float | None = None

    signal_dbm: int | None = None
    signal_min_dbm: int | None = None
    signal_max_dbm: int | None = None
    signal_mean_dbm: float | None = None
    signals: dict[int, int] = field(default_factory=dict)
    chain_signals_dbm: tuple[int, ...] = ()
    noise_dbm: int | None = None
    snr_db: float | None = None
    channel_busy_ratio: float | None = None

    expected_mbps: float | None = None
    probe_frames: int | None = None
    minstrel: tuple[MinstrelRate, ...] = ()

    sources: dict[str, Source] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def loss_ratio(self) -> float | None:
        """The share of frames that were given up, of those that wanted an ACK, 0 to 1."""
        return given_up_ratio(self.tx_acked, self.tx_failed)

    @property
    def subframe_error_ratio(self) -> float | None:
        """The share of an A-MPDU's frames without ACK, 0 to 1."""
        if self.ampdu_frames is None or self.ampdu_acked is None:
            return None
        return _ratio(self.ampdu_frames - self.ampdu_acked, self.ampdu_frames)

    @property
    def retry_ratio(self) -> float | None:
        """Further attempts for each frame: 0 if all came through at once."""
        return _ratio(self.tx_retries, self.tx_frames)


def _ratio(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None
