"""What the programs keep of a station, and how it lies in the maps.

A station is an address at one of our interfaces, on one radio. Its entry is what one CPU saw: a program never
runs twice at once on a CPU (the kernel refuses, and counts `recursion_misses`), and no two programs write one
number, so nothing is locked. User space adds the entries up.
"""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from meshlens.ebpf import MapSpec, MapType
from meshlens.ebpf.contexts import Field
from meshlens.probes.tally import TALLY, tally_map

__all__ = [
    "BIAS_DB",
    "BLANK",
    "CHAINS",
    "ENTRY_BYTES",
    "HANDED_OVER",
    "HOMES",
    "KEY",
    "LATENCY_BINS",
    "NO_TID",
    "OUTCOMES",
    "RATES",
    "RATE_BYTES",
    "RATE_KEY",
    "RECEIVERS",
    "SEQUENCES",
    "SEQUENCES_BYTES",
    "SIGNALS",
    "SIGNAL_BINS",
    "SIGNAL_STEP_DB",
    "STATIONS",
    "TALLY",
    "Entry",
    "RateCount",
    "RateKey",
    "SignalCount",
    "StationKey",
    "hook_maps",
    "in_rate",
    "in_signal",
    "within",
]

#: The names of the maps: stations; what was sent and heard at each rate; at which interface a station is, by
#: radio and address; which interface has one of our own addresses, by radio; the last sequence numbers of a
#: station; when a frame was handed over, by its skb; what new entries begin as.
STATIONS: Final = "stations"
RATES: Final = "rates"
HOMES: Final = "homes"
RECEIVERS: Final = "receivers"
SEQUENCES: Final = "sequences"
HANDED_OVER: Final = "handed_over"
BLANK: Final = "blank"

#: What becomes of a frame: it is counted at its station; it is for others, or from one who is no station of
#: ours, or sent for no interface (beacons); it is a control frame; it is damaged, and from none that is
#: known; it has no header that can be read; it is in another network namespace; there is no room for its
#: station. Besides: none for its rate.
OUTCOMES: Final = (
    "counted", "others", "control", "damaged", "unreadable", "elsewhere", "stations_full", "rates_full",
)  # fmt: skip

#: The radio (where mac80211 has its struct ieee80211_hw), the interface's index, the station's address, the
#: CPU; of a rate, the eight bytes of `rate` behind it.
KEY: Final = struct.Struct("=QI6sH")
RATE_KEY: Final = struct.Struct("=QI6sH8s")
_HOME: Final = struct.Struct("=Q6sxx")

#: Powers are kept as dBm + BIAS_DB, numbers without sign, and counted in steps of so many dB.
BIAS_DB: Final = 128
SIGNAL_STEP_DB: Final = 4
#: From -128 dBm on; the last one has all that is stronger.
SIGNAL_BINS: Final = 32
CHAINS: Final = 4
#: Bin n counts from 2**(n - 1) up to 2**n microseconds, bin 0 less than one.
LATENCY_BINS: Final = 32
#: Sequence numbers are kept for each of 16 traffic identifiers, and for frames without one.
NO_TID: Final = 16
SEQUENCES_BYTES: Final = 40

_NUMBERS: Final = (
    "last_ns",
    "tx_frames", "tx_acked", "tx_failed", "tx_no_ack_wanted", "tx_filtered", "tx_untold", "tx_reported",
    "tx_attempts", "tx_retries", "ampdus", "ampdu_frames", "ampdu_acked", "tx_time_us", "tx_timed",
    "latency_ns", "rx_last_ns", "rx_frames", "rx_data_frames", "rx_bytes", "rx_retries", "rx_duplicates",
    "rx_fcs_failed", "rx_plcp_failed",
)  # fmt: skip
_BSSID_AT: Final = 8 * len(_NUMBERS)
_LATENCY_AT: Final = _BSSID_AT + 8
_SIGNALS_AT: Final = _LATENCY_AT + 8 * LATENCY_BINS
#: The signals of an entry, in their order.
SIGNALS: Final = ("ack", "rx", *(f"chain {number}" for number in range(CHAINS)))
# Frames, sum, last, greatest, and 255 less the smallest: so all begin as 0.
_SIGNAL: Final = struct.Struct(f"=QQBBB5x{SIGNAL_BINS}Q")
_SIGNAL_FIELDS: Final = {
    "frames": (0, 8), "sum": (8, 8), "last": (16, 1), "max": (17, 1), "below": (18, 1), "bins": (24, 8),
}  # fmt: skip
ENTRY_BYTES: Final = _SIGNALS_AT + len(SIGNALS) * _SIGNAL.size

# What RateCount has.
_RATE: Final = struct.Struct("=QQQQ")
RATE_BYTES: Final = _RATE.size


