"""A station as it is handed out: what was sent to it and heard of it by one of our own interfaces."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from meshlens.wifi.hooks.bit_errors import bit_error_ratio
from meshlens.wifi.hooks.layout import (
    BIAS_DB,
    SIGNAL_STEP_DB,
    Entry,
    RateCount,
    SignalCount,
)
from meshlens.wifi.hooks.rate import HEARD, Bitrates, rate_of
from meshlens.wifi.rates import Rate

__all__ = ["HookedStation", "RateAck", "RateHeard", "Signal", "record"]


@dataclass(frozen=True, slots=True)
class Signal:
    """Signals in dBm: last, extremes and mean; frames by steps of 4 dB, by the lowest level of the step."""

    frames: int
    last_dbm: int
    min_dbm: int
    max_dbm: int
    mean_dbm: float
    histogram: dict[int, int]


@dataclass(frozen=True, slots=True)
class RateAck:
    """What was sent at one rate, as Minstrel counts it.

    `attempts`: frames on the air, each time they were; `frames` ended at this rate, acknowledged or given up;
    `acked` of them were acknowledged. `bytes`: of all attempts, with FCS, as far as the driver keeps frames
    until it reports.
    """

    rate: Rate
    attempts: int
    frames: int
    acked: int
    bytes: int

    @property
    def loss_ratio(self) -> float | None:
        """The share of attempts without ACK, 0 to 1."""
        return 1 - self.acked / self.attempts if self.attempts else None

    @property
    def bit_error_ratio(self) -> float | None:
        """An upper bound, see `bit_errors`; None if nothing came through or the length is not known."""
        mean = self.bytes / self.attempts if self.attempts else 0
        return bit_error_ratio(self.attempts - self.acked, self.attempts, mean)


@dataclass(frozen=True, slots=True)
class RateHeard:
    """What was heard at one rate; `retries` had been sent before."""

    rate: Rate
    frames: int
    bytes: int
    retries: int


@dataclass(frozen=True, slots=True)
class HookedStation:
    """What one of our interfaces sent to one address, and heard of it. None: not told by this driver.

    `interface` is the interface's name, `bssid` "" if no frame told it. A group address has the frames that
    were sent to it. `last_ns` is when a frame of it was last seen, nanoseconds since the epoch.

    Sent: `tx_frames` is what the driver reported, `tx_acked` and `tx_failed` how it ended; the
    `tx_no_ack_wanted` are those without an ACK to wait for. Frames held back because the station sleeps are
    `tx_filtered`, and in no other number; those that the driver gave back without a word are `tx_untold`, and
    besides only in the latencies. The driver told the attempts of `tx_reported` frames, which were
    `tx_attempts`; `tx_retries` is how often a frame or an A-MPDU was sent again. `rates` splits this. The
    `ampdus` that were reported had `ampdu_frames`, of which `ampdu_acked` were acknowledged.
    `airtime_ns` is the sum of what the driver reported for `airtime_frames` reports.

    `latency_us`: frames by the time from the network stack's hand-over to the report, by the lower end of the
    step (0, 1, 2, 4, ... microseconds); `latency_mean_us` of the same. Frames that mac80211 made itself, and
    those it cut up or put together, are not in it.

    Heard: whole frames of type data or management, to us or to all; `rx_data_frames` carry data, and
    `rx_duplicates` had been received already. `rx_fcs_failed` and `rx_plcp_failed` are damaged frames, of
    which drivers tell only on request (a monitor interface with the flag fcsfail).
    """

    interface: str
    mac: str
    bssid: str
    last_ns: int
    tx_frames: int
    tx_acked: int
    tx_failed: int
    tx_no_ack_wanted: int
    tx_filtered: int
    tx_untold: int
    tx_reported: int
    tx_attempts: int | None
    tx_retries: int | None
    rates: tuple[RateAck, ...]
    ampdus: int | None
    ampdu_frames: int | None
    ampdu_acked: int | None
    airtime_ns: int | None
    airtime_frames: int
    airtime_source: Literal["reported"] | None
    latency_us: dict[int, int]
    latency_mean_us: float | None
    ack_signal: Signal | None
    rx_frames: int
    rx_data_frames: int
    rx_bytes: int
    rx_retries: int
    rx_duplicates: int
    rx_fcs_failed: int | None
    rx_plcp_failed: int | None
    signal: Signal | None
    chain_signals: tuple[Signal | None, ...]
    rx_rates: tuple[RateHeard, ...]

    @property
    def loss_ratio(self) -> float | None:
        """The share of frames given up, of those that wanted an ACK, 0 to 1."""
        wanted = self.tx_acked + self.tx_failed
        return self.tx_failed / wanted if wanted else None

    @property
    def subframe_error_ratio(self) -> float | None:
        """The share of an A-MPDU's frames without ACK, 0 to 1."""
        if not self.ampdu_frames or self.ampdu_acked is None:
            return None
        return 1 - self.ampdu_acked / self.ampdu_frames

    @property
    def rx_bit_error_ratio(self) -> float | None:
        """From frames with a wrong FCS, see `bit_errors`."""
        if self.rx_fcs_failed is None or not self.rx_frames:
            return None
        heard = self.rx_frames + self.rx_fcs_failed
        return bit_error_ratio(self.rx_fcs_failed, heard, self.rx_bytes / self.rx_frames + 4)


