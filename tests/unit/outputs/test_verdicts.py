"""Verdicts as text: the table is as wide as it may be, JSON has all fields."""

import json

from meshlens.outputs.verdicts import summary_json, summary_line, verdict_json, verdict_table
from meshlens.probes.classified import ClassCount, Classified, Reason

CAMERA = Classified(
    "br-lan", "ethernet-station", "02:00:00:00:00:01", "Camera", 0.934,
    (Reason("size_3", 142, 0.5), Reason("port_0", 5353, 0.3)), 1_700_000_000_000_000_000, 128, 8,
)  # fmt: skip
STRANGER = Classified("wlan0", "ethernet-station", "02:00:00:00:00:02", None, 0.2, (), 0, 3, 2)


def test_a_line_says_who_what_how_sure_and_why() -> None:
    heading, camera, stranger = verdict_table([CAMERA, STRANGER]).splitlines()
    assert heading.split() == ["station", "interface", "verdict", "conf.", "p.", "why"]
    assert camera.split()[:6] == ["02:00:00:00:00:01", "br-lan", "Camera", "93", "%", "128"]
    assert camera.endswith("size_3 142, port_0 5353")
    assert stranger.split()[2:] == ["unknown", "20", "%", "3"]


def test_lines_are_no_wider_than_asked_for() -> None:
    for width in (80, 100, 200):
        long = [CAMERA, Classified("x" * 40, "flow", "n" * 90, "v" * 90, 1.0, CAMERA.reasons, 0, 1, 1)]
        assert max(map(len, verdict_table(long, width=width).splitlines())) <= max(width, 112)
    assert "size_3 142, port_0 5353" in verdict_table([CAMERA], width=100)


def test_what_would_steer_the_terminal_is_not_printed() -> None:
    evil = Classified("br-lan", "flow", "a\x1b[2J", "c\x07", 1.0, (), 0, 1, 1)
    assert "\x1b" not in verdict_table([evil])
    assert "\x07" not in verdict_table([evil])


def test_json_has_all_fields() -> None:
    told = json.loads(verdict_json(CAMERA))
    assert told["reasons"][0] == {"feature": "size_3", "value": 142, "share": 0.5}
    assert (told["verdict"], json.loads(verdict_json(STRANGER))["verdict"]) == ("Camera", None)


def test_the_foot_says_what_was_missed_and_why() -> None:
    missed = {"map_full": 3, "unreadable": 0}
    assert summary_line("station", 2, 1, missed) == (
        "2 stations, 1 more without a verdict; missed: 3 packets (map_full 3)"
    )
    told = json.loads(summary_json(2, 1, 7, missed, [ClassCount("br-lan", "flow", None, 1, 5, 500)]))
    assert (told["missed"], told["elsewhere"], told["counts"][0]["packets"]) == (3, 7, 5)
