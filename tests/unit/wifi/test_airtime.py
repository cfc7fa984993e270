"""Airtime: the formulas give what others published, for each PHY, and grow as frames do."""

from fractions import Fraction
from math import ceil

import pytest

from meshlens.wifi.airtime import airtime_ns, ampdu_bytes, preamble_ns, symbol_count, total_airtime_ns
from meshlens.wifi.rates import DSSS_MBPS, OFDM_MBPS, Phy, Rate

# IEEE 802.11-2007, table 18-2 (LENGTH of CCK at 11 Mbit/s), and the same at the other rates; 14 bytes at
# 1 Mbit/s: ns-developers, July 2009; 1536, 76, 14 bytes: M. Gast, "When is 54 not equal to 54?", 2003. All as
# quoted by the test of ns-3, src/wifi/test/tx-duration-test.cc. (Mbit/s, bytes) -> us without the preamble.
CCK = {
    (11, 1023): 744, (11, 1024): 745, (11, 1025): 746, (11, 1026): 747, (5.5, 1023): 1488, (5.5, 1024): 1490,
    (5.5, 1025): 1491, (5.5, 1026): 1493, (2, 1023): 4092, (2, 1026): 4104, (1, 1023): 8184, (1, 14): 112,
    (11, 1536): 1118, (11, 76): 56, (11, 14): 11,
}  # fmt: skip
OFDM = {(54, 1536): 248, (54, 76): 32, (54, 14): 24}
# ns-3, as above: us of 1536, 76 and 14 bytes by PHY, MCS, MHz, ns of guard interval; one stream.
PUBLISHED: dict[tuple[Phy, int, int, int], tuple[float, float, float]] = {
    ("ht", 7, 20, 800): (228, 48, 40), ("ht", 7, 40, 800): (128, 44, 40),
    ("ht", 0, 20, 400): (1742.4, 126, 57.6), ("ht", 6, 20, 400): (226.8, 46.8, 39.6),
    ("ht", 7, 40, 400): (118.8, 43.2, 39.6), ("vht", 8, 20, 800): (196, 48, 40),
    ("vht", 8, 20, 400): (180, 46.8, 39.6), ("vht", 9, 40, 800): (108, 40, 40),
    ("vht", 9, 40, 400): (100.8, 39.6, 39.6), ("vht", 0, 80, 800): (460, 60, 44),
    ("vht", 0, 80, 400): (417.6, 57.6, 43.2), ("vht", 9, 80, 800): (68, 40, 40),
    ("vht", 9, 80, 400): (64.8, 39.6, 39.6), ("vht", 8, 160, 800): (56, 40, 40),
    ("vht", 8, 160, 400): (54, 39.6, 39.6), ("he", 0, 20, 800): (1485.6, 125.6, 71.2),
    ("he", 0, 40, 800): (764.8, 84.8, 57.6), ("he", 0, 80, 800): (397.6, 71.2, 57.6),
    ("he", 0, 160, 800): (220.8, 57.6, 57.6), ("he", 0, 20, 1600): (1570.4, 130.4, 72.8),
    ("he", 0, 40, 1600): (807.2, 87.2, 58.4), ("he", 0, 80, 1600): (418.4, 72.8, 58.4),
    ("he", 0, 160, 1600): (231.2, 58.4, 58.4), ("he", 0, 20, 3200): (1740, 140, 76),
    ("he", 0, 40, 3200): (892, 92, 60), ("he", 0, 80, 3200): (460, 76, 60),
    ("he", 0, 160, 3200): (252, 60, 60), ("he", 11, 20, 800): (139.2, 57.6, 57.6),
    ("he", 11, 40, 800): (98.4, 57.6, 57.6), ("he", 11, 80, 800): (71.2, 57.6, 57.6),
    ("he", 11, 160, 800): (57.6, 57.6, 57.6), ("he", 11, 20, 1600): (144.8, 58.4, 58.4),
    ("he", 11, 40, 1600): (101.6, 58.4, 58.4), ("he", 11, 80, 1600): (72.8, 58.4, 58.4),
    ("he", 11, 160, 1600): (58.4, 58.4, 58.4), ("he", 11, 20, 3200): (156, 60, 60),
    ("he", 11, 40, 3200): (108, 60, 60), ("he", 11, 80, 3200): (76, 60, 60),
    ("he", 11, 160, 3200): (60, 60, 60),
}  # fmt: skip
SIZES = (1536, 76, 14)
# Where ns-3 is simpler than the standard, in us: it leaves out VHT-SIG-B (21.3.8.3.6), and has HE-LTFs of
# 8 us whatever the guard interval is (27.3.11.10: 6.4 + 0.8, 6.4 + 1.6, 12.8 + 3.2).
LEFT_OUT: dict[tuple[Phy, int], Fraction] = {
    ("vht", 400): Fraction(4), ("vht", 800): Fraction(4), ("he", 800): Fraction("-0.8"),
    ("he", 3200): Fraction(8),
}  # fmt: skip

