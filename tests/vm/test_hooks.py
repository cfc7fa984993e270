"""Interfaces and loading in other kernels: counted as sent, left at the hooks that the kernel has."""

import json
from collections import Counter

from meshlens.probes.traffic.layout import frame_of
from tests.kernel.count.traffic import FRAMES
from tests.vm.conftest import VirtualMachine

TC = {"6.1": "clsact", "6.12": "tcx"}


def test_what_was_sent_is_counted_by_ethertype(vm: VirtualMachine) -> None:
    answer = vm.ask("hooks")
    expected = Counter(frame.ethertype for each in FRAMES if (frame := frame_of(each.data)))
    assert {kind: packets for kind, (packets, _) in answer["in"]["ethertypes"]} == expected
    assert answer["in"]["packets"] == len(FRAMES)
    assert answer["in"]["bytes"] == sum(len(each.data) for each in FRAMES)
    assert answer["missed"] == {"unreadable": 0}
    assert (answer["hooks"], answer["left"]) == ([TC[vm.series]], 0)


def test_an_object_of_clangs_is_left_at_the_hooks_and_taken_off_by_name(vm: VirtualMachine) -> None:
    said = vm.ask("hooks")["said"]
    tc = TC[vm.series]
    assert [code for code, _ in said.values()] == [0, 0, 1, 0, 0], said
    assert f"is on far0 as far0@{tc}-in" in said["object"][1]
    assert "far0 has an XDP program already" in said["in the way"][1]
    listed = [json.loads(line) for line in said["status"][1].splitlines()]
    assert [(each["hook"], each["name"], each["pin"]) for each in listed] == [
        ("xdp-native", "meshlens_pass", "far0@xdp"), (tc, "count_in", f"far0@{tc}-in"),
    ]  # fmt: skip
    assert len(said["unload"][1].splitlines()) == 2
    assert vm.ask("hooks")["at the end"] == []
