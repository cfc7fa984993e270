"""One record from what each source says: which is believed, what follows, what is missing and why."""

from dataclasses import replace

import pytest

from meshlens.wifi.airtime import airtime_ns
from meshlens.wifi.hooks.bit_errors import bit_error_ratio
from meshlens.wifi.joined.columns import (
    Columns,
    airtimes,
    of_heard,
    of_interface,
    of_minstrel,
    of_nl80211,
    of_sent,
    of_survey,
)
from meshlens.wifi.joined.join import join
from meshlens.wifi.joined.record import Source, WifiStation
from meshlens.wifi.netlink.survey import ChannelSurvey
from tests.unit.wifi.joined_stations import AP, BSSID, FAST, HOOKED, INFO, MAC, SLOW, SURVEY, TABLE


def joined(told: dict[Source, Columns], absent: dict[Source, str] | None = None) -> WifiStation:
    return join("wlan0", MAC, told, of_interface(AP, MAC), absent or {})


def all_sources() -> WifiStation:
    return joined(
        {
            "computed": airtimes(HOOKED, 2412), "nl80211": of_nl80211(INFO),
            "survey": of_survey([SURVEY], 2412), "minstrel": of_minstrel(TABLE), "tx-status": of_sent(HOOKED),
            "rx": of_heard(HOOKED),
        }
    )  # fmt: skip


def test_the_programs_are_believed_before_nl80211() -> None:
    station = all_sources()
    assert (station.tx_frames, station.tx_failed, station.rx_frames) == (40, 2, 20)
    assert station.sources["tx_frames"] == "tx-status"
    assert station.sources["signal_mean_dbm"] == "rx"
    assert (station.tx_bytes, station.sources["tx_bytes"]) == (500_000, "nl80211")
    assert (station.expected_mbps, station.sources["expected_mbps"]) == (20.1, "minstrel")


def test_where_the_driver_gives_frames_back_without_a_word_nothing_is_lost_by_that() -> None:
    """What it reported of two frames says nothing of the thousand that nl80211 knows of."""
    mute = replace(HOOKED, tx_frames=2, tx_acked=2, tx_failed=0, tx_untold=998)
    station = joined({"nl80211": of_nl80211(INFO), "tx-status": of_sent(mute)})
    assert (station.tx_frames, station.tx_failed, station.tx_retries) == (1000, 10, 200)
    assert (station.sources["tx_frames"], station.sources["tx_failed"]) == ("nl80211", "nl80211")
    assert station.sources["latencies_us"] == "tx-status"
    assert "tx_rates" in station.missing


def test_signal_to_noise_is_the_mean_signal_above_the_survey_s_noise() -> None:
    station = all_sources()
    assert station.snr_db == pytest.approx(-60.5 + 95)
    assert (station.sources["snr_db"], station.sources["noise_dbm"]) == ("computed", "survey")
    assert station.channel_busy_ratio == 0.3


def test_airtime_is_worked_out_where_no_driver_reports_it() -> None:
    station = all_sources()
    sent = [airtime_ns(rate, 1000, frequency_mhz=2412) for rate in (FAST, SLOW)]
    assert sent[0]
    assert sent[1]
    assert station.tx_airtime_us == (50 * sent[0] + 10 * sent[1]) // 1000
    received = airtime_ns(FAST, 1004, frequency_mhz=2412)  # with the FCS
    assert received
    assert station.rx_airtime_us == 20 * received // 1000
    assert station.sources["tx_airtime_us"] == station.sources["rx_airtime_us"] == "computed"


def test_ratios_are_of_frames_that_wanted_an_ack() -> None:
    station = all_sources()
    assert station.loss_ratio == 2 / 38
    assert station.retry_ratio == 20 / 40


def test_nl80211_alone_fills_the_record_and_says_what_follows() -> None:
    station = joined({"nl80211": of_nl80211(INFO)}, {"tx-status": "no BTF", "rx": "no BTF"})
    assert (station.tx_frames, station.tx_acked, station.tx_attempts) == (1000, 990, 1200)
    assert station.sources["tx_acked"] == station.sources["tx_attempts"] == "computed"
    assert station.loss_ratio == 0.01
    assert station.tx_airtime_us is None  # 0 is what mac80211 tells where the driver reports none
    assert station.missing["tx_rates"] == station.missing["signals"] == "no BTF"
    assert station.missing["noise_dbm"] == "the driver keeps no survey of its channel"
    assert station.missing["snr_db"]
    assert not set(station.missing) & set(station.sources)


def test_a_bit_error_ratio_is_that_of_the_source_that_counts_the_frames() -> None:
    plain = joined({"nl80211": of_nl80211(INFO)})
    assert plain.tx_bit_error_ratio == bit_error_ratio(210, 1200, 500)
    assert plain.rx_bit_error_ratio is None
    assert "damaged" in plain.missing["rx_bit_error_ratio"]
    damaged = joined({"nl80211": {**of_nl80211(INFO), "rx_fcs_failed": 80}})
    assert damaged.rx_bit_error_ratio == bit_error_ratio(80, 880, 500)


def test_an_interface_tells_bss_network_and_channel() -> None:
    station = all_sources()
    assert (station.bssid, station.ssid, station.frequency_mhz, station.kind) == (BSSID, "mesh", 2412, "ap")


def test_the_channel_in_use_is_the_one_that_counts() -> None:
    other = ChannelSurvey(interface="wlan0", frequency_mhz=2437, in_use=False, noise_dbm=-80)
    assert of_survey([other, SURVEY], 2437)["noise_dbm"] == -95
    assert of_survey([other], 2437)["noise_dbm"] == -80
    assert of_survey([other], 2412) == {}
