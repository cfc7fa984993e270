"""Stations added up."""

from dataclasses import replace

from meshlens.wifi.joined.groups import by_rate, grouped
from meshlens.wifi.joined.record import RateCount, WifiStation
from meshlens.wifi.rates import Rate
from tests.unit.wifi.joined_stations import FAST, SLOW

ONE = WifiStation(
    interface="wlan0", mac="02:00:00:00:00:01", bssid="02:00:00:00:0a:00", ssid="mesh", tx_frames=10,
    tx_acked=8, tx_failed=2, rx_frames=5, signal_mean_dbm=-60.0,
    tx_rates=(
        RateCount(rate=FAST, attempts=10, frames=6, acked=5),
        RateCount(rate=SLOW, attempts=4, frames=4, acked=3),
    ),
)  # fmt: skip
TWO = replace(ONE, mac="02:00:00:00:00:02", signal_mean_dbm=-70.0, tx_failed=0, tx_acked=10, rx_frames=None)
THREE = replace(
    ONE, interface="wlan1", mac="02:00:00:00:00:03", bssid="02:00:00:00:0b:00", tx_rates=(), tx_failed=None,
    rx_rates=(RateCount(rate=FAST, frames=7),),
)  # fmt: skip


def test_a_bss_has_the_sums_of_its_stations() -> None:
    first, second = grouped([ONE, TWO, THREE], "bss")
    assert (first.key, first.stations, first.tx_frames, first.tx_failed) == ("02:00:00:00:0a:00", 2, 20, 2)
    assert first.signal_mean_dbm == -65
    assert first.loss_ratio == 0.1
    assert (second.key, second.stations) == ("02:00:00:00:0b:00", 1)


def test_what_no_station_tells_is_none_and_what_one_tells_is_its() -> None:
    first, second = grouped([ONE, TWO, THREE], "interface")
    assert (first.rx_frames, first.rx_retries) == (5, None)
    assert (second.tx_failed, second.loss_ratio) == (None, None)


def test_rates_have_the_attempts_of_all_stations_the_fastest_first() -> None:
    fast, slow = by_rate([ONE, TWO, THREE])
    assert (fast.rate, fast.stations, fast.tx_attempts, fast.tx_acked, fast.rx_frames) == (FAST, 2, 20, 10, 7)
    assert fast.loss_ratio == 0.5
    assert (slow.rate, slow.tx_frames, slow.rx_frames) == (SLOW, 8, None)


def test_without_rates_there_is_no_group() -> None:
    assert by_rate([replace(THREE, rx_rates=())]) == []
    assert (
        by_rate([replace(THREE, rx_rates=(RateCount(rate=Rate("ht", mcs=77), frames=1),))])[0].loss_ratio
        is None
    )
