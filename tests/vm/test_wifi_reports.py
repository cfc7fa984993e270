"""What drivers can report and no simulated radio does: each report made up, and what is made of it."""

from typing import Any

import pytest

from tests.vm.conftest import VirtualMachine

BYTES = 24 + 2 + 100 + 4  # header, QoS control, data, FCS


def station(vm: VirtualMachine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = vm.ask("wifi_reports")["stations"][name]
    return found


def rates(told: dict[str, Any]) -> dict[tuple[str, int | float, int, int], tuple[int, int, int]]:
    """Attempts, frames and ACKs by phy, MCS or Mbit/s, width and guard interval."""
    found = {}
    for each in told["rates"]:
        rate = each["rate"]
        index = rate["legacy_mbps"] if rate["mcs"] is None else rate["mcs"]
        key = rate["phy"], index, rate["width_mhz"], rate["guard_ns"]
        found[key] = each["attempts"], each["frames"], each["acked"]
    return found


def test_the_report_of_an_ampdu_counts_for_all_its_frames_and_for_the_other_ones_none(
    vm: VirtualMachine,
) -> None:
    told = station(vm, "aggregate")
    assert (told["tx_frames"], told["tx_acked"]) == (2, 2)
    assert (told["ampdus"], told["ampdu_frames"], told["ampdu_acked"]) == (1, 10, 7)
    assert (told["tx_reported"], told["tx_attempts"], told["tx_retries"]) == (10, 30, 2)
    assert rates(told) == {("ht", 5, 40, 400): (20, 0, 0), ("ht", 3, 40, 400): (10, 10, 7)}
    assert [each["bytes"] for each in told["rates"]] == [20 * BYTES, 10 * BYTES]
    assert (told["airtime_ns"], told["airtime_frames"], told["airtime_source"]) == (1_234_000, 1, "reported")


def test_rates_that_describe_themselves_are_read(vm: VirtualMachine) -> None:
    told = station(vm, "described")
    assert rates(told) == {
        ("vht", 8, 80, 400): (3, 0, 0),
        ("he", 11, 20, 1600): (1, 1, 1),
        ("legacy", 54.0, 20, 800): (1, 1, 1),
        ("eht", 12, 160, 1600): (2, 1, 1),
    }
    he = next(each["rate"] for each in told["rates"] if each["rate"]["phy"] == "he")
    assert (he["unit_tones"], he["dcm"]) == (106, True)
    assert (told["tx_attempts"], told["tx_retries"]) == (7, 4)


def test_a_report_without_a_frame_counts_but_for_bytes(vm: VirtualMachine) -> None:
    told = station(vm, "no skb")
    assert (told["tx_frames"], told["tx_acked"], told["bssid"]) == (1, 1, "")
    assert [each["bytes"] for each in told["rates"]] == [0]


def test_a_frame_held_back_was_not_sent(vm: VirtualMachine) -> None:
    told = station(vm, "filtered")
    assert (told["tx_filtered"], told["tx_frames"], told["tx_failed"]) == (1, 0, 0)
    assert told["tx_attempts"] is None


def test_a_frame_given_back_without_a_report_is_neither_acknowledged_nor_lost(vm: VirtualMachine) -> None:
    told = station(vm, "mute")
    assert told["tx_untold"] == 2
    assert (told["tx_frames"], told["tx_acked"], told["tx_failed"], told["tx_attempts"]) == (1, 1, 0, 1)
    assert told["bssid"] in ("02:00:00:00:00:01", "02:00:00:00:01:0f")  # and not of an Ethernet header


def test_without_a_station_the_receiver_in_the_header_is_it(vm: VirtualMachine) -> None:
    told = station(vm, "no sta")
    assert (told["tx_frames"], told["tx_no_ack_wanted"], told["tx_failed"]) == (1, 1, 0)
    assert told["bssid"] == "02:00:00:00:00:01"  # from DS: the transmitter


def test_an_ack_s_signal_that_is_no_dbm_is_left_out(vm: VirtualMachine) -> None:
    told = station(vm, "signals")
    assert told["tx_acked"] == 3
    assert told["ack_signal"]["frames"] == 2
    assert (told["ack_signal"]["min_dbm"], told["ack_signal"]["max_dbm"]) == (-67, -61)


def test_rates_that_the_hardware_cannot_have_tried_are_left_out(vm: VirtualMachine) -> None:
    assert rates(station(vm, "few rates")) == {("legacy", 6.0, 20, 800): (2, 1, 1)}


def test_the_header_is_found_behind_radiotap_and_each_chain_has_its_signal(vm: VirtualMachine) -> None:
    told = station(vm, "chains")
    assert told["rx_bytes"] == 2 * (BYTES - 4)
    first, second, third = told["chain_signals"]
    assert (first["frames"], first["mean_dbm"], second) == (2, -52.0, None)
    assert (third["frames"], third["mean_dbm"]) == (2, -70.0)
    assert (told["signal"]["frames"], told["signal"]["mean_dbm"]) == (2, -50.0)
    (rate,) = told["rx_rates"]
    assert (rate["rate"]["phy"], rate["rate"]["mcs"], rate["rate"]["streams"]) == ("he", 9, 2)
    assert (rate["rate"]["width_mhz"], rate["rate"]["guard_ns"], rate["frames"]) == (80, 3200, 2)


def test_no_signal_is_not_a_signal(vm: VirtualMachine) -> None:
    assert station(vm, "no signal")["rx_frames"] == 1
    assert station(vm, "no signal")["signal"] is None


@pytest.mark.parametrize(("name", "size"), [("no signal", 124), ("with FCS", 124), ("802.3", 60)])
def test_bytes_are_those_without_fcs(vm: VirtualMachine, name: str, size: int) -> None:
    assert station(vm, name)["rx_bytes"] == size


def test_damaged_frames_count_at_a_known_station_and_in_nothing_else(vm: VirtualMachine) -> None:
    told = station(vm, "damaged")
    assert (told["rx_frames"], told["rx_fcs_failed"], told["rx_plcp_failed"]) == (1, 2, 1)
    assert vm.ask("wifi_reports")["outcomes"]["heard"]["damaged"] == 1


def test_a_duplicate_repeats_the_number_of_its_own_traffic_and_says_so(vm: VirtualMachine) -> None:
    told = station(vm, "duplicates")
    assert (told["rx_frames"], told["rx_data_frames"]) == (10, 8)
    assert (told["rx_retries"], told["rx_duplicates"]) == (6, 2)


def test_what_is_not_ours_is_counted_as_such(vm: VirtualMachine) -> None:
    answer = vm.ask("wifi_reports")
    assert answer["stations"]["foreign"] is None
    assert answer["outcomes"]["sent"]["elsewhere"] == 1
    assert answer["outcomes"]["heard"] == {
        "counted": 19, "others": 2, "control": 1, "damaged": 1, "unreadable": 2,
    }  # fmt: skip


def test_a_report_by_one_of_the_other_functions_is_read_from_the_frame(vm: VirtualMachine) -> None:
    told = station(vm, "frame alone")
    assert (told["tx_frames"], told["tx_acked"], told["bssid"]) == (1, 1, "02:00:00:00:01:0e")
    assert rates(told) == {("legacy", 1.0, 20, 800): (1, 1, 1)}