def record(
    interface: str,
    mac: bytes,
    entry: Entry,
    rates: Iterable[tuple[bytes, RateCount]],
    bitrates: Bitrates,
    clock_offset_ns: int = 0,
) -> HookedStation:
    """The station of these numbers; `rates` are its own, each in the eight bytes of `rate`."""
    numbers = entry.numbers
    sent, heard = _rates(rates, bitrates)
    damaged = numbers["rx_fcs_failed"] + numbers["rx_plcp_failed"]
    timed = sum(entry.latency)

    def told(name: str, known: int) -> int | None:
        return numbers[name] if known else None

    return HookedStation(
        interface=interface,
        mac=mac.hex(":"),
        bssid=entry.bssid.hex(":") if any(entry.bssid) else "",
        last_ns=entry.last_ns + clock_offset_ns,
        tx_frames=numbers["tx_frames"],
        tx_acked=numbers["tx_acked"],
        tx_failed=numbers["tx_failed"],
        tx_no_ack_wanted=numbers["tx_no_ack_wanted"],
        tx_filtered=numbers["tx_filtered"],
        tx_untold=numbers["tx_untold"],
        tx_reported=numbers["tx_reported"],
        tx_attempts=told("tx_attempts", numbers["tx_reported"]),
        tx_retries=told("tx_retries", numbers["tx_reported"]),
        rates=tuple(sorted(sent, key=lambda each: (-each.attempts, str(each.rate)))),
        ampdus=told("ampdus", numbers["ampdus"]),
        ampdu_frames=told("ampdu_frames", numbers["ampdus"]),
        ampdu_acked=told("ampdu_acked", numbers["ampdus"]),
        airtime_ns=numbers["tx_time_us"] * 1000 if numbers["tx_timed"] else None,
        airtime_frames=numbers["tx_timed"],
        airtime_source="reported" if numbers["tx_timed"] else None,
        latency_us={1 << bin >> 1: frames for bin, frames in enumerate(entry.latency) if frames},
        latency_mean_us=numbers["latency_ns"] / timed / 1000 if timed else None,
        ack_signal=_signal(entry.signals["ack"]),
        rx_frames=numbers["rx_frames"],
        rx_data_frames=numbers["rx_data_frames"],
        rx_bytes=numbers["rx_bytes"],
        rx_retries=numbers["rx_retries"],
        rx_duplicates=numbers["rx_duplicates"],
        rx_fcs_failed=told("rx_fcs_failed", damaged),
        rx_plcp_failed=told("rx_plcp_failed", damaged),
        signal=_signal(entry.signals["rx"]),
        chain_signals=_chains(entry.signals),
        rx_rates=tuple(sorted(heard, key=lambda each: (-each.frames, str(each.rate)))),
    )


def _rates(
    rates: Iterable[tuple[bytes, RateCount]], bitrates: Bitrates
) -> tuple[list[RateAck], list[RateHeard]]:
    """Those sent and those heard; forms of the same rate together."""
    sums: dict[tuple[bool, Rate], list[int]] = {}
    for eight, count in rates:
        if rate := rate_of(eight, bitrates):
            sums_of = sums.setdefault((eight[0] == HEARD, rate), [0] * len(count))
            sums_of[:] = map(sum, zip(sums_of, count, strict=True))
    sent, heard = list[RateAck](), list[RateHeard]()
    for (was_heard, rate), (frames, attempts, acked, size) in sums.items():
        if was_heard:
            heard.append(RateHeard(rate, frames, size, attempts))
        else:
            sent.append(RateAck(rate, attempts, frames, acked, size))
    return sent, heard


def _chains(signals: Mapping[str, SignalCount]) -> tuple[Signal | None, ...]:
    """As many as there are, in their order."""
    chains = [_signal(count) for name, count in signals.items() if name.startswith("chain")]
    while chains and chains[-1] is None:
        chains.pop()
    return tuple(chains)


def _signal(count: SignalCount) -> Signal | None:
    if not count.frames:
        return None
    return Signal(
        frames=count.frames,
        last_dbm=count.last - BIAS_DB,
        min_dbm=255 - count.below - BIAS_DB,
        max_dbm=count.max - BIAS_DB,
        mean_dbm=count.sum / count.frames - BIAS_DB,
        histogram={bin * SIGNAL_STEP_DB - BIAS_DB: frames for bin, frames in enumerate(count.bins) if frames},
    )
