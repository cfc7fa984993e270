"""Count, flows and capture in other kernels: what was sent is what is told, in each way of attaching."""

from pathlib import Path

import pytest

import meshlens
from meshlens.packet.capture import write_pcap
from tests.kernel.count.traffic import FRAMES, truth
from tests.vm.captures import fields, frames, save
from tests.vm.conftest import VirtualMachine
from tests.vm.guest.links import timeless

SENT = [frame.data for frame in FRAMES]
# TCX is of Linux 6.6; what goes out is counted at tc also with XDP.
TC = {"6.1": "clsact", "6.12": "tcx"}


@pytest.mark.parametrize("mode", ["tc", "xdp", "xdp-generic", "socket"])
def test_each_filter_counts_what_was_sent(vm: VirtualMachine, mode: str) -> None:
    counts = vm.ask("probes")["counts"][mode]
    assert {name: tuple(pair) for name, pair in counts.items()} == truth(FRAMES)


def test_nothing_is_missed_and_nothing_stays(vm: VirtualMachine) -> None:
    answer = vm.ask("probes")
    assert answer["missed"] == {"tc": 0, "xdp": 0, "socket": 0}
    assert set(answer["flows missed"].values()) == {0}
    assert answer["left"] == 0


def test_the_hooks_are_those_that_this_kernel_has(vm: VirtualMachine) -> None:
    tc = TC[vm.series]
    assert vm.ask("probes")["how"] == {"tc": [tc], "xdp": [tc, "xdp-native"], "socket": ["socket"]}


def test_tcpdump_has_seen_the_same_frames(vm: VirtualMachine, tmp_path: Path) -> None:
    path = save(tmp_path / "all.pcap", vm.ask("probes")["tcpdump"])
    with open(path, "rb") as file:
        assert [frame.data for frame in meshlens.read_capture(file)] == SENT


def test_flows_are_those_of_a_capture_of_the_same_frames(vm: VirtualMachine, tmp_path: Path) -> None:
    write_pcap(tmp_path / "sent.pcap", SENT)
    expected = timeless(meshlens.flows(read=tmp_path / "sent.pcap"))
    assert vm.ask("probes")["flows"] == expected
    assert len(expected) > 50


def test_the_capture_holds_what_the_filter_matches(vm: VirtualMachine, tmp_path: Path) -> None:
    capture = vm.ask("probes")["capture"]
    path = save(tmp_path / "arp.pcapng", capture["file"])
    matching = [frame.data for frame in FRAMES if frame.kind.startswith(("bcast/arp-", "bcast/bla-"))]
    assert frames(path) == matching
    assert capture["counts"] == [len(matching), len(SENT) - len(matching), 0, 0, 0]
    assert fields(path, "_ws.col.Protocol", display_filter="not arp") == []
