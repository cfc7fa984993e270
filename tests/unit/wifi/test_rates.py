"""Rates: the formula gives the numbers of the standard's tables, and radiotap's words mean what they say."""

import pytest

from meshlens.packet.craft_wifi import radiotap
from meshlens.packet.radiotap import parse_radiotap
from meshlens.wifi.monitor.rate import UNKNOWN, rate_bytes, rate_of
from meshlens.wifi.rates import LEGACY_MBPS, Phy, Rate

# IEEE 802.11-2020, tables 19-27 to 19-37 (HT), 21-29 to 21-60 (VHT); 802.11ax-2021, 27.5 (HE);
# one stream,
# 802.11be-2024, 36.5 (EHT); or as given, by MCS.
PUBLISHED: dict[tuple[Phy, int, int, int], str] = {
    ("ht", 1, 20, 800): "6.5 13 19.5 26 39 52 58.5 65",
    ("ht", 1, 20, 400): "7.2 14.4 21.7 28.9 43.3 57.8 65 72.2",
    ("ht", 4, 40, 400): "60 120 180 240 360 480 540 600",
    ("vht", 1, 20, 800): "6.5 13 19.5 26 39 52 58.5 65 78",
    ("vht", 1, 40, 800): "13.5 27 40.5 54 81 108 121.5 135 162 180",
    ("vht", 1, 80, 400): "32.5 65 97.5 130 195 260 292.5 325 390 433.3",
    ("vht", 2, 160, 400): "130 260 390 520 780 1040 1170 1300 1560 1733.3",
    ("vht", 8, 160, 400): "520 1040 1560 2080 3120 4160 4680 5200 6240 6933.3",
    ("he", 1, 20, 800): "8.6 17.2 25.8 34.4 51.6 68.8 77.4 86 103.2 114.7 129 143.4",
    ("he", 1, 40, 1600): "16.3 32.5 48.8 65 97.5 130 146.3 162.5 195 216.7 243.8 270.8",
    ("he", 1, 80, 3200): "30.6 61.3 91.9 122.5 183.8 245 275.6 306.3 367.5 408.3 459.4 510.4",
    ("eht", 1, 20, 800): "8.6 17.2 25.8 34.4 51.6 68.8 77.4 86 103.2 114.7 129 143.4 154.9 172.1",
    ("eht", 2, 320, 800): "288.2 576.5 864.7 1152.9 1729.4 2305.9 2594.1 2882.4 3458.8 3843.1 4323.5 4803.9 "
    "5188.2 5764.7",
    ("he", 2, 160, 800): "144.1 288.2 432.4 576.5 864.7 1152.9 1297.1 1441.2 1729.4 1921.6 2161.8 2402",
}
#: HE in a part of the channel, one stream, 0.8 us, MCS 11.
UNITS = {26: 14.7, 52: 29.4, 106: 62.5, 242: 143.4, 484: 286.8, 996: 600.5, 1992: 1201.0}


@pytest.mark.parametrize("which", PUBLISHED, ids=str)
def test_the_formula_gives_the_published_rates(which: tuple[Phy, int, int, int]) -> None:
    phy, streams, width, guard = which
    for mcs, text in enumerate(PUBLISHED[which].split()):
        number = mcs + 8 * (streams - 1) if phy == "ht" else mcs
        rate = Rate(phy, None, number, streams, width, None, guard)
        assert rate.mbps == pytest.approx(float(text), abs=0.051)


def test_resource_units_have_their_own_rates() -> None:
    for tones, mbps in UNITS.items():
        assert Rate("he", None, 11, unit_tones=tones).mbps == pytest.approx(mbps, abs=0.051)


def test_dual_carrier_modulation_halves_a_rate() -> None:
    assert Rate("he", None, 3, dcm=True).mbps == pytest.approx(34.4 / 2, abs=0.051)


def test_the_slowest_rate_of_ht_is_sent_twice() -> None:
    assert Rate("ht", None, 32, width_mhz=40).mbps == 6
    assert Rate("ht", None, 32, width_mhz=40, guard_ns=400).mbps == pytest.approx(6.7, abs=0.051)


def test_the_slowest_rates_of_eht_repeat_themselves() -> None:
    assert Rate("eht", None, 15).mbps == pytest.approx(4.3, abs=0.051)
    assert Rate("eht", None, 14, width_mhz=320).mbps == pytest.approx(36.0, abs=0.051)


@pytest.mark.parametrize(
    "rate",
    [Rate("ht", None, 33), Rate("vht", None, 10), Rate("he", None, 12), Rate("vht", None, 0, width_mhz=30)],
    ids=str,
)
def test_what_the_formula_does_not_know_has_no_rate(rate: Rate) -> None:
    assert rate.mbps is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"rate": 11}, "5.5"),
        ({"rate": 108}, "54"),
        ({"mcs": (7, 4, 15)}, "ht 15 short"),
        ({"mcs": (7, 1, 7)}, "ht 7 40 MHz"),
        ({"mcs": (2, 5, 7)}, "ht 7"),  # width and guard interval are not vouched for
        ({"mcs": (0, 0, 7), "rate": 12}, "6"),  # neither is the number
        ({"vht": (0x44, 4, 4, 0x92, 0, 0, 0, 0, 0, 0)}, "vht 9x2 80 MHz short"),
        ({"vht": (0x40, 4, 11, 0x11, 0, 0, 0, 0, 0, 0)}, "vht 1x1 160 MHz"),
        ({"vht": (0, 4, 11, 0x11, 0, 0, 0, 0, 0, 0)}, "vht 1x1"),
        ({"he": (0x4020, 2, 0xB00, 0, 0x12, 2)}, "he 11x2 80 MHz 1.6 us"),
        ({"he": (0x4220, 2, 0x8B00, 0, 0x02, 2)}, "he 11x1 80 MHz"),  # each stream sent twice
        ({"he": (0x4020, 2, 0x1300, 0, 0x26, 1)}, "he 3x1 106 tones 3.2 us dcm"),
        ({"he": (0x0020, 0, 0x300, 0, 0x26, 1)}, "he 3x1"),
        ({"he": (0x4020, 2, 0xB00, 0, 0, 1), "mcs": (7, 0, 3), "rate": 2}, "he 11x1"),
    ],
    ids=str,
)
def test_radiotap_tells_a_rate_as_far_as_it_vouches_for_it(
    fields: dict[str, int | tuple[int, ...]], text: str
) -> None:
    rate = rate_of(rate_bytes(parse_radiotap(radiotap(**fields))))
    assert str(rate) == text


@pytest.mark.parametrize(
    "fields", [{}, {"rate": 0}, {"mcs": (0, 0, 7)}, {"he": (0, 2, 0xB00, 0, 0, 1)}], ids=str
)
def test_without_a_rate_none_is_told(fields: dict[str, int | tuple[int, ...]]) -> None:
    assert rate_bytes(parse_radiotap(radiotap(**fields))) == UNKNOWN
    assert rate_of(UNKNOWN) is None


def test_legacy_rates_are_in_the_order_of_their_modulations() -> None:
    assert [str(Rate("legacy", mbps)) for mbps in LEGACY_MBPS[:4]] == ["1", "2", "5.5", "11"]
