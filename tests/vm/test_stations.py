"""Stations in other kernels: those of a capture of the same frames."""

from pathlib import Path

import pytest

import meshlens
from meshlens.packet.capture import write_pcap
from tests.kernel.count.traffic import FRAMES
from tests.vm.conftest import VirtualMachine
from tests.vm.guest.stations import timeless


@pytest.mark.parametrize("attach", ["auto", "xdp", "xdp-generic"])
def test_stations_are_those_of_a_capture_of_the_same_frames(
    vm: VirtualMachine, tmp_path: Path, attach: str
) -> None:
    write_pcap(tmp_path / "sent.pcap", [frame.data for frame in FRAMES])
    expected = timeless(meshlens.stations(read=tmp_path / "sent.pcap").stations())
    answer = vm.ask("stations", attach)
    assert answer["stations"] == expected
    assert len(expected) > 30
    assert set(answer["missed"].values()) == {0}
    assert answer["left"] == 0
    assert answer["coarse_clock"]
