"""`meshlens capture --at exit`: what somebody's XDP program leaves, with its verdict, as tshark reads it."""

from pathlib import Path

from tests.vm.captures import fields, frames, save
from tests.vm.conftest import VirtualMachine

VERDICT = "frame.verdict.ebpf_xdp"


def test_each_frame_has_the_verdict_and_the_bytes_that_the_program_left(
    vm: VirtualMachine, tmp_path: Path
) -> None:
    answer = vm.ask("exit")
    path = save(tmp_path / "all.pcapng", answer["captured"]["file"])
    verdicts = [verdict for (verdict,) in fields(path, VERDICT)]
    assert "".join(verdicts) == "2130219"  # PASS, DROP, TX, ABORTED, and what is none
    changed = [frame[:34] + "77" + frame[36:] for frame in answer["sent"]]
    assert [frame.hex() for frame in frames(path)] == changed
    rest = fields(path, "frame.len", "frame.cap_len", "frame.packet_flags_direction", "frame.interface_queue")
    assert set(rest) == {("60", "60", "0x00000001", "0")}
    assert answer["captured"]["counts"] == [7, 0, 0, 0, 0]


def test_the_filter_sees_what_the_program_left(vm: VirtualMachine, tmp_path: Path) -> None:
    answer = vm.ask("exit")
    path = save(tmp_path / "some.pcapng", answer["filtered"]["file"])
    assert fields(path, VERDICT) == [("2",), ("1",), ("9",)]
    assert answer["filtered"]["counts"] == [3, 4, 0, 0, 0]


def test_the_filter_sees_into_batman_adv(vm: VirtualMachine, tmp_path: Path) -> None:
    answer = vm.ask("exit")
    assert len(frames(save(tmp_path / "inside.pcapng", answer["inside"]["file"]))) == 1
    assert answer["inside"]["counts"] == [1, 2, 0, 0, 0]


def test_snapshots_are_cut(vm: VirtualMachine, tmp_path: Path) -> None:
    path = save(tmp_path / "cut.pcapng", vm.ask("exit")["cut"]["file"])
    assert fields(path, "frame.len", "frame.cap_len") == [("1060", "100")]
    assert [len(frame) for frame in frames(path)] == [100]


def test_a_program_that_cannot_be_seen_is_named_and_nothing_stays(vm: VirtualMachine) -> None:
    answer = vm.ask("exit")
    assert answer["refusals"]["none"].startswith("UsageError: in0 has no XDP program")
    assert "NotSupported: --at exit on in0: program " in answer["refusals"]["untold"]
    assert "(silent) was loaded without BTF: it cannot be traced" in answer["refusals"]["untold"]
    assert answer["left"] == 0
