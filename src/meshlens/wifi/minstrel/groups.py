"""Minstrel's groups: which rate stands where in its table, and how long it takes a frame to be.

The kernel numbers a rate by group and place in the group: `group << 4 | place` (MI_RATE(),
net/mac80211/rc80211_minstrel_ht.h, since Linux 5.12). The groups, in the order of minstrel_mcs_groups[]
(rc80211_minstrel_ht.c): HT by width, guard interval and streams; CCK; OFDM; VHT as HT.
"""

from functools import cache
from itertools import product
from math import ceil
from typing import Final, NamedTuple

from meshlens.wifi.rates import DSSS_MBPS, OFDM_MBPS, Phy, Rate

__all__ = ["GROUPS", "GROUP_RATES", "Group", "duration_ns", "index_of", "rate_at", "split"]

#: Places in a group; not all are used.
GROUP_RATES: Final = 10
#: MI_RATE_IDX_MASK.
_PLACE_BITS: Final = 4
_MAX_STREAMS: Final = 4
_GUARDS_NS: Final = (800, 400)

#: AVG_PKT_SIZE, AVG_AMPDU_SIZE: the frames by which Minstrel compares rates.
_FRAME_BYTES, _AMPDU_FRAMES, _FCS_BYTES = 1200, 16, 4
_CCK_SIFS_US, _OFDM_SIFS_US = 10, 16


class Group(NamedTuple):
    """Rates of the same kind: `phy` "legacy" is CCK where `cck`, else OFDM."""

    phy: Phy
    streams: int = 1
    width_mhz: int = 20
    guard_ns: int = 800
    cck: bool = False


def _with_mcs(phy: Phy, *widths_mhz: int) -> list[Group]:
    shapes = product(widths_mhz, _GUARDS_NS, range(1, _MAX_STREAMS + 1))
    return [Group(phy, streams, width, guard) for width, guard, streams in shapes]


#: All groups, by number.
GROUPS: Final = (
    *_with_mcs("ht", 20, 40),
    Group("legacy", cck=True),
    Group("legacy"),
    *_with_mcs("vht", 20, 40, 80),
)


def index_of(group: int, place: int) -> int:
    """The kernel's number for a rate."""
    return group << _PLACE_BITS | place


def split(index: int) -> tuple[int, int]:
    """Group and place of a rate by the kernel's number for it."""
    return index >> _PLACE_BITS, index & ((1 << _PLACE_BITS) - 1)


@cache
def rate_at(group: int, place: int) -> Rate:
    """The rate that stands there. CCK has its four rates twice, the second time with short preamble."""
    kind = GROUPS[group]
    if kind.cck:
        return Rate("legacy", DSSS_MBPS[place % 4], short_preamble=place >= 4)
    if kind.phy == "legacy":
        return Rate("legacy", OFDM_MBPS[place % 8])
    mcs = 8 * (kind.streams - 1) + place if kind.phy == "ht" else place
    return Rate(kind.phy, None, mcs, kind.streams, kind.width_mhz, None, kind.guard_ns)


@cache
def duration_ns(group: int, place: int) -> int:
    """How long Minstrel takes a frame of 1200 bytes to be at this rate, rounded as the kernel rounds it.

    With an MCS, it is a share of an A-MPDU of 16 frames, without preamble, which is counted as overhead.
    """
    exact = _exact_ns(group, place)
    shift = _shift(group)
    return exact >> shift << shift


def _shift(group: int) -> int:
    """Bits that the kernel drops, for the slowest rate of the group to fit into 16 (GROUP_SHIFT)."""
    return max(0, _exact_ns(group, 0).bit_length() - 16)


@cache
def _exact_ns(group: int, place: int) -> int:
    """CCK_DURATION(), OFDM_DURATION(), MCS_DURATION()."""
    kind, rate = GROUPS[group], rate_at(group, place)
    if kind.cck:
        tenths = int((rate.legacy_mbps or 1) * 10)
        preamble_us = 72 + 24 if rate.short_preamble else 144 + 48
        return 1000 * (_CCK_SIFS_US + preamble_us + 80 * (_FRAME_BYTES + _FCS_BYTES) // tenths)
    if kind.phy == "legacy":
        # As it stands there: 16 + 80 * bytes + 6 tenths of a bit over 4 * 10 tenths of Mbit/s.
        bits = 16 + 80 * (_FRAME_BYTES + _FCS_BYTES) + 6
        return 1000 * (_OFDM_SIFS_US + 16 + 4 + 4 * (bits // (int((rate.legacy_mbps or 1) * 10) * 4)))
    of_one = Rate(kind.phy, None, place, 1, kind.width_mhz).data_bits  # in whole bits, then by streams
    bits = int(of_one or 0) * kind.streams
    symbols = ceil(8 * _FRAME_BYTES * _AMPDU_FRAMES / bits)
    whole = (symbols * 18_000 + 4000) // 5 if kind.guard_ns == 400 else symbols * 4000
    return whole // _AMPDU_FRAMES
