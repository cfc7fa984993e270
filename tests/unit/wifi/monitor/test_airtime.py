"""A transmitter's airtime is that of its frames, each at its rate and in its band."""

import io

import pytest

import meshlens
from meshlens.packet.capture import write_pcap
from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.wifi.airtime import airtime_ns
from meshlens.wifi.rates import Rate

AP, STATION = "02:00:00:00:01:01", "02:00:00:00:01:02"
HEADER_AND_FCS = 24 + 4


def heard(*frames: bytes) -> meshlens.Transmitter:
    """The one who sent them."""
    file = io.BytesIO()
    write_pcap(file, frames, 127)
    file.seek(0)
    (found,) = meshlens.transmitters(read=file).transmitters()
    return found


def frame(size: int, **fields: int | tuple[int, ...]) -> bytes:
    return radiotap(**fields) + dot11("data", AP, STATION, AP, bytes(size))


@pytest.mark.parametrize(("mhz", "extension_us"), [(2412, 6), (5180, 0)])
def test_airtime_is_the_sum_over_rates(mhz: int, extension_us: int) -> None:
    channel = (mhz, 0)
    found = heard(
        frame(100, rate=108, channel=channel), frame(100, rate=108, channel=channel),
        frame(1000, mcs=(7, 4, 15), channel=channel),
    )  # fmt: skip
    slow = airtime_ns(Rate("legacy", 54.0), HEADER_AND_FCS + 100) or 0
    fast = airtime_ns(Rate("ht", None, 15, 2, guard_ns=400), HEADER_AND_FCS + 1000) or 0
    assert found.airtime_ns == 2 * slow + fast + 3 * 1000 * extension_us


def test_frames_whose_rate_is_not_told_have_no_airtime() -> None:
    assert heard(frame(100)).airtime_ns is None
    assert heard(frame(100, mcs=(2, 0, 40))).airtime_ns is None  # unequal modulation
