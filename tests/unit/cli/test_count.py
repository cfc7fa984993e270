"""`meshlens count` without an interface: what it takes and refuses, capture files, what a list became."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshlens.cli.main import run
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import overhead_mix

FRAMES = [frame.data for frame in overhead_mix(300)]
ARP = sum(frame[12:14] == b"\x08\x06" for frame in FRAMES)
ALL_BYTES = sum(map(len, FRAMES))


@pytest.fixture
def listed(tmp_path: Path) -> str:
    path = tmp_path / "my.filters"
    path.write_text("all;len >= 0\narp;arp\n%helper;ip\n")
    return str(path)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "mesh.pcap"
    write_pcap(path, FRAMES)
    return str(path)


def count(*words: str) -> int:
    return run(["count", *words])


def test_a_capture_file_is_counted_as_json_lines(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(listed, "--read", capture) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["filter"], each["interface"], each["packets"]) for each in lines[:-1]] == [
        ("all", capture, 300),
        ("arp", capture, ARP),
    ]
    assert lines[-1]["missed"] == 0


def test_files_that_a_shells_glob_puts_behind_the_first_are_read_too(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(listed, "--read", capture, capture, "--read", capture, "--format", "bpfcountd") == 0
    assert capsys.readouterr().out.startswith(f"all:{3 * ALL_BYTES}:900\n")


def test_expressions_take_the_place_of_a_list(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert count("-e", "len >= 0", "-e", "arp", "--read", capture, "--format", "bpfcountd") == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["len >= 0", "arp"]


def test_list_and_capture_can_come_from_standard_input(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(Path(listed).read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert count("-", "--read", capture, "--format", "bpfcountd") == 0
    from_list = capsys.readouterr().out
    with open(capture, "rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "meshlens", "count", listed, "--read", "-", "--format", "bpfcountd"],
            stdin=file, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout == from_list
    assert count("-", "--read", "-") == 2


def test_helpers_are_counted_on_request(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(listed, "--read", capture, "--helpers", "--format", "bpfcountd") == 0
    assert "%helper:" in capsys.readouterr().out


def test_mac_stands_for_the_address_given(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = FRAMES[0][6:12]
    same = sum(frame[6:12] == source for frame in FRAMES)
    assert count("-e", "ether src $MAC", "--mac", source.hex(":"), "--read", capture) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["packets"] == same


def test_a_broken_file_is_counted_as_far_as_it_goes_and_then_an_error(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path(capture).read_bytes()
    Path(capture).write_bytes(whole[:-7])
    assert count(listed, "--read", capture, "--format", "bpfcountd") == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("all:")
    assert f":{len(FRAMES) - 1}\n" in printed.out
    assert printed.err.startswith(f"meshlens: {capture}: byte ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "what to count by? Give a LIST of filters, or one with -e EXPR"),
        (["LIST", "eth0"], "unexpected 'eth0': interfaces go behind -i, capture files behind --read"),
        (["-e", "arp", "eth0"], "unexpected 'eth0': interfaces go behind -i"),
        (["missing.filters"], "cannot read filter list missing.filters: No such file"),
        (["-e", "arp or or ip", "--read", "CAPTURE"], "-e:1: filter 'arp or or ip': libpcap: "),
        (["LIST", "--read", "CAPTURE", "-i", "eth0"], "--interface is for counting on interfaces"),
        (["LIST", "--read", "CAPTURE", "--interval", "1"], "--interval is for counting on interfaces"),
        (["LIST", "--json", "--format", "table"], "--json is --format json"),
        (["LIST", "--socket-mode", "rw"], "'rw' is no octal number like 660."),
        (["-e", "ether src $MAC", "--read", "CAPTURE"], "-e uses $MAC, which capture files do not tell"),
        (["LIST", "--interval", "0"], "0.0 is not in the range x>=0.1"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_a_request_that_cannot_be_right_is_one_line_and_code_2(
    listed: str, capture: str, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"LIST": listed, "CAPTURE": capture}
    assert count(*(names.get(word, word) for word in words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert complaint in printed.err
    assert printed.err.count("\n") == 1


def test_explain_says_what_the_list_became(listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert count(listed, "--explain") == 0
    assert "instructions" in capsys.readouterr().out
    assert count(listed, "--explain", "--json") == 0
    assert json.loads(capsys.readouterr().out)["filters"] == 2


def test_emit_prints_the_program_or_the_graph(listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert count(listed, "--emit", "asm") == 0
    assert "; start\n" in capsys.readouterr().out
    assert count(listed, "--emit", "dot", "--attach", "xdp") == 0
    assert capsys.readouterr().out.startswith("digraph ")


def test_a_table_is_printed_where_it_is_asked_for(
    listed: str, capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(listed, "--read", capture, "--format", "table") == 0
    out = capsys.readouterr().out
    assert out.split()[:4] == ["filter", "packets", "bytes", "share"]
    assert count(listed, "--read", capture, "--format", "table", "--columns") == 0
    assert capsys.readouterr().out.startswith("filter, packets")
