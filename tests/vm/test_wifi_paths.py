"""Which functions of mac80211 each frame passes: why a probe on one of them may see nothing."""

import pytest

from tests.vm.conftest import VirtualMachine

KINDS = ("unicast", "group")


def calls(vm: VirtualMachine, kind: str) -> dict[str, int | None]:
    found: dict[str, int | None] = vm.ask("wifi_paths")["calls"][kind]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_hand_over_and_status_see_every_frame(vm: VirtualMachine, kind: str) -> None:
    frames = vm.ask("wifi_paths")["frames"]
    assert calls(vm, kind)["ieee80211_subif_start_xmit"] == frames
    assert calls(vm, kind)["ieee80211_tx_status_ext"] == frames


def test_the_slow_path_s_function_sees_no_frame_of_the_fast_path(vm: VirtualMachine) -> None:
    frames = vm.ask("wifi_paths")["frames"]
    assert calls(vm, "unicast")["ieee80211_xmit"] == 0
    assert calls(vm, "unicast")["ieee80211_xmit_fast_finish"] == frames
    assert calls(vm, "group")["ieee80211_xmit"] == frames
    assert calls(vm, "group")["ieee80211_xmit_fast_finish"] == 0


def test_rate_control_hears_of_unicast_only(vm: VirtualMachine) -> None:
    for function in ("rate_control_tx_status", "minstrel_ht_tx_status"):
        assert calls(vm, "unicast")[function] == vm.ask("wifi_paths")["frames"]
        assert calls(vm, "group")[function] == 0


def test_which_way_to_the_driver_and_which_names_depends_on_the_kernel(vm: VirtualMachine) -> None:
    seen = calls(vm, "unicast")
    frames = vm.ask("wifi_paths")["frames"]
    assert seen["ieee80211_tx_frags"] == {"6.1": frames, "6.12": 0}[vm.series]
    assert bool(seen["ieee80211_tx_dequeue"]) == (vm.series == "6.12")  # there, all goes by a queue
    names = {"6.1": "ieee80211_tx_status", "6.12": "ieee80211_tx_status_skb"}
    there = [name for name in names.values() if seen[name] is not None]
    assert there == [names[vm.series]]
