"""What our radios send and hear, by station: equal to a medium that knows, and to what the kernel counts."""

from typing import Any

import pytest

from tests.vm.conftest import VirtualMachine

HOOKS = ("fentry", "kprobe")
#: Who sends to whom.
LINKS = {
    ("wlan0", "02:00:00:00:01:00"), ("wlan1", "02:00:00:00:00:00"),
    ("wlan0", "02:00:00:00:02:00"), ("wlan2", "02:00:00:00:00:00"),
}  # fmt: skip

Station = dict[str, Any]


def stations(vm: VirtualMachine, hook: str) -> dict[tuple[str, str], Station]:
    return {(each["interface"], each["mac"]): each for each in vm.ask("wifi_hooks")[hook]["stations"]}


def medium(vm: VirtualMachine, hook: str) -> dict[tuple[str, str], tuple[dict[str, int], dict[str, int]]]:
    """By the sending interface and the receiver's address."""
    said = vm.ask("wifi_hooks")[hook]["medium"]
    return {tuple(ends.split()): (truth, signals) for ends, (truth, signals) in said.items()}


def way_back(interface: str, mac: str) -> tuple[str, str]:
    """The other end of a link: what one sends, the other hears."""
    return f"wlan{int(mac.split(':')[4])}", f"02:00:00:00:0{interface.removeprefix('wlan')}:00"


@pytest.mark.parametrize("hook", HOOKS)
def test_the_functions_are_found_and_watched_by_the_probe_asked_for(vm: VirtualMachine, hook: str) -> None:
    assert vm.ask("wifi_hooks")[hook]["functions"] == [
        ["sent", "ieee80211_tx_status_ext", hook],
        ["heard", "ieee80211_rx_list", hook],
        ["handed over", "ieee80211_subif_start_xmit", hook],
        ["handed over", "ieee80211_subif_start_xmit_8023", hook],
    ]


@pytest.mark.parametrize("hook", HOOKS)
def test_attempts_retries_and_failures_are_the_medium_s(vm: VirtualMachine, hook: str) -> None:
    seen = stations(vm, hook)
    assert set(seen) == LINKS
    for ends, (truth, _) in medium(vm, hook).items():
        each = seen[ends]
        assert each["tx_frames"] == each["tx_reported"] == truth["frames"]
        assert each["tx_attempts"] == truth["attempts"]
        assert each["tx_retries"] == truth["retries"]
        assert each["tx_failed"] == truth["failed"]
        assert each["tx_acked"] == truth["frames"] - truth["failed"]
        assert each["bssid"] == "02:11:22:33:44:55"


@pytest.mark.parametrize("hook", HOOKS)
def test_the_rates_split_attempts_frames_and_acks_without_rest(vm: VirtualMachine, hook: str) -> None:
    for each in stations(vm, hook).values():
        rates = each["rates"]
        assert sum(rate["attempts"] for rate in rates) == each["tx_attempts"]
        assert sum(rate["frames"] for rate in rates) == each["tx_frames"]
        assert sum(rate["acked"] for rate in rates) == each["tx_acked"]
        assert {rate["rate"]["phy"] for rate in rates} == {"legacy"}
        on_the_air = each["tx_attempts"] * (24 + 8 + 2 + 100 + 4)  # header, LLC/SNAP, ethertype, data, FCS
        assert sum(rate["bytes"] for rate in rates) == on_the_air


@pytest.mark.parametrize("hook", HOOKS)
def test_what_is_heard_is_what_the_medium_delivered(vm: VirtualMachine, hook: str) -> None:
    seen = stations(vm, hook)
    for ends, (truth, _) in medium(vm, hook).items():
        each, twice = seen[way_back(*ends)], truth.get("duplicates", 0)
        assert each["rx_frames"] == each["rx_data_frames"] == truth["heard"] + twice
        assert each["rx_bytes"] == truth["bytes"] // truth["heard"] * each["rx_frames"]
        assert each["rx_retries"] == truth["again"] + twice
        assert each["rx_duplicates"] == twice
        assert sum(rate["frames"] for rate in each["rx_rates"]) == each["rx_frames"]


@pytest.mark.parametrize("hook", HOOKS)
def test_signals_of_frames_and_of_acks_are_those_they_were_sent_with(vm: VirtualMachine, hook: str) -> None:
    seen = stations(vm, hook)
    for ends, (truth, signals) in medium(vm, hook).items():
        acked = {int(dbm): frames for dbm, frames in signals.items()}
        assert_signals(seen[ends]["ack_signal"], acked)
        if not truth.get("duplicates"):  # whose second time has a signal too
            assert_signals(seen[way_back(*ends)]["signal"], acked)


def assert_signals(seen: Station, frames_at: dict[int, int]) -> None:
    frames = sum(frames_at.values())
    assert seen["frames"] == frames
    assert (seen["min_dbm"], seen["max_dbm"]) == (min(frames_at), max(frames_at))
    assert seen["mean_dbm"] == pytest.approx(sum(dbm * count for dbm, count in frames_at.items()) / frames)
    steps: dict[str, int] = {}
    for dbm, count in frames_at.items():
        step = str(dbm // 4 * 4)
        steps[step] = steps.get(step, 0) + count
    assert seen["histogram"] == steps


@pytest.mark.parametrize("hook", HOOKS)
def test_numbers_are_those_of_iw_station_dump(vm: VirtualMachine, hook: str) -> None:
    said = vm.ask("wifi_hooks")[hook]["iw"]
    for (interface, mac), each in stations(vm, hook).items():
        before, after = said[f"{interface} {mac}"]

        def more(name: str, before: dict[str, str] = before, after: dict[str, str] = after) -> int:
            return int(after[name]) - int(before[name])

        assert more("tx packets") == each["tx_frames"]
        assert more("tx retries") == each["tx_retries"]
        assert more("tx failed") == each["tx_failed"]
        assert more("rx packets") == each["rx_frames"] - each["rx_duplicates"]
        assert more("rx drop misc") == each["rx_duplicates"]
        assert after["signal"] == f"{each['signal']['last_dbm']} dBm"


@pytest.mark.parametrize("hook", HOOKS)
def test_each_frame_s_latency_is_in_the_histogram(vm: VirtualMachine, hook: str) -> None:
    for each in stations(vm, hook).values():
        assert sum(each["latency_us"].values()) == each["tx_frames"]


@pytest.mark.parametrize("hook", HOOKS)
def test_nothing_is_missed_and_what_others_hear_is_not_counted(vm: VirtualMachine, hook: str) -> None:
    answer = vm.ask("wifi_hooks")[hook]
    assert set(answer["missed"].values()) == {0}
    counted = sum(each["tx_frames"] for each in stations(vm, hook).values())
    assert answer["outcomes"]["sent"]["counted"] == counted
    assert answer["outcomes"]["heard"]["others"] > 0  # each of two other radios heard what was for one


def test_no_driver_value_is_made_up(vm: VirtualMachine) -> None:
    for each in stations(vm, "fentry").values():
        told = [each[name] for name in ("ampdus", "airtime_ns", "rx_fcs_failed", "rx_plcp_failed")]
        assert told == [None] * 4
        assert each["chain_signals"] == []
