"""The joined record of a station: what each source says, and what nl80211 alone says, against `iw`."""

from typing import Any

import pytest

from tests.vm.conftest import VirtualMachine
from tests.vm.kernels import which
from tests.vm.test_wifi import SENT_TO_AP, SENT_TO_STATION, iw_fields

pytestmark = pytest.mark.skipif(not which("iw") or not which("hostapd"), reason="no iw or no hostapd")


def station(vm: VirtualMachine) -> dict[str, Any]:
    """The access point's client."""
    (found,) = [each for each in vm.ask("wifi_stations")["stations"] if each["interface"] == "wlan0"]
    return dict(found)


def test_with_nl80211_alone_the_columns_are_those_of_iw(vm: VirtualMachine) -> None:
    (plain,) = vm.ask("wifi_stations")["plain"]
    theirs = iw_fields(vm.ask("wifi_stations")["iw"])
    for name, field in (
        ("tx packets", "tx_frames"), ("tx retries", "tx_retries"), ("tx failed", "tx_failed"),
        ("rx packets", "rx_frames"), ("rx bytes", "rx_bytes"), ("signal", "signal_dbm"),
        ("tx bitrate", "tx_mbps"),
    ):  # fmt: skip
        assert plain[field] == theirs[name], name
        assert plain["sources"][field] == "nl80211"
    assert plain["tx_rates"] == []
    assert plain["missing"]["tx_rates"] == "not asked for (hooks)"
    assert plain["missing"]["minstrel"] == "not asked for (minstrel)"


def test_all_sources_are_there_and_each_column_says_which(vm: VirtualMachine) -> None:
    joined = station(vm)
    assert vm.ask("wifi_stations")["absent"] == {}
    assert {joined["sources"][name] for name in ("tx_frames", "tx_acked", "tx_failed", "tx_retries")} == {
        "tx-status"
    }
    assert {joined["sources"][name] for name in ("rx_frames", "rx_retries", "signal_dbm")} == {"rx"}
    assert joined["sources"]["expected_mbps"] == joined["sources"]["minstrel"] == "minstrel"
    assert joined["sources"]["tx_airtime_us"] == "computed"  # simulated radios report none
    assert joined["sources"]["connected_s"] == "nl80211"
    assert set(joined["sources"]) & set(joined["missing"]) == set()
    assert {name for name in joined["sources"] if joined[name] is None} == set()


def test_each_frame_is_counted_once_and_acknowledged(vm: VirtualMachine) -> None:
    joined = station(vm)
    assert (joined["tx_frames"], joined["tx_failed"]) == (joined["tx_acked"], 0)
    assert SENT_TO_STATION <= joined["tx_frames"] <= SENT_TO_STATION + 2
    assert sum(rate["acked"] for rate in joined["tx_rates"]) == joined["tx_acked"]
    assert SENT_TO_AP <= joined["rx_frames"] <= SENT_TO_AP + 2
    assert sum(joined["signals"].values()) == sum(rate["frames"] for rate in joined["rx_rates"])


def test_nothing_is_missed_and_programs_tell_their_costs(vm: VirtualMachine) -> None:
    assert set(vm.ask("wifi_stations")["missed"].values()) == {0}
    assert set(vm.ask("wifi_stations")["costs"]) == {"wifi hooks", "minstrel"}


def test_the_command_shows_the_stations_and_their_sources(vm: VirtualMachine) -> None:
    heading, *lines, err, code = vm.ask("wifi_stations")["said"]["table"]
    assert (err, code) == ("", "0")
    assert heading.split()[:3] == ["station", "at", "sent"]
    assert {line.split()[1] for line in lines[:2]} == {"wlan0", "wlan1"}
    assert any(line.startswith("2 stations · missed 0") for line in lines)
    assert any("tx-status" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_view_of_the_rate_control_is_minstrel_s_table(vm: VirtualMachine) -> None:
    head, columns, *rates, err, code = vm.ask("wifi_stations")["said"]["rate-control"]
    assert (err, code) == ("", "0")
    assert head.startswith(station(vm)["mac"])
    assert columns.split()[0] == "marks"
    assert any(line.startswith("A") for line in rates)
