"""Channels and their frequencies; what cannot hop is told at once."""

import pytest

from meshlens.errors import NotSupported, UsageError
from meshlens.wifi.monitor import hopping
from meshlens.wifi.monitor.hopping import Hopper, frequency_mhz


@pytest.mark.parametrize(
    ("channel", "mhz"),
    [(1, 2412), (13, 2472), (14, 2484), (36, 5180), (100, 5500), (165, 5825), (5955, 5955)],
)
def test_channels_are_at_their_frequencies(channel: int, mhz: int) -> None:
    assert frequency_mhz(channel) == mhz


@pytest.mark.parametrize("channel", [-1, 0, 15, 31, 178, 9000])
def test_a_number_that_is_no_channel_is_refused(channel: int) -> None:
    with pytest.raises(UsageError, match=f"no channel {channel}: 1 to 14"):
        Hopper(["mon0"], [1, channel])


def test_without_nl80211_hopping_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NotSupported("cannot change channels: this kernel has no nl80211 (no wireless driver)")

    monkeypatch.setattr(hopping, "_nl80211", refuse)
    with pytest.raises(NotSupported, match="no nl80211"):
        Hopper(["mon0"], [1]).__enter__()
