"""`meshlens top` without a full screen: what it asks for, prints, refuses, and without textual."""

import json
import sys
from types import TracebackType
from typing import Any, Self

import pytest

from meshlens.cli import top
from meshlens.cli.main import run
from meshlens.readings.reading import Reading
from tests.readings import INTERFACES, reading

ASKED: dict[str, Any] = {}


class MadeUp:
    """In place of a monitor: each reading is a second after the one before; the fifth is interrupted."""

    def __init__(self, interfaces: object = (), **options: object) -> None:
        ASKED.clear()
        ASKED.update(options, interfaces=interfaces, waited=[])
        self.absent = {"stations": "no room"}
        self.step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ASKED["closed"] = True

    def read(self) -> Reading:
        self.step += 1
        if self.step == 5:
            raise KeyboardInterrupt
        return reading(self.step)

    def wait(self, seconds: float) -> None:
        ASKED["waited"].append(seconds)

    def wake(self) -> None:
        """Nobody waits."""


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshlens.readings.session.monitor", MadeUp)
    monkeypatch.setattr("meshlens.ebpf.capabilities.drop_capabilities", lambda kept: None)


def test_once_as_json_is_one_object_with_rates_of_one_interval(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--once", "--json", "--interval", "2"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["time_ns"] == reading(2).time_ns
    assert said["seconds"] == 1
    assert ASKED["waited"] == [2]
    assert {each["name"] for each in said["interfaces"]} == set(INTERFACES)
    traffic = reading(2).interfaces[0].traffic[0].packets - reading(1).interfaces[0].traffic[0].packets
    assert said["interfaces"][0]["traffic"][0]["packets_per_s"] == traffic
    assert all("in_bytes_per_s" in each for each in said["stations"])
    assert {(each["probe"], each["reason"]) for each in said["missed"]} >= {("stations", "map_full")}
    assert len(said["stations"]) == len(reading(2).stations)


def test_once_is_tables_with_what_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--once"]) == 0
    text = capsys.readouterr().out
    for title in ("interfaces: 6 of 6", "stations: ", "flows: ", "filters: "):
        assert title in text
    assert "\nmissed " in text
    assert ASKED["closed"]


def test_into_a_pipe_tables_come_until_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top"]) == 130
    assert capsys.readouterr().out.count("interfaces: 6 of 6") == 3
    assert ASKED["waited"] == [1] * 4
    assert ASKED["closed"]


def test_what_stands_behind_the_options_is_a_filter(capsys: pytest.CaptureFixture[str]) -> None:
    run(["top", "--once", "-i", "mesh*", "-i", "eth0", "udp", "port", "53"])
    assert ASKED["interfaces"] == ("mesh*", "eth0")
    assert ASKED["filter"] == "udp port 53"
    assert ASKED["filters"] is None
    assert ASKED["lenient"]


@pytest.mark.parametrize(("plain", "textual"), [(True, True), (False, False)])
def test_a_terminal_without_textual_or_with_plain_gets_tables_in_their_place(
    plain: bool, textual: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(top, "_has_textual", lambda: textual)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    assert run(["top", *["--plain"] * plain]) == 130
    text = capsys.readouterr().out
    assert "interfaces: " in text
    assert "by pkt/s" in text


def test_a_terminal_with_textual_gets_a_full_screen_that_knows_what_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = pytest.importorskip("meshlens.cli.top_app", reason="the full screen needs textual")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown: list[Any] = []

    def look(self: Any) -> None:
        shown.append(self)

    monkeypatch.setattr(app.TopApp, "run", look)
    assert run(["top"]) == 0
    pages = shown[0].pages
    pages.pages[1].keep = lambda lines: []
    pages.tab = 1
    assert pages.nothing() == "no room"
    pages.tab = 3
    assert "--filters LIST" in pages.nothing()


def test_help_and_json_import_no_textual() -> None:
    import subprocess

    code = (
        "import sys; from meshlens.cli.main import run; run(['top', '--help']); "
        "import meshlens.cli.top_plain; sys.exit('textual' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
