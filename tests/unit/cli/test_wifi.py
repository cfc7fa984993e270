"""`meshlens wifi` on capture files, and what it refuses."""

import json
from pathlib import Path

import pytest

from meshlens.cli.main import run
from meshlens.packet.capture import write_pcap
from meshlens.packet.wifi_mix import AP, PHONE, wifi_mix


@pytest.fixture
def air(tmp_path: Path) -> Path:
    path = tmp_path / "air.pcap"
    write_pcap(path, wifi_mix(500), 127)
    return path


def test_the_table_fits_eighty_columns_and_ends_with_what_became_of_the_frames(
    air: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["wifi", "--read", str(air)]) == 0
    heading, busiest, *_, foot = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "transmitter",
        "BSS",
        "frames",
        "bytes",
        "retry",
        "dBm/SNR",
        "Mbit/s",
        "mostly",
    ]
    assert busiest.split()[:2] == [AP, "AP"]
    assert "transmitters" in foot
    assert "damaged" in foot
    assert max(map(len, (heading, busiest, foot))) <= 80


def test_json_lines_have_all_that_is_known_of_a_transmitter(
    air: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["wifi", "--read", str(air), "--json", "wlan addr2", PHONE]) == 0
    phone, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (phone["mac"], phone["bssid"]) == (PHONE, AP)
    assert phone["retries"] == sum(use["retries"] for use in phone["rates"])
    assert {use["phy"] for use in phone["rates"]} == {"vht"}
    assert (
        phone["kinds"]["qos-data"]["frames"]
        == phone["frames"]
        == summary["outcomes"]["counted"] - phone["damaged"]
    )
    assert summary["transmitters"] == 1


def test_a_file_of_another_link_type_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ethernet.pcap"
    write_pcap(path, [bytes(64)])
    assert run(["wifi", "--read", str(path)]) == 2
    assert "link type 1 is not 802.11" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--read", "air.pcap", "-i", "mon0"], "--interface is for interfaces; it cannot go with --read"),
        (["--read", "air.pcap", "--hop", "1"], "--hop is for interfaces; it cannot go with --read"),
        (["--hop", "one"], "--hop one: channel numbers with commas between, as in 1,6,11"),
        (["--hop", "1,15"], "no channel 15"),
        (["wlan", "type", "none"], "unknown 802.11 type name"),
    ],
)
def test_what_cannot_be_is_refused(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["wifi", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_the_survey_names_a_source_and_drivers_for_every_statistic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["wifi", "--survey", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) > 30
    assert all(row[key] for row in rows for key in ("group", "name", "unit", "source", "meshlens", "drivers"))
    assert len({(row["group"], row["name"]) for row in rows}) == len(rows)
    assert run(["wifi", "--survey"]) == 0
    text = capsys.readouterr().out
    assert all(row["name"] in text for row in rows)
