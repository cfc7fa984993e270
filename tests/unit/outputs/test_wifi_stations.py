"""Stations of Wi-Fi interfaces as tables, JSON lines, Parquet rows and metrics."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshlens.outputs import wifi_stations as texts
from meshlens.outputs.metrics import MetricsPage
from meshlens.outputs.wifi_parquet import StationRows
from meshlens.readings.reading import Reading
from meshlens.wifi.joined.groups import by_rate, grouped
from meshlens.wifi.joined.record import RateCount, WifiStation
from meshlens.wifi.minstrel.record import MinstrelRate
from meshlens.wifi.rates import Rate

FAST = Rate("ht", mcs=7, width_mhz=40, guard_ns=400)
KNOWN = WifiStation(
    interface="wlan0", mac="02:00:00:00:00:01", kind="ap", bssid="02:00:00:00:0a:00", ssid="mesh",
    connected_s=100, frequency_mhz=5180, tx_frames=1000, tx_acked=980, tx_failed=20, tx_attempts=1300,
    tx_retries=300, tx_rate=FAST, tx_mbps=150.0, tx_airtime_us=2_000_000,
    tx_rates=(RateCount(rate=FAST, attempts=1300, frames=1000, acked=980),),
    rx_frames=500, rx_airtime_us=1_000_000, signal_mean_dbm=-61.4, snr_db=33.6, expected_mbps=98.3,
    latencies_us={16: 900, 32: 100}, probe_frames=40,
    minstrel=(
        MinstrelRate(7, FAST, 1300, 980, 5, 4, 10, 8, 0.75, 98.3, 120.0, 120.0, 5, 5, "AP"),
        MinstrelRate(6, FAST, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 110.0, 130.0, 0, 0, ""),
    ),
    sources={
        "tx_frames": "tx-status", "tx_retries": "tx-status", "tx_failed": "tx-status", "rx_frames": "rx",
        "snr_db": "computed", "tx_airtime_us": "computed", "rx_airtime_us": "nl80211",
        "expected_mbps": "minstrel",
    },
)  # fmt: skip
UNKNOWN = WifiStation(
    interface="wlan1", mac="02:00:00:00:00:02", kind="managed", tx_frames=3, sources={"tx_frames": "nl80211"},
    missing={"tx_rates": "no BTF", "minstrel": "the firmware does it"},
)  # fmt: skip
MISSED = {"stations_full": 0, "unreadable": 2}
ABSENT = {"tx-status": "no BTF", "rx": "no BTF", "minstrel": "no Minstrel"}


def test_a_line_has_all_that_is_known_and_a_dash_for_the_rest() -> None:
    lines = texts.station_table([UNKNOWN, KNOWN], MISSED, {}, 10).splitlines()
    assert lines[1].split() == [
        "02:00:00:00:00:01", "wlan0", "1.00k", "30%", "2%", "500", "-61/34", "150.0", "21.0%", "98.3",
    ]  # fmt: skip
    assert lines[2].split() == ["02:00:00:00:00:02", "wlan1", "3", *"-------"]
    assert lines[3] == "2 stations · missed 2 (unreadable 2)"


def test_the_foot_names_the_sources_of_the_columns_and_what_is_absent() -> None:
    text = texts.station_table([KNOWN, UNKNOWN], {}, ABSENT, 10)
    assert "sent: nl80211 or tx-status; retry, lost: tx-status" in text
    assert "no tx-status, rx: no BTF\n" in text
    assert "no minstrel: no Minstrel\n" in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    absent = {"rx": "a reason that is so long that it does not fit on one line of any terminal " * 2}
    for text in (
        texts.station_table([KNOWN, UNKNOWN], MISSED, absent, 10, width=width),
        texts.group_table([KNOWN, UNKNOWN], "bss", MISSED, width=width),
        texts.rate_table([KNOWN, UNKNOWN], MISSED, width=width),
        texts.minstrel_table([KNOWN, UNKNOWN], width=width),
    ):
        assert max(map(len, text.splitlines())) <= width


def test_airtime_is_a_share_of_the_time_in_which_it_was_counted() -> None:
    """2 s of the session's 10, 1 s of the 100 for which the station has been there."""
    assert texts.airtime_share(KNOWN, 10) == pytest.approx(0.2 + 0.01)
    assert texts.airtime_share(UNKNOWN, 10) is None


