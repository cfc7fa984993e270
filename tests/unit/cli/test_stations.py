"""`meshlens stations --read`: what is printed, what is refused."""

import json
from pathlib import Path

import pytest

import meshlens
from meshlens.cli.main import run
from meshlens.packet import craft
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import overhead_mix

A, B = "02:00:00:00:00:0a", "00:00:00:00:00:0b"


@pytest.fixture
def capture(tmp_path: Path) -> str:
    there = craft.udp("10.9.0.1", "10.9.0.2", 1000, 53, bytes(58))
    back = craft.udp("10.9.0.2", "10.9.0.1", 53, 1000, bytes(158))
    asks = craft.ethernet("ff:ff:ff:ff:ff:ff", A, 0x0806, bytes(28))
    write_pcap(tmp_path / "three.pcap", [craft.ip_frame(A, there, B), craft.ip_frame(B, back, A), asks])
    return str(tmp_path / "three.pcap")


def test_stations_of_a_file_are_rows_of_a_table(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stations", "--read", capture]) == 0
    heading, *rows, summary = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "station"
    assert rows[0].split() == f"{A} (local addr.) 2 142 1 200 dns arp".split()
    assert rows[1].split() == f"{B} XEROX CORPORATION 1 200 1 100 dns".split()
    assert summary == "2 stations; 0 packets went out to groups; missed: 0 packets"


def test_json_is_what_python_gives(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stations", "--read", capture, "--json", "udp", "port", "53"]) == 0
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    stations = meshlens.stations(read=capture, filter="udp port 53").stations()
    assert [line["in_bytes"] for line in lines] == [station.in_bytes for station in stations] == [100, 200]
    assert lines[0]["protocols"] == stations[0].protocols == {"ipv4": 2, "udp": 2, "dns": 2}
    assert (summary["stations"], summary["missed"]) == (2, 0)


def test_only_the_kinds_that_are_asked_for_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pcap(tmp_path / "mesh.pcap", [frame.data for frame in overhead_mix(200)])
    assert run(["stations", "--read", str(tmp_path / "mesh.pcap"), "--json", "--kind", "originator"]) == 0
    *lines, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert {line["kind"] for line in lines} == {"originator"}


def test_a_file_that_breaks_off_gives_the_stations_before_and_an_error(
    capture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(capture)
    path.write_bytes(path.read_bytes()[:-3])
    assert run(["stations", "--read", capture]) == 1
    out, err = capsys.readouterr()
    assert "2 stations" in out
    assert err.startswith(f"meshlens: {capture}: byte ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "eth0"], "--interface is for interfaces; it cannot go with --read"),
        (["--attach", "xdp"], "--attach is for interfaces"),
        (["--interval", "1"], "--interval is for interfaces"),
        (["novel"], "novel"),
        (["--kind", "novel"], "novel"),
    ],
)
def test_what_cannot_be_is_refused(
    capture: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(["stations", "--read", capture, *words]) == 2
    assert said in capsys.readouterr().err