WIDTHS: dict[Phy, tuple[int, ...]] = {
    "ht": (20, 40), "vht": (20, 40, 80, 160), "he": (20, 40, 80, 160), "eht": (20, 40, 80, 160, 320),
}  # fmt: skip
GUARDS: dict[Phy, tuple[int, ...]] = {
    "ht": (400, 800), "vht": (400, 800), "he": (800, 1600, 3200), "eht": (800, 1600, 3200),
}  # fmt: skip
NUMBERS: dict[Phy, list[tuple[int, int]]] = {
    "ht": [(mcs, mcs // 8 + 1) for mcs in range(32)],
    "vht": [(mcs, streams) for mcs in range(10) for streams in range(1, 9)],
    "he": [(mcs, streams) for mcs in range(12) for streams in range(1, 9)],
    "eht": [(mcs, streams) for mcs in range(14) for streams in range(1, 9)],
}
ALL_RATES = [
    *[Rate("legacy", mbps) for mbps in (*DSSS_MBPS, *OFDM_MBPS)], Rate("ht", None, 32, 1, 40),
    *[Rate(phy, None, *number, width, None, guard)
      for phy in NUMBERS for number in NUMBERS[phy] for width in WIDTHS[phy] for guard in GUARDS[phy]],
]  # fmt: skip


@pytest.mark.parametrize(("what", "microseconds"), CCK.items(), ids=str)
@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
def test_dsss_and_cck_have_the_published_lengths(
    what: tuple[float, int], microseconds: int, short: bool
) -> None:
    mbps, size = what
    preamble = 96 if short and mbps > 1 else 192
    assert airtime_ns(Rate("legacy", mbps, short_preamble=short), size) == 1000 * (microseconds + preamble)


@pytest.mark.parametrize(("what", "microseconds"), OFDM.items(), ids=str)
def test_ofdm_has_the_published_lengths(what: tuple[float, int], microseconds: int) -> None:
    mbps, size = what
    assert airtime_ns(Rate("legacy", mbps), size) == 1000 * microseconds
    assert airtime_ns(Rate("legacy", mbps), size, frequency_mhz=5180) == 1000 * microseconds
    assert airtime_ns(Rate("legacy", mbps), size, frequency_mhz=2412) == 1000 * (microseconds + 6)


@pytest.mark.parametrize("which", PUBLISHED, ids=str)
def test_frames_with_an_mcs_have_the_published_lengths(which: tuple[Phy, int, int, int]) -> None:
    phy, mcs, width, guard = which
    rate = Rate(phy, None, mcs, 1, width, None, guard)
    for size, microseconds in zip(SIZES, PUBLISHED[which], strict=True):
        known = Fraction(str(microseconds))
        if guard == 400:  # ns-3 leaves out that the data fills long symbols (19.4.3, 21.4.3)
            known = Fraction(4 * ceil(known / 4))
        assert airtime_ns(rate, size) == 1000 * (known + LEFT_OUT.get((phy, guard), Fraction(0)))


@pytest.mark.parametrize(
    ("streams", "width", "mcs", "encoders"),
    # IEEE 802.11-2020, tables 21-30 to 21-61, N_ES: those in which it is not the rate divided by 540 Mbit/s.
    [
        (1, 160, 8, 2),
        (7, 80, 7, 6),
        (7, 80, 8, 6),
        (5, 160, 8, 8),
        (7, 160, 7, 9),
        (4, 160, 9, 6),
        (8, 160, 9, 12),
    ],
)
def test_each_encoder_of_vht_adds_its_tail(streams: int, width: int, mcs: int, encoders: int) -> None:
    rate = Rate("vht", None, mcs, streams, width)
    bits = rate.data_bits
    assert bits is not None
    fits = (100 * bits - 16 - 6 * encoders) // 8
    assert (symbol_count(rate, int(fits)), symbol_count(rate, int(fits) + 1)) == (100, 101)


@pytest.mark.parametrize("phy", ["ht", "vht", "he", "eht"])
def test_streams_are_trained_one_by_one(phy: Phy) -> None:
    rates = [Rate(phy, None, 8 * (n - 1) if phy == "ht" else 0, n) for n in range(1, 5 if phy == "ht" else 9)]
    preambles = [preamble_ns(each) or 0 for each in rates]
    each = 4000 if phy in ("ht", "vht") else 7200
    assert [(one - preambles[0]) // each for one in preambles] == [0, 1, 3, 3, 5, 5, 7, 7][: len(rates)]


def test_a_frame_is_at_least_its_bits_and_at_most_a_symbol_more() -> None:
    for rate in ALL_RATES:
        for size in (14, 100, 1500, 11454):
            airtime, mbps = airtime_ns(rate, size), rate.mbps
            assert airtime, rate
            assert mbps, rate
            data = airtime - (preamble_ns(rate) or 0) if rate.data_bits else airtime - 192_000
            least = 8000 * size / mbps
            symbols = rate.symbol_ns * (1 + 100 / rate.data_bits) + 4000 if rate.data_bits else 1000
            assert least <= data + 1e-6 <= least + symbols, (rate, size)


def test_no_rate_no_airtime() -> None:
    for rate in (Rate("ht", None, 33), Rate("vht", None, 10), Rate("legacy", 3.0), Rate("he", None, 0, 9),
                 Rate("he", None, 0, guard_ns=400), Rate("vht", None, 0, 0)):  # fmt: skip
        assert airtime_ns(rate, 100) is None, rate


@pytest.mark.parametrize(
    "rate", [Rate("legacy", 5.5), Rate("legacy", 54), Rate("ht", None, 7, guard_ns=400)], ids=str
)
@pytest.mark.parametrize("sizes", [[14], [14, 1500], [40, 41, 42], [1500, 14, 100, 1000]], ids=str)
def test_frames_of_unknown_length_are_together_as_long_as_each_by_itself(
    rate: Rate, sizes: list[int]
) -> None:
    exact = sum(airtime_ns(rate, size) or 0 for size in sizes)
    together = total_airtime_ns(rate, len(sizes), sum(sizes))
    assert together is not None
    assert abs(together - exact) <= len(sizes) * (rate.symbol_ns if rate.data_bits else 1000) + 4000 * len(
        sizes
    )
    if len(set(sizes)) == 1:
        assert together == exact


def test_no_frames_take_no_time() -> None:
    assert total_airtime_ns(Rate("legacy", 54), 0, 0) == 0
    assert total_airtime_ns(Rate("ht", None, 33), 1, 100) is None


def test_an_ampdu_has_a_delimiter_for_each_frame_and_is_aligned() -> None:
    assert ampdu_bytes([]) == 0
    assert ampdu_bytes([1500]) == 1504
    assert ampdu_bytes([1501, 100]) == 4 + 1501 + 3 + 4 + 100
