"""A monitor interface of mac80211: what is heard there is what a packet socket hears, and what was sent."""

from typing import Any

from tests.vm.conftest import VirtualMachine

AP, STATION, OTHER = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03"
#: How often the guest sends each frame, and how many bytes it has with header and FCS.
TIMES, HEADERS = 5, 24 + 4


def heard(vm: VirtualMachine, key: str = "heard") -> dict[str, dict[str, Any]]:
    return {each["mac"]: each for each in vm.ask("monitor")[key]}


def test_the_kernel_counts_what_a_packet_socket_hears(vm: VirtualMachine) -> None:
    assert heard(vm) == heard(vm, "recorded")
    assert vm.ask("monitor")["outcomes"]["counted"] == 4 * TIMES


def test_each_transmitter_has_the_frames_it_sent(vm: VirtualMachine) -> None:
    kinds = {mac: each["kinds"] for mac, each in heard(vm).items()}
    assert kinds == {
        AP: {"beacon": {"frames": TIMES, "bytes": TIMES * (HEADERS + 60)}},
        STATION: {"data": {"frames": 2 * TIMES, "bytes": 2 * TIMES * (HEADERS + 100)}},
        OTHER: {"probe-req": {"frames": TIMES, "bytes": TIMES * (HEADERS + 20)}},
    }
    assert {mac: each["retries"] for mac, each in heard(vm).items()} == {AP: 0, STATION: TIMES, OTHER: 0}
    assert {mac: each["bssid"] for mac, each in heard(vm).items()} == {AP: AP, STATION: AP, OTHER: ""}


def test_radiotap_tells_the_channel_it_hopped_to_and_a_signal(vm: VirtualMachine) -> None:
    for each in heard(vm).values():
        assert each["frequency_mhz"] == 2437
        assert each["signal_dbm"] < 0
        assert sum(use["frames"] for use in each["rates"]) == sum(k["frames"] for k in each["kinds"].values())


def test_only_what_the_filter_matches_is_counted(vm: VirtualMachine) -> None:
    assert set(heard(vm, "filtered")) == {AP, OTHER}