def within(name: str) -> Field:
    """Where a number of an entry lies, or its "bssid", or the first bin of its "latency"."""
    places = {"bssid": Field(_BSSID_AT, 8), "latency": Field(_LATENCY_AT, 8)}
    return places.get(name) or Field(8 * _NUMBERS.index(name), 8)


def in_signal(signal: str, number: str) -> Field:
    """Where a number of a signal lies in an entry, or the first of its "bins"."""
    offset, size = _SIGNAL_FIELDS[number]
    return Field(_SIGNALS_AT + SIGNALS.index(signal) * _SIGNAL.size + offset, size)


def in_rate(number: str) -> Field:
    """Where a number of a rate lies."""
    return Field(8 * RateCount._fields.index(number), 8)


class StationKey(NamedTuple):
    """A station of one of our interfaces."""

    radio: int
    ifindex: int
    mac: bytes

    @classmethod
    def unpack(cls, key: bytes) -> Self:
        """From a key of the map, whichever CPU."""
        return cls(*KEY.unpack(key)[:3])


class RateKey(NamedTuple):
    """A rate of a station; `rate` as in `rate`."""

    station: StationKey
    rate: bytes

    @classmethod
    def unpack(cls, key: bytes) -> Self:
        """From a key of the map, whichever CPU."""
        *station, _, rate = RATE_KEY.unpack(key)
        return cls(StationKey(*station), rate)


class RateCount(NamedTuple):
    """What was sent or heard at one rate: frames, and of those sent how often, of those heard how many again.

    `size`: the bytes of all attempts, with FCS. `acked`: of the frames sent.
    """

    frames: int
    attempts: int
    acked: int
    size: int

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From the value of the map."""
        return cls(*_RATE.unpack(value))


@dataclass(frozen=True, slots=True)
class SignalCount:
    """Signals, all as dBm + BIAS_DB; `below` is 255 less the smallest. `bins`: frames by step of dB."""

    frames: int
    sum: int
    last: int
    max: int
    below: int
    bins: tuple[int, ...]

    @classmethod
    def unpack(cls, value: bytes, name: str) -> Self:
        """From an entry."""
        frames, sum, last, max, below, *bins = _SIGNAL.unpack_from(value, in_signal(name, "frames").offset)
        return cls(frames, sum, last, max, below, tuple(bins))

    def plus(self, earlier: "SignalCount") -> "SignalCount":
        """With what was seen before, or by another CPU."""
        return SignalCount(
            self.frames + earlier.frames,
            self.sum + earlier.sum,
            self.last if self.frames else earlier.last,
            max(self.max, earlier.max),
            max(self.below, earlier.below),
            _sums(self.bins, earlier.bins),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A station's numbers, by name; what is zero was not seen."""

    numbers: dict[str, int]
    bssid: bytes
    latency: tuple[int, ...]
    signals: dict[str, SignalCount]

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From the value of the map."""
        numbers = struct.unpack_from(f"={len(_NUMBERS)}Q", value)
        return cls(
            dict(zip(_NUMBERS, numbers, strict=True)),
            value[_BSSID_AT : _BSSID_AT + 6],
            struct.unpack_from(f"={LATENCY_BINS}Q", value, _LATENCY_AT),
            {name: SignalCount.unpack(value, name) for name in SIGNALS},
        )

    @property
    def last_ns(self) -> int:
        """When the station was sent to or heard last, by the monotonic clock."""
        return max(self.numbers["last_ns"], self.numbers["rx_last_ns"])

    def plus(self, earlier: "Entry") -> "Entry":
        """With what was seen before, or by another CPU."""
        numbers = {
            name: max(mine, earlier.numbers[name])
            if name.endswith("last_ns")
            else mine + earlier.numbers[name]
            for name, mine in self.numbers.items()
        }
        return Entry(
            numbers,
            self.bssid if any(self.bssid) else earlier.bssid,
            _sums(self.latency, earlier.latency),
            {name: signal.plus(earlier.signals[name]) for name, signal in self.signals.items()},
        )


def hook_maps(max_stations: int) -> dict[str, MapSpec]:
    """The maps of all programs but the tally, of which each has its own; 16 rates a station on average."""
    specs = (
        MapSpec(STATIONS, MapType.HASH, KEY.size, ENTRY_BYTES, max_stations),
        MapSpec(RATES, MapType.HASH, RATE_KEY.size, _RATE.size, 16 * max_stations),
        MapSpec(HOMES, MapType.HASH, _HOME.size, 4, max_stations),
        MapSpec(RECEIVERS, MapType.HASH, 8, 4, 256),
        MapSpec(SEQUENCES, MapType.HASH, _HOME.size, SEQUENCES_BYTES, max_stations),
        MapSpec(HANDED_OVER, MapType.LRU_HASH, 8, 8, 8192),
        MapSpec(BLANK, MapType.ARRAY, 4, ENTRY_BYTES, 1),
        tally_map(),
    )
    return {spec.name: spec for spec in specs}


def _sums(mine: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(mine, theirs, strict=True)))
