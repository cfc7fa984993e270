"""What the monitor program keeps of a transmitter, and how it lies in the maps.

An entry is what one CPU heard of a transmitter: no two CPUs write one entry, so nothing is locked, and user
space adds them up. A second map has an entry for each rate of a transmitter.
"""

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from meshlens.ebpf import MapSpec, MapType
from meshlens.ebpf.contexts import Field
from meshlens.probes.tally import TALLY, read_outcomes, tally_map

__all__ = [
    "BIAS_DB",
    "BLANK",
    "ENTRY_BYTES",
    "KEY_BYTES",
    "KINDS_AT",
    "NAMELESS",
    "OUTCOMES",
    "RATES",
    "RATE_BYTES",
    "RATE_KEY_BYTES",
    "SIGNALS_AT",
    "SIGNAL_STEP_DB",
    "TALLY",
    "TRANSMITTERS",
    "Entry",
    "RateCount",
    "RateKey",
    "at",
    "monitor_maps",
    "pack_key",
    "read_tally",
    "unpack_key",
    "unpack_rate",
]

#: The names of the maps: transmitters, their rates, what new entries begin as.
TRANSMITTERS: Final = "transmitters"
RATES: Final = "rates"
BLANK: Final = "blank"

#: What becomes of a frame: it is counted at its transmitter; it is damaged, and names none that is known; it
#: is whole, but its headers cannot be read; there is no room for its transmitter. Besides: there is no room
#: for its rate.
OUTCOMES: Final = ("counted", "damaged", "unreadable", "transmitters_full", "rates_full")

# A transmitter's address, and the CPU in host order; the highest bit for frames that name no transmitter.
_KEY: Final = struct.Struct("=6sH")
KEY_BYTES: Final = _KEY.size
NAMELESS: Final = 0x8000
# The same, and the four bytes of `rate`.
_RATE_KEY: Final = struct.Struct("=6sH4s")
RATE_KEY_BYTES: Final = _RATE_KEY.size
# Frames, bytes, retries.
_RATE: Final = struct.Struct("=3Q")
RATE_BYTES: Final = _RATE.size

# The numbers of an entry: name and struct's letter, in the order in which they lie.
_FIELDS: Final = {
    "first_ns": "Q", "last_ns": "Q", "retries": "Q", "damaged": "Q", "signal_sum": "Q", "noise_sum": "Q",
    "noise_frames": "Q", "ampdus": "Q", "ampdu_frames": "Q", "ampdu_reference": "I", "frequency": "H",
    "signal_min": "B", "signal_max": "B", "bssid": "6s", "signal_last": "B", "noise_last": "B",
}  # fmt: skip
_STATE: Final = struct.Struct("=" + "".join(_FIELDS.values()))
KINDS_AT: Final = _STATE.size
_KIND_COUNT: Final = 64
SIGNALS_AT: Final = KINDS_AT + 16 * _KIND_COUNT
#: Signal and noise are kept as dBm + BIAS_DB, numbers without sign; signals are counted in steps of so many
#: dB, a power of two.
BIAS_DB: Final = 128
SIGNAL_STEP_DB: Final = 4
_SIGNAL_COUNT: Final = 256 // SIGNAL_STEP_DB
ENTRY_BYTES: Final = SIGNALS_AT + 8 * _SIGNAL_COUNT
_COUNTS: Final = struct.Struct(f"={2 * _KIND_COUNT + _SIGNAL_COUNT}Q")


def at(name: str) -> Field:
    """Where a number of an entry lies, for loads and stores."""
    before = "".join(list(_FIELDS.values())[: list(_FIELDS).index(name)])
    return Field(struct.calcsize("=" + before), struct.calcsize("=" + _FIELDS[name]))


class RateCount(NamedTuple):
    """What was sent at one rate."""

    frames: int
    bytes: int
    retries: int


class RateKey(NamedTuple):
    """A rate of a transmitter (None: of frames that name none); `rate` as in `rate`."""

    transmitter: bytes | None
    rate: bytes

    @classmethod
    def unpack(cls, key: bytes) -> Self:
        """From a key of the map, whichever CPU."""
        transmitter, cpu, rate = _RATE_KEY.unpack(key)
        return cls(None if cpu & NAMELESS else transmitter, rate)


@dataclass(slots=True)
class Entry:
    """A transmitter's numbers. `kinds`: (frames, bytes) by kind; `signals`: frames by step of dB.

    All powers are dBm + BIAS_DB. Minimum and maximum begin so that any signal changes them.
    """

    first_ns: int = 0
    last_ns: int = 0
    retries: int = 0
    damaged: int = 0
    signal_sum: int = 0
    noise_sum: int = 0
    noise_frames: int = 0
    ampdus: int = 0
    ampdu_frames: int = 0
    ampdu_reference: int = 0
    frequency: int = 0
    signal_min: int = 255
    signal_max: int = 0
    bssid: bytes = bytes(6)
    signal_last: int = 0
    noise_last: int = 0
    kinds: dict[int, tuple[int, int]] = field(default_factory=dict)
    signals: dict[int, int] = field(default_factory=dict)

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """From the value of the map."""
        counts = _COUNTS.unpack_from(value, KINDS_AT)
        pairs = enumerate(zip(counts[: 2 * _KIND_COUNT : 2], counts[1 : 2 * _KIND_COUNT : 2], strict=True))
        kinds = {kind: pair for kind, pair in pairs if pair[0]}
        signals = {step: frames for step, frames in enumerate(counts[2 * _KIND_COUNT :]) if frames}
        state = dict(zip(_FIELDS, _STATE.unpack_from(value), strict=True))
        return cls(**state, kinds=kinds, signals=signals)

    def pack(self) -> bytes:
        """As the value of the map."""
        counts = [0] * (2 * _KIND_COUNT + _SIGNAL_COUNT)
        for kind, pair in self.kinds.items():
            counts[2 * kind : 2 * kind + 2] = pair
        for step, frames in self.signals.items():
            counts[2 * _KIND_COUNT + step] = frames
        return _STATE.pack(*(getattr(self, name) for name in _FIELDS)) + _COUNTS.pack(*counts)


def pack_key(transmitter: bytes | None, cpu: int = 0) -> bytes:
    """As the key of the map."""
    return _KEY.pack(transmitter or bytes(6), cpu if transmitter is not None else cpu | NAMELESS)


def unpack_key(key: bytes) -> bytes | None:
    """The transmitter of a key of the map, whichever CPU."""
    transmitter, cpu = _KEY.unpack(key)
    assert isinstance(transmitter, bytes)
    return None if cpu & NAMELESS else transmitter


def unpack_rate(value: bytes) -> RateCount:
    """From the value of the map of rates."""
    return RateCount(*_RATE.unpack(value))


def monitor_maps(max_transmitters: int) -> dict[str, MapSpec]:
    """The maps of one interface; a transmitter has room for eight rates on the average.

    Rates are made when needed: mostly there are few of them, and their entries are small.
    """
    specs = (
        MapSpec(TRANSMITTERS, MapType.HASH, KEY_BYTES, ENTRY_BYTES, max_transmitters),
        MapSpec(RATES, MapType.HASH, RATE_KEY_BYTES, RATE_BYTES, 8 * max_transmitters),
        tally_map(),
        MapSpec(BLANK, MapType.ARRAY, 4, ENTRY_BYTES, 1),
    )
    return {spec.name: spec for spec in specs}


def read_tally(tally: memoryview) -> dict[str, int]:
    """Frames by outcome, of all CPUs; `tally` is the mapped value."""
    return read_outcomes(tally, OUTCOMES)
