"""Rates as mac80211 gives them, in each of its three forms."""

import pytest

from meshlens.wifi.hooks.rate import HEARD, INDEX, INFO, rate_of
from meshlens.wifi.rates import Rate

BITRATES = {0: (10, 20, 55, 110), 1: (60, 90)}
MCS, WIDTH_40, SHORT, VHT, WIDTH_80 = 0x08, 0x20, 0x80, 0x100, 0x200


def indexed(index: int, flags: int = 0, band: int = 0) -> bytes:
    return bytes([INDEX, index, flags & 0xFF, flags >> 8, band, 0, 0, 0])


@pytest.mark.parametrize(
    ("eight", "rate"),
    [
        (indexed(3), Rate("legacy", 11.0)),
        (indexed(1, band=1), Rate("legacy", 9.0)),
        (indexed(13, MCS | WIDTH_40 | SHORT), Rate("ht", None, 13, 2, 40, None, 400)),
        (indexed(0x19, VHT | WIDTH_80), Rate("vht", None, 9, 2, 80)),
        (bytes([INFO, 7, 0, 3, 0x01, 0, 0, 0]), Rate("ht", None, 7, 1, 40)),
        (bytes([INFO, 9, 2, 5, 0x02 | 0x04, 0, 0, 0]), Rate("vht", None, 9, 2, 160, None, 400)),
        (bytes([INFO, 11, 2, 4, 0x10, 2, 0, 0]), Rate("he", None, 11, 2, 80, None, 3200)),
        (bytes([INFO, 0, 0, 0, 0, 0, 0x1C, 0x02]), Rate("legacy", 54.0)),
        (bytes([HEARD, 1, 0, 0, 0, 0, 1, 0]), Rate("legacy", 9.0)),
        (bytes([HEARD, 15, 0, 3, 1, 0, 0, 4]), Rate("ht", None, 15, 2, 40, None, 400)),
        (bytes([HEARD, 8, 3, 4, 2, 0, 1, 0]), Rate("vht", None, 8, 3, 80)),
        (bytes([INFO, 13, 2, 7 | 1 << 4, 0x80, 0, 0, 0]), Rate("eht", None, 13, 2, 320, None, 1600)),
        (bytes([HEARD, 9, 1, 5, 4, 0, 1 | 2 << 4, 0]), Rate("eht", None, 9, 1, 160, None, 3200)),
        (bytes([HEARD, 5, 1, 6, 3, 1 | 4 | 3 << 4, 1, 0]), Rate("he", None, 5, 1, 20, 242, 1600, dcm=True)),
    ],
)
def test_each_form_gives_the_rate(eight: bytes, rate: Rate) -> None:
    assert rate_of(eight, BITRATES) == rate


@pytest.mark.parametrize(
    "eight",
    [
        bytes(8),
        indexed(4),  # not in the table of its band
        indexed(0, band=2),  # of which there is none
        bytes([INFO, 3, 1, 0, 0x08, 0, 0, 0]),  # 60 GHz
        bytes([HEARD, 3, 1, 8, 4, 0, 0, 0]),  # a part of EHT's channel
        bytes([HEARD, 3, 1, 0, 5, 0, 0, 0]),  # none of the encodings
        bytes([HEARD, 3, 1, 9, 2, 0, 0, 0]),  # no such width
        bytes([HEARD, 3, 1, 0, 3, 3, 0, 0]),  # no such guard interval
        bytes([HEARD, 3, 1, 6, 3, 7 << 4, 0, 0]),  # no such resource unit
    ],
)
def test_what_is_no_rate_that_we_know_is_none(eight: bytes) -> None:
    assert rate_of(eight, BITRATES) is None
