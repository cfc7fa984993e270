"""`meshlens flows --read`: what is printed, what is refused."""

import json
from pathlib import Path

import pytest

import meshlens
from meshlens.cli.main import run
from meshlens.packet import craft
from meshlens.packet.capture import write_pcap

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")


@pytest.fixture
def capture(tmp_path: Path) -> str:
    there = craft.udp("10.9.0.1", "10.9.0.2", 1000, 53, bytes(58))
    back = craft.udp("10.9.0.2", "10.9.0.1", 53, 1000, bytes(158))
    ipv6 = craft.tcp("fe80::1", "fe80::2", 2000, 80, flags=2)
    frames = [craft.ip_frame(MACS[0], packet, MACS[1]) for packet in (there, back, ipv6)]
    write_pcap(tmp_path / "three.pcap", [*frames, craft.ethernet(*MACS, 0x4305, bytes(50))])
    return str(tmp_path / "three.pcap")


def test_flows_of_a_file_are_lines_of_words_and_numbers(
    capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flows", "--read", capture]) == 0
    heading, *lines, summary = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["begin", "(UTC)"]
    assert [line.split()[3:9] for line in lines] == [
        ["udp", "10.9.0.1:1000", "10.9.0.2:53", "1", "100", "1"],
        ["tcp", "[fe80::1]:2000", "[fe80::2]:80", "1", "74", "0"],
    ]
    assert summary == "2 flows; 1 frames without IP; missed: 0 packets"


def test_json_is_what_python_gives(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flows", "--read", capture, "--json", "udp", "port", "53"]) == 0
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    (flow,) = meshlens.flows(read=capture, filter="udp port 53")
    assert [line["src_bytes"] for line in lines] == [flow.src_bytes]
    assert tuple(lines[0]["head_sizes"]) == flow.head_sizes == (100, 200)
    assert (summary["flows"], summary["missed"]) == (1, 0)


def test_a_file_that_breaks_off_gives_the_flows_before_and_an_error(
    capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(capture)
    path.write_bytes(path.read_bytes()[:-3])
    assert run(["flows", "--read", capture]) == 1
    out, err = capsys.readouterr()
    assert "2 flows" in out
    assert err.startswith(f"meshlens: {capture}: byte ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "eth0"], "--interface is for interfaces; it cannot go with --read"),
        (["--duration", "1"], "--duration is for interfaces"),
        (["novel"], "novel"),
        (["--json", "--parquet", "x"], "give one of them"),
    ],
)
def test_what_cannot_be_is_refused(
    capture: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(["flows", "--read", capture, *words]) == 2
    assert said in capsys.readouterr().err
