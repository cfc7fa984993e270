"""A transmitter as it is handed out: what was heard of one address on the air."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshlens.packet.ieee80211 import KINDS
from meshlens.wifi.airtime import total_airtime_ns
from meshlens.wifi.monitor.layout import BIAS_DB, SIGNAL_STEP_DB, Entry, RateCount, RateKey
from meshlens.wifi.monitor.rate import rate_of
from meshlens.wifi.rates import Rate

__all__ = ["FrameCount", "RateUse", "Transmitter", "records"]


@dataclass(frozen=True, slots=True)
class FrameCount:
    """Frames, and their bytes on the air: from the header to the FCS."""

    frames: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RateUse:
    """What was sent at one rate; `retries` are those of the `frames` that had been sent before."""

    rate: Rate
    frames: int
    bytes: int
    retries: int


@dataclass(frozen=True, slots=True)
class Transmitter:
    """What one address sent, as a receiver in monitor mode heard it.

    `mac` is "" for all frames that do not name their transmitter (ACK, CTS). `bssid` is the BSS of its last
    data or management frame, "" without any; an access point's own address is its BSSID. `interface` is the
    file's name where a capture was read. Times are nanoseconds since the epoch.

    `frames` and all other numbers are those of frames that came through whole; `damaged` had a wrong FCS or
    PLCP, and name this address as transmitter, as far as they can be believed. `kinds` splits the frames by
    type and subtype ("beacon", "qos-data", …), `rates` by rate, as far as it was told, the most used first.

    Signal and noise are in dBm, None if the driver tells none; `signal_dbm` and `noise_dbm` are the last
    ones. `signals` counts frames by signal in steps of 4 dB, by the lowest level of the step. `ampdu_frames`
    came in `ampdus` A-MPDUs.
    """

    interface: str
    mac: str
    bssid: str
    frequency_mhz: int | None
    first_ns: int
    last_ns: int
    frames: int
    bytes: int
    retries: int
    damaged: int
    kinds: dict[str, FrameCount]
    rates: tuple[RateUse, ...]
    signal_dbm: int | None
    signal_min_dbm: int | None
    signal_max_dbm: int | None
    signal_mean_dbm: float | None
    signals: dict[int, int]
    noise_dbm: int | None
    noise_mean_dbm: float | None
    ampdus: int
    ampdu_frames: int

    @property
    def retry_ratio(self) -> float:
        """The share of its frames that had been sent before, 0 to 1."""
        return self.retries / self.frames if self.frames else 0.0

    @property
    def snr_db(self) -> float | None:
        """Mean signal above mean noise, None if one of them is not told."""
        if self.signal_mean_dbm is None or self.noise_mean_dbm is None:
            return None
        return self.signal_mean_dbm - self.noise_mean_dbm

    @property
    def mean_mbps(self) -> float | None:
        """The mean rate of its frames in Mbit/s, None if none is told."""
        known = [(use.frames, use.rate.mbps) for use in self.rates]
        frames = sum(number for number, mbps in known if mbps)
        return sum(number * mbps for number, mbps in known if mbps) / frames if frames else None

    @property
    def airtime_ns(self) -> int | None:
        """How long its frames were on the air, as far as their rates are told; None if none is.

        Each frame is counted with a preamble of its own, also those of an A-MPDU, which share one.
        """
        known = [
            airtime
            for use in self.rates
            if (airtime := total_airtime_ns(
                use.rate, use.frames, use.bytes, frequency_mhz=self.frequency_mhz
            )) is not None
        ]  # fmt: skip
        return sum(known) if known else None

    @property
    def main_kind(self) -> str:
        """The kind of most of its frames, "" without any."""
        return max(self.kinds, key=lambda name: self.kinds[name].frames, default="")


def records(
    interface: str, entries: Mapping[bytes | None, Entry], rates: Mapping[RateKey, RateCount]
) -> list[Transmitter]:
    """The transmitters of these entries, those with most frames first."""
    used: dict[bytes | None, list[RateUse]] = {}
    for key, count in rates.items():
        rate = rate_of(key.rate)
        if rate:
            used.setdefault(key.transmitter, []).append(RateUse(rate, *count))
    made = [_record(interface, mac, entry, used.get(mac, ())) for mac, entry in entries.items()]
    return sorted(made, key=lambda each: (-each.frames, each.mac))


def _record(interface: str, mac: bytes | None, entry: Entry, rates: Iterable[RateUse]) -> Transmitter:
    heard = sum(entry.signals.values())
    return Transmitter(
        interface=interface,
        mac=mac.hex(":") if mac is not None else "",
        bssid=entry.bssid.hex(":") if any(entry.bssid) else "",
        frequency_mhz=entry.frequency or None,
        first_ns=entry.first_ns,
        last_ns=entry.last_ns,
        frames=sum(frames for frames, _ in entry.kinds.values()),
        bytes=sum(size for _, size in entry.kinds.values()),
        retries=entry.retries,
        damaged=entry.damaged,
        kinds={KINDS[kind]: FrameCount(*count) for kind, count in sorted(entry.kinds.items(), key=_most)},
        rates=tuple(sorted(rates, key=lambda use: (-use.frames, str(use.rate)))),
        signal_dbm=entry.signal_last - BIAS_DB if heard else None,
        signal_min_dbm=entry.signal_min - BIAS_DB if heard else None,
        signal_max_dbm=entry.signal_max - BIAS_DB if heard else None,
        signal_mean_dbm=entry.signal_sum / heard - BIAS_DB if heard else None,
        signals={step * SIGNAL_STEP_DB - BIAS_DB: number for step, number in sorted(entry.signals.items())},
        noise_dbm=entry.noise_last - BIAS_DB if entry.noise_frames else None,
        noise_mean_dbm=entry.noise_sum / entry.noise_frames - BIAS_DB if entry.noise_frames else None,
        ampdus=entry.ampdus,
        ampdu_frames=entry.ampdu_frames,
    )


def _most(item: tuple[int, tuple[int, int]]) -> tuple[int, int]:
    """Sorts the most frequent kind first."""
    kind, (frames, _) = item
    return -frames, kind
