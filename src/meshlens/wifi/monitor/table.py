"""Frames added up by transmitter, in Python; entries of several CPUs joined.

This is the definition of what the program does in its maps, and serves capture files.
"""

from collections.abc import Iterable
from typing import Final

from meshlens.wifi.monitor.frame import Garbled, Heard, Unreadable, hear
from meshlens.wifi.monitor.layout import BIAS_DB, OUTCOMES, SIGNAL_STEP_DB, Entry, RateCount, RateKey
from meshlens.wifi.monitor.rate import UNKNOWN

__all__ = ["MonitorTable", "join", "join_rates"]


class MonitorTable:
    """Entries by transmitter (None: frames that name none), and what was sent at each rate.

    `outcomes`: what became of the frames. Room is without end here, where the kernel's maps may be full.
    """

    def __init__(self) -> None:
        self.entries: dict[bytes | None, Entry] = {}
        self.rates: dict[RateKey, RateCount] = {}
        self.outcomes = dict.fromkeys(OUTCOMES, 0)

    def add(self, data: bytes, wire_length: int, link_type: int, time_ns: int) -> None:
        """Add a frame of a capture. Raises UsageError for a link type that is not 802.11."""
        try:
            heard = hear(data, wire_length, link_type)
        except Garbled:
            self.outcomes["damaged"] += 1
            return
        except Unreadable:
            self.outcomes["unreadable"] += 1
            return
        entry = self.entries.get(heard.transmitter)
        if heard.damaged:
            self.outcomes["counted" if entry else "damaged"] += 1
            if entry:
                entry.damaged += 1
            return
        if entry is None:
            entry = self.entries[heard.transmitter] = Entry(first_ns=time_ns)
        _add(entry, heard, time_ns)
        if heard.rate != UNKNOWN:
            key = RateKey(heard.transmitter, heard.rate)
            frames, size, retries = self.rates.get(key, (0, 0, 0))
            self.rates[key] = RateCount(frames + 1, size + heard.size, retries + heard.retry)
        self.outcomes["counted"] += 1


def _add(entry: Entry, heard: Heard, time_ns: int) -> None:
    """Add a frame that is not damaged."""
    entry.first_ns, entry.last_ns = min(entry.first_ns, time_ns), max(entry.last_ns, time_ns)
    frames, size = entry.kinds.get(heard.kind, (0, 0))
    entry.kinds[heard.kind] = frames + 1, size + heard.size
    entry.retries += heard.retry
    if heard.signal is not None:
        level = heard.signal + BIAS_DB
        entry.signal_last = level
        entry.signal_sum += level
        entry.signal_min, entry.signal_max = min(entry.signal_min, level), max(entry.signal_max, level)
        step = level // SIGNAL_STEP_DB
        entry.signals[step] = entry.signals.get(step, 0) + 1
    if heard.noise is not None:
        entry.noise_last = heard.noise + BIAS_DB
        entry.noise_sum += entry.noise_last
        entry.noise_frames += 1
    if heard.ampdu is not None:
        entry.ampdus += not entry.ampdu_frames or heard.ampdu != entry.ampdu_reference
        entry.ampdu_frames += 1
        entry.ampdu_reference = heard.ampdu
    if heard.frequency is not None:
        entry.frequency = heard.frequency
    if heard.bssid and any(heard.bssid) and not heard.bssid[0] & 1:  # not that of no BSS, or of any
        entry.bssid = heard.bssid


#: What is added up where several CPUs heard a transmitter; what is newest is the one's that heard it last.
_SUMS: Final = (
    "retries", "damaged", "signal_sum", "noise_sum", "noise_frames", "ampdus", "ampdu_frames",
)  # fmt: skip


def join(entries: Iterable[tuple[bytes | None, Entry]]) -> dict[bytes | None, Entry]:
    """The entries of all CPUs by transmitter."""
    joined: dict[bytes | None, Entry] = {}
    for transmitter, entry in sorted(entries, key=lambda pair: pair[1].last_ns):
        before = joined.get(transmitter)
        if before:
            _join(entry, before)
        joined[transmitter] = entry
    return joined


def _join(later: Entry, earlier: Entry) -> None:
    """Add the one to the other, which was heard later."""
    for name in _SUMS:
        setattr(later, name, getattr(later, name) + getattr(earlier, name))
    later.first_ns = min(later.first_ns, earlier.first_ns)
    later.signal_min = min(later.signal_min, earlier.signal_min)
    later.signal_max = max(later.signal_max, earlier.signal_max)
    if not later.signals:
        later.signal_last = earlier.signal_last
    if not any(later.bssid):
        later.bssid = earlier.bssid
    later.frequency = later.frequency or earlier.frequency
    for kind, (frames, size) in earlier.kinds.items():
        before = later.kinds.get(kind, (0, 0))
        later.kinds[kind] = before[0] + frames, before[1] + size
    for step, frames in earlier.signals.items():
        later.signals[step] = later.signals.get(step, 0) + frames


def join_rates(rates: Iterable[tuple[RateKey, RateCount]]) -> dict[RateKey, RateCount]:
    """What was sent at each rate, of all CPUs."""
    joined: dict[RateKey, RateCount] = {}
    for key, count in rates:
        before = joined.get(key, RateCount(0, 0, 0))
        joined[key] = RateCount(*map(sum, zip(before, count, strict=True)))
    return joined
