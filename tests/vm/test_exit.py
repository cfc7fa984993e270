"""`meshlens capture --at exit`: what somebody's XDP program leaves, with its verdict, as tshark reads it."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vm.conftest import VirtualMachine

FIELDS = (
    "frame.verdict.ebpf_xdp",
    "frame.len",
    "frame.cap_len",
    "frame.packet_flags_direction",
    "frame.interface_queue",
)


def packets(capture: dict[str, Any], path: Path) -> tuple[list[tuple[str, ...]], list[str]]:
    """Fields and bytes of each packet, by tshark, which has nothing to complain about."""
    path.write_bytes(base64.b64decode(capture["file"]))
    tshark = ["tshark", "-r", str(path)]
    if not shutil.which("tshark"):
        pytest.skip("no tshark")
    fields = run([*tshark, "-T", "fields", *(word for field in FIELDS for word in ("-e", field))])
    dump = run([*tshark, "-T", "jsonraw", "-j", "frame", "-x"])
    raw = [each["_source"]["layers"]["frame_raw"][0] for each in json.loads(dump)]
    return [tuple(line.split("\t")) for line in fields.splitlines()], raw


def run(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if "Running as user" not in line] == []
    return done.stdout


def test_each_frame_has_the_verdict_and_the_bytes_that_the_program_left(
    vm: VirtualMachine, tmp_path: Path
) -> None:
    answer = vm.ask("exit")
    fields, raw = packets(answer["captured"], tmp_path / "all.pcapng")
    assert "".join(field[0] for field in fields) == "2130219"  # PASS, DROP, TX, ABORTED, and what is none
    assert raw == [frame[:34] + "77" + frame[36:] for frame in answer["sent"]]
    assert {field[1:] for field in fields} == {("60", "60", "0x00000001", "0")}
    assert answer["captured"]["counts"] == [7, 0, 0, 0, 0]


def test_the_filter_sees_what_the_program_left(vm: VirtualMachine, tmp_path: Path) -> None:
    answer = vm.ask("exit")
    fields, _ = packets(answer["filtered"], tmp_path / "some.pcapng")
    assert [field[0] for field in fields] == ["2", "1", "9"]
    assert answer["filtered"]["counts"] == [3, 4, 0, 0, 0]
    _, raw = packets(answer["inside"], tmp_path / "inside.pcapng")
    assert len(raw) == 1
    assert answer["inside"]["counts"] == [1, 2, 0, 0, 0]


def test_snapshots_are_cut(vm: VirtualMachine, tmp_path: Path) -> None:
    fields, raw = packets(vm.ask("exit")["cut"], tmp_path / "cut.pcapng")
    assert [field[1:3] for field in fields] == [("1060", "100")]
    assert len(raw[0]) == 200


def test_a_program_that_cannot_be_seen_is_named_and_nothing_stays(vm: VirtualMachine) -> None:
    answer = vm.ask("exit")
    assert answer["refusals"]["none"].startswith("UsageError: in0 has no XDP program")
    assert "NotSupported: --at exit on in0: program " in answer["refusals"]["untold"]
    assert "(silent) was loaded without BTF: it cannot be traced" in answer["refusals"]["untold"]
    assert answer["left"] == 0