def test_rows_are_cut_and_the_foot_says_so() -> None:
    text = texts.station_table([KNOWN, UNKNOWN], {}, {}, 10, rows=1)
    assert "1 of 2 stations" in text
    assert UNKNOWN.mac not in text


def test_groups_have_sums_and_rates_their_losses() -> None:
    lines = texts.group_table([KNOWN, replace(KNOWN, mac="02:00:00:00:00:03")], "bss", {}).splitlines()
    assert lines[1].split() == [
        "02:00:00:00:0a:00", "mesh", "2", "2.00k", "30%", "2%", "1.00k", "-61", "6.00", "5180",
    ]  # fmt: skip
    rate = texts.rate_table([KNOWN], {}).splitlines()[1]
    assert rate.split() == [
        "ht",
        "7",
        "40",
        "MHz",
        "short",
        "150.0",
        "1",
        "1.30k",
        "1.00k",
        "980",
        "25%",
        "-",
    ]
    assert "no rates: no BTF" in texts.rate_table([UNKNOWN], {})


def test_minstrel_s_table_has_rates_that_were_tried_and_a_reason_where_there_is_none() -> None:
    lines = texts.minstrel_table([KNOWN, UNKNOWN]).splitlines()
    assert lines[0] == "02:00:00:00:00:01 at wlan0: 98.3 Mbit/s expected, 40 frames to probe"
    assert lines[2].split()[:1] == ["AP"]
    assert lines[-1] == "  no table: the firmware does it"
    assert len(lines) == 3 + 1 + 2


def test_json_has_the_fields_the_sources_and_what_is_missing() -> None:
    record = json.loads(texts.station_json(KNOWN, 5))
    assert (record["time_ns"], record["tx_frames"], record["loss_ratio"]) == (5, 1000, 0.02)
    assert record["tx_rate"]["name"] == "ht 7 40 MHz short"
    assert record["tx_rates"][0]["rate"]["mbps"] == 150
    assert record["minstrel"][0]["marks"] == "AP"
    assert record["latencies_us"] == {"16": 900, "32": 100}
    assert json.loads(texts.station_json(UNKNOWN, 5))["missing"]["tx_rates"] == "no BTF"
    (group,) = grouped([KNOWN], "interface")
    assert json.loads(texts.group_json(group, 5))["tx_retries"] == 300
    assert json.loads(texts.group_json(by_rate([KNOWN])[0], 5))["rate"]["name"] == "ht 7 40 MHz short"
    assert json.loads(texts.summary_json([KNOWN], MISSED, ABSENT, 5))["absent"] == ABSENT


def test_parquet_has_a_typed_row_for_each_reading(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = StationRows(tmp_path / "stations.parquet")
    rows.add([KNOWN, UNKNOWN], 5)
    rows.add([KNOWN], 6)
    rows.write()
    table = parquet.read_table(tmp_path / "stations.parquet")
    assert table.column("time_ns").to_pylist() == [5, 5, 6]
    assert table.column("tx_retries").to_pylist() == [300, None, 300]
    assert table.column("tx_rate").to_pylist() == ["ht 7 40 MHz short", None, "ht 7 40 MHz short"]
    assert json.loads(table.column("latencies_us").to_pylist()[0]) == {"16": 900, "32": 100}
    types = {
        name: str(table.schema.field(name).type) for name in ("authorized", "tx_frames", "snr_db", "mac")
    }
    assert types == {"authorized": "bool", "tx_frames": "int64", "snr_db": "double", "mac": "string"}


def test_metrics_have_a_sample_for_what_is_told_in_base_units() -> None:
    page = MetricsPage("1").render(Reading(1, wifi=(KNOWN, UNKNOWN))).decode()
    labels = '{interface="wlan0",mac="02:00:00:00:00:01",bssid="02:00:00:00:0a:00"}'
    assert f"meshlens_wifi_station_transmit_retries_total{labels} 300" in page
    assert f"meshlens_wifi_station_transmit_airtime_seconds_total{labels} 2" in page
    assert f"meshlens_wifi_station_expected_bits_per_second{labels} 98300000" in page
    assert page.count("meshlens_wifi_station_transmit_frames_total{") == 2
    assert page.count("meshlens_wifi_station_snr_db{") == 1
