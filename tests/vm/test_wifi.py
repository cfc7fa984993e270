"""nl80211 as we read it against `iw`, and what an access point's station goes through as events."""

import re
from typing import Any

import pytest

from tests.vm.conftest import VirtualMachine
from tests.vm.kernels import which

pytestmark = pytest.mark.skipif(not which("iw") or not which("hostapd"), reason="no iw or no hostapd")

#: How iw calls what we call so; a number is in front of its unit.
IW = {
    "rx bytes": "rx_bytes", "rx packets": "rx_packets", "tx bytes": "tx_bytes", "tx packets": "tx_packets",
    "tx retries": "tx_retries", "tx failed": "tx_failed", "rx drop misc": "rx_dropped",
    "signal": "signal_dbm", "signal avg": "signal_mean_dbm", "tx bitrate": "tx_mbps",
    "rx bitrate": "rx_mbps", "tx duration": "tx_duration_us", "rx duration": "rx_duration_us",
    "beacon loss": "beacon_loss", "beacon signal avg": "beacon_signal_mean_dbm",
}  # fmt: skip
#: What goes on while the one has been asked and the other has not: an access point's beacons.
MOVING = {"rx_bytes", "rx_packets"}
SENT_TO_STATION, SENT_TO_AP = 30, 20


def iw_fields(text: str) -> dict[str, float]:
    """The numbers of a dump with one station or channel."""
    found = re.findall(r"^\t([^:\t]+):\s*(-?[\d.]+)", text, re.MULTILINE)
    return {name: float(number) for name, number in found}


def events(vm: VirtualMachine, interface: str) -> list[dict[str, Any]]:
    return [each for each in vm.ask("wifi")["events"] if each["interface"] == interface]


@pytest.mark.parametrize("interface", ["wlan0", "wlan1"])
def test_a_station_dump_is_that_of_iw(vm: VirtualMachine, interface: str) -> None:
    dump = vm.ask("wifi")["stations"][interface]
    (ours,) = dump["ours"]
    theirs = iw_fields(dump["iw"])
    assert dump["iw"].startswith(f"Station {ours['mac']} ")
    compared = {field: theirs[name] for name, field in IW.items() if name in theirs}
    if interface == "wlan1":
        compared = {field: value for field, value in compared.items() if field not in MOVING}
    assert compared == {field: ours[field] for field in compared}
    assert len(compared) >= 10


def test_what_was_sent_is_counted(vm: VirtualMachine) -> None:
    """The frames of the test have no priority: they are those of TID 0."""
    (station,) = vm.ask("wifi")["stations"]["wlan0"]["ours"]
    assert (station["tids"][0]["tx_msdus"], station["tids"][0]["rx_msdus"]) == (SENT_TO_STATION, SENT_TO_AP)
    assert station["mac"] == vm.ask("wifi")["macs"]["wlan1"]


def test_a_survey_is_that_of_iw(vm: VirtualMachine) -> None:
    survey = vm.ask("wifi")["survey"]
    theirs = [iw_fields(each) for each in survey["iw"].split("Survey data")[1:]]
    names = ("frequency_mhz", "noise_dbm", "time_ms", "busy_ms")
    assert [list(each.values()) for each in theirs] == [
        [each[name] for name in names] for each in survey["ours"]
    ]
    assert [(each["frequency_mhz"], each["noise_dbm"]) for each in survey["ours"]] == [
        (2412, -92), (2437, -92)  # what mac80211_hwsim makes up
    ]  # fmt: skip


def test_interfaces_are_what_they_were_made(vm: VirtualMachine) -> None:
    found = {each["name"]: (each["kind"], each["ssid"]) for each in vm.ask("wifi")["interfaces"]}
    assert found == {
        "wlan0": ("ap", "meshlens"), "wlan1": ("managed", "meshlens"), "wlan2": ("ap", "meshlens"),
    }  # fmt: skip


def test_access_points_tell_who_joins_leaves_and_roams(vm: VirtualMachine) -> None:
    client = vm.ask("wifi")["macs"]["wlan1"]
    first = [each["kind"] for each in events(vm, "wlan0") if each["mac"] == client]
    second = [each["kind"] for each in events(vm, "wlan2") if each["mac"] == client]
    assert first[:4] == ["join", "leave", "roam", "low-ack"]
    assert second == ["roam", "leave"]
    leave = next(each for each in events(vm, "wlan0") if each["kind"] == "leave")
    assert leave["details"]["tx_packets"] >= SENT_TO_STATION


def test_a_client_tells_its_connections_and_the_reasons(vm: VirtualMachine) -> None:
    told = [
        (each["kind"], each["reason"])
        for each in events(vm, "wlan1")
        if each["kind"] in ("connect", "disconnect", "roam", "beacon-loss", "deauthenticate")
    ]
    assert told == [
        ("connect", None), ("deauthenticate", 3), ("disconnect", 3),  # it left
        ("roam", None), ("deauthenticate", 5), ("disconnect", 5),  # it was sent away
        ("roam", None), ("beacon-loss", None), ("deauthenticate", 4), ("disconnect", 4),  # it heard no more
    ]  # fmt: skip
    by_ap = [each["details"]["by_ap"] for each in events(vm, "wlan1") if each["kind"] == "disconnect"]
    assert by_ap == [False, True, False]


def test_a_channel_switch_is_told_on_both_sides(vm: VirtualMachine) -> None:
    for interface in ("wlan0", "wlan1"):
        switched = [each for each in events(vm, interface) if each["kind"] == "channel-switch"]
        assert [each["details"] for each in switched] == [{"frequency_mhz": 2437, "width_mhz": 20}]


def test_a_regulatory_change_is_told(vm: VirtualMachine) -> None:
    told = [each["details"] for each in events(vm, "") if each["kind"] == "regulatory"]
    if not told:
        pytest.skip("no regulatory.db (package wireless-regdb)")
    assert told[-1] == {"country": "DE", "by": "user"}


def test_nothing_is_lost(vm: VirtualMachine) -> None:
    assert vm.ask("wifi")["missed"] == {"overruns": 0}
