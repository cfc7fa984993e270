"""The throughput that Minstrel expects of a rate, reckoned as the kernel does, in its whole numbers.

minstrel_ht_get_tp_avg(), minstrel_ht_avg_ampdu_len() and minstrel_ht_get_expected_throughput() of
net/mac80211/rc80211_minstrel_ht.c.
"""

from typing import Final, NamedTuple

from meshlens.wifi.minstrel.groups import GROUPS, duration_ns, split

__all__ = ["ONE", "Conditions"]

#: Probabilities and averages are in 1/4096 (MINSTREL_SCALE).
_SCALE_BITS: Final = 12
ONE: Final = 1 << _SCALE_BITS
_LEAST, _MOST = 10 * ONE // 100, 90 * ONE // 100
#: Slower than this in ns, so many frames an A-MPDU are taken for granted before there was any.
_GUESSED_FRAMES: Final = ((400_000, 2), (250_000, 4), (150_000, 8), (0, 16))
_FRAME_BITS: Final = 1200 * 8


class Conditions(NamedTuple):
    """What of a station counts for each of its rates: numbers of struct minstrel_ht_sta."""

    overhead_us: int
    legacy_overhead_us: int
    average_ampdu: int
    best: int

    def throughput(self, group: int, place: int, probability: int) -> int:
        """Frames of 1200 bytes in 100 ms; rc_stats shows them as 100 kbit/s."""
        if probability < _LEAST:
            return 0
        overhead, frames = self.legacy_overhead_us, 1
        if GROUPS[group].phy != "legacy":
            overhead, frames = self.overhead_us, self._ampdu_frames()
        nanoseconds = 1000 * overhead // frames + duration_ns(group, place)
        return 100 * (min(probability, _MOST) * 1_000_000 // nanoseconds) >> _SCALE_BITS

    def expected_kbps(self, probability: int) -> int:
        """The throughput of the best rate with this probability, as nl80211 tells it."""
        return self.throughput(*split(self.best), probability) * 10 * _FRAME_BITS // 1024

    def _ampdu_frames(self) -> int:
        if self.average_ampdu:
            return max(1, self.average_ampdu >> _SCALE_BITS)
        group, place = split(self.best)
        if GROUPS[group].phy == "legacy":
            return 1
        duration = duration_ns(group, place)
        return next(frames for above, frames in _GUESSED_FRAMES if duration > above)
