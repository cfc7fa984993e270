"""`meshlens history`: its questions, what it prints for people and for programs, and its refusals."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from meshlens.cli.main import run
from meshlens.cli.times import show_time
from meshlens.outputs.history.store import HistoryStore
from tests.readings import reading, time_of

SINCE, UNTIL = time_of(0), time_of(120)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two minutes."""
    path = tmp_path_factory.mktemp("history") / "h.db"
    store = HistoryStore(path)
    for step in range(0, 121, 5):
        store.write(reading(step, filters=8))
    store.close()
    return str(path)


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["history", *words]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def span(since_ns: int = SINCE, until_ns: int = UNTIL) -> list[str]:
    since, until = (show_time(each / 1e9).replace(" ", "T") for each in (since_ns, until_ns))
    return ["--since", since, "--until", until]


def packets(step: int) -> int:
    return next(each for each in reading(step).interfaces if each.name == "eth0").traffic[0].packets


def test_sums_as_objects_are_the_difference_of_the_counters(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *rows, last = map(json.loads, ask(capsys, "interfaces", "--db", path, *span(), "--json").splitlines())
    assert {row["name"]: row["packets_in"] for row in rows}["eth0"] == packets(120) - packets(0)
    assert (last["since_s"] * 10**9, last["until_s"] * 10**9, last["recorded_s"]) == (SINCE, UNTIL, 120)
    assert last["missed"] == sum(last["reasons"].values()) > 0


def test_the_table_has_the_busiest_first_and_says_what_was_missed(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ask(capsys, "stations", "--db", path, *span(), "--top", "3").splitlines()
    assert lines[0].split()[:4] == ["stations", "interface", "in", "pkt"]
    assert len(lines) == 5
    assert lines[4].startswith(
        f"3 of 200 stations · {show_time(SINCE / 1e9)} to {show_time(UNTIL / 1e9)}, 120 s"
    )
    assert "missed" in lines[4]
    assert "stations: map_full" in lines[4]
    named = ask(capsys, "stations", "--db", path, *span(), "--match", "host-11 AVM").splitlines()
    assert named[1].endswith("host-11 AVM GmbH")


def test_one_moment_is_the_step_around_it(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    moment = show_time(time_of(47) / 1e9).replace(" ", "T")
    *rows, last = map(
        json.loads, ask(capsys, "interfaces", "--db", path, "--at", moment, "--json").splitlines()
    )
    assert (last["since_s"] * 10**9, last["until_s"] * 10**9) == (time_of(40), time_of(50))
    assert {row["name"]: row["packets_in"] for row in rows}["eth0"] == packets(50) - packets(40)


def test_rates_by_step_are_lines_in_the_order_of_time(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["interfaces", "--db", path, *span(), "--every", "1m", "-i", "eth0"]
    steps = [json.loads(line) for line in ask(capsys, *words, "--json").splitlines()]
    assert [(each["time_s"] * 10**9, each["name"]) for each in steps] == [
        (SINCE, "eth0"),
        (time_of(60), "eth0"),
    ]
    assert steps[1]["packets_in_per_s"] == (packets(120) - packets(60)) / 60
    lines = ask(capsys, *words).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(show_time(SINCE / 1e9) + " eth0")


def test_where_nothing_was_recorded_there_is_no_rate(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["interfaces", "--db", path, *span(SINCE, time_of(240)), "--every", "2m", "-i", "eth0"]
    lines = ask(capsys, *words).splitlines()
    assert lines[2].split()[-4:] == ["-"] * 4
    assert json.loads(ask(capsys, *words, "--json").splitlines()[1])["bytes_in_per_s"] is None


def test_flows_and_filters_are_asked_the_same_way(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    flows = [
        json.loads(line).get("name")
        for line in ask(capsys, "flows", "--db", path, *span(), "--json").splitlines()
    ]
    assert {name.split()[0] for name in flows if name} == {"tcp", "udp"}
    names = [
        json.loads(line).get("name")
        for line in ask(capsys, "filters", "--db", path, *span(), "--json").splitlines()
    ]
    assert "arp" in names


def test_names_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "h.db"
    store = HistoryStore(path)
    now = replace(reading(1, filters=0), time_ns=time.time_ns() - 60 * 10**9)
    evil = replace(now.stations[0], name="\x1b]0;owned\x07", vendor="")
    store.write(replace(now, stations=(evil,)))
    store.close()
    said = ask(capsys, "stations", "--db", str(path))
    assert "\x1b" not in said
    assert "�]0;owned�" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["stations", "--since", "yesterday"], "'yesterday' is no time"),
        (["stations", "--since", "1h", "--until", "2h"], "--until has to be later than --since"),
        (["stations", "--at", "1h", "--since", "2h"], "--at is a time of its own"),
        (["stations", "--every", "often"], "'often' is no duration"),
        (["stations", "--db", "/none/h.db"], "no history at /none/h.db: 'meshlens serve' keeps one"),
        (["station"], "'station' is not one of"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    path: str, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    said = ask(capsys, *words, *([] if "--db" in words else ["--db", path]), code=2)
    assert complaint in said
    assert said.count("\n") == 1
