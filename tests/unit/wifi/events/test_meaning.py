"""What messages of nl80211 mean as events."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.outputs.wifi_events import event_json, event_line
from meshlens.wifi.events.meaning import event_of
from meshlens.wifi.events.record import EVENT_KINDS, Detail, WifiEvent
from meshlens.wifi.netlink.nl80211 import Attribute, Command
from tests.unit.wifi.netlink_messages import AP, STATION, Value, told

AP_TEXT, STATION_TEXT = AP.hex(":"), STATION.hex(":")
TIME_NS = 1_795_428_000_123_000_000


def frame(code: int, before: bytes = b"", sender: bytes = AP, receiver: bytes = STATION) -> bytes:
    """A management frame whose body ends with a code."""
    return bytes(4) + receiver + sender + AP + bytes(2) + before + struct.pack("<H", code)


#: Command, attributes; kind, mac, reason, why, details.
CASES: list[tuple[int, dict[int, Value], tuple[str, str, int | None, str, dict[str, Detail]]]] = [
    (Command.NEW_STATION, {Attribute.MAC: STATION}, ("join", STATION_TEXT, None, "", {})),
    (
        Command.DEL_STATION,
        {Attribute.MAC: STATION, Attribute.STA_INFO: {10: (7, 4), 12: (1, 4), 7: (-70, 1)}},
        ("leave", STATION_TEXT, None, "", {"tx_packets": 7, "tx_failed": 1, "signal_dbm": -70}),
    ),
    (Command.ROAM, {Attribute.MAC: AP}, ("roam", AP_TEXT, None, "", {})),
    (Command.CONNECT, {Attribute.MAC: AP, Attribute.STATUS_CODE: (0, 2)}, ("connect", AP_TEXT, None, "", {})),
    (
        Command.CONNECT,
        {Attribute.MAC: AP, Attribute.STATUS_CODE: (17, 2)},
        ("connect-failed", AP_TEXT, 17, "too many stations", {}),
    ),
    (
        Command.CONNECT,
        {Attribute.MAC: AP, Attribute.STATUS_CODE: (1, 2), Attribute.TIMED_OUT: None},
        ("connect-failed", AP_TEXT, None, "timed out", {}),
    ),
    (
        Command.DISCONNECT,
        {Attribute.REASON_CODE: (15, 2), Attribute.DISCONNECTED_BY_AP: None},
        ("disconnect", "", 15, "4-way handshake timed out", {"by_ap": True}),
    ),
    (
        Command.AUTHENTICATE,
        {Attribute.FRAME: frame(0, bytes(4))},
        ("authenticate", AP_TEXT, 0, "success", {"to": STATION_TEXT}),
    ),
    (
        Command.ASSOCIATE,
        {Attribute.FRAME: frame(17, bytes(2))},
        ("associate", AP_TEXT, 17, "too many stations", {"to": STATION_TEXT}),
    ),
    (
        Command.AUTHENTICATE,
        {Attribute.MAC: AP, Attribute.TIMED_OUT: None},
        ("authenticate", AP_TEXT, None, "timed out", {}),
    ),
    (
        Command.DEAUTHENTICATE,
        {Attribute.FRAME: frame(3, sender=STATION, receiver=AP)},
        ("deauthenticate", STATION_TEXT, 3, "leaves, deauthenticated", {"to": AP_TEXT}),
    ),
    (
        Command.UNPROT_DISASSOCIATE,
        {Attribute.FRAME: frame(999)},
        ("disassociate", AP_TEXT, 999, "reason 999", {"to": STATION_TEXT}),
    ),
    (
        Command.NOTIFY_CQM,
        {Attribute.MAC: STATION, Attribute.CQM: {4: (50, 4)}},
        ("low-ack", STATION_TEXT, None, "", {"frames": 50}),
    ),
    (Command.NOTIFY_CQM, {Attribute.CQM: {8: None}}, ("beacon-loss", "", None, "", {})),
    (
        Command.NOTIFY_CQM,
        {Attribute.CQM: {3: (0, 4), 9: (-75, 4)}},
        ("signal", "", None, "", {"level": "low", "signal_dbm": -75}),
    ),
    (
        Command.NOTIFY_CQM,
        {Attribute.MAC: AP, Attribute.CQM: {5: (30, 4), 6: (100, 4), 7: (5, 4)}},
        ("tx-errors", AP_TEXT, None, "", {"percent": 30, "frames": 100, "seconds": 5}),
    ),
    (
        Command.CH_SWITCH_NOTIFY,
        {Attribute.WIPHY_FREQ: (2437, 4), Attribute.CHANNEL_WIDTH: (2, 4)},
        ("channel-switch", "", None, "", {"frequency_mhz": 2437, "width_mhz": 40}),
    ),
    (
        Command.CH_SWITCH_STARTED_NOTIFY,
        {Attribute.WIPHY_FREQ: (5500, 4), Attribute.CHANNEL_WIDTH: (3, 4), Attribute.CH_SWITCH_COUNT: (5, 4)},
        ("channel-switch-started", "", None, "", {"frequency_mhz": 5500, "width_mhz": 80, "beacons": 5}),
    ),
    (
        Command.RADAR_DETECT,
        {Attribute.RADAR_EVENT: (0, 4), Attribute.WIPHY_FREQ: (5500, 4)},
        ("radar", "", None, "", {"what": "radar found", "frequency_mhz": 5500}),
    ),
    (
        Command.REG_CHANGE,
        {Attribute.REG_INITIATOR: (1, 1), Attribute.REG_TYPE: (0, 1), Attribute.REG_ALPHA2: b"DE\0"},
        ("regulatory", "", None, "", {"country": "DE", "by": "user"}),
    ),
    (
        Command.WIPHY_REG_CHANGE,
        {Attribute.REG_INITIATOR: (0, 1), Attribute.REG_TYPE: (1, 1), Attribute.WIPHY: (2, 4)},
        ("regulatory", "", None, "", {"country": "world", "by": "core", "radio": 2}),
    ),
    (
        Command.CONN_FAILED,
        {Attribute.MAC: STATION, Attribute.CONN_FAILED_REASON: (0, 4)},
        ("refused", STATION_TEXT, None, "too many stations", {}),
    ),
    (
        Command.NEW_INTERFACE,
        {Attribute.IFTYPE: (6, 4)},
        ("interface-added", "", None, "", {"type": "monitor"}),
    ),
    (Command.NEW_SCAN_RESULTS, {}, ("scan-done", "", None, "", {})),
]  # fmt: skip


@pytest.mark.parametrize(("command", "values", "expected"), CASES)
def test_a_message_is_the_event_it_should_be(
    command: int, values: dict[int, Value], expected: tuple[str, str, int | None, str, dict[str, Detail]]
) -> None:
    assert event_of(command, told(values), "wlan0", TIME_NS) == WifiEvent(
        TIME_NS, expected[0], "wlan0", *expected[1:]
    )
    assert expected[0] in EVENT_KINDS


@pytest.mark.parametrize(
    ("command", "values"),
    [
        (3, {Attribute.WIPHY: (0, 4)}),  # NL80211_CMD_NEW_WIPHY
        (Command.NOTIFY_CQM, {}),
        (Command.DEAUTHENTICATE, {Attribute.FRAME: frame(3)[:-1]}),
        (9999, {}),
    ],
)
def test_what_says_nothing_of_interest_is_no_event(command: int, values: dict[int, Value]) -> None:
    assert event_of(command, told(values), "wlan0", TIME_NS) is None


@given(st.sampled_from(Command), st.dictionaries(st.sampled_from(Attribute), st.binary(max_size=40)))
def test_whatever_the_kernel_says_is_read(command: Command, values: dict[int, bytes]) -> None:
    event = event_of(command, values, "wlan0", TIME_NS)
    if event:
        assert event.kind in EVENT_KINDS
        assert "\n" not in event_line(event)


def test_a_line_says_when_where_what_who_and_why() -> None:
    event = event_of(
        Command.DISCONNECT,
        told({Attribute.REASON_CODE: (34, 2), Attribute.DISCONNECTED_BY_AP: None}),
        "wlan0",
        TIME_NS,
    )
    assert event
    assert event_line(event) == (
        "2026-11-23 10:00:00.123  wlan0      disconnect             -                  "
        "too many frames without ACK (34), by ap yes"
    )
    assert json.loads(event_json(event)) == {
        "time_ns": TIME_NS, "kind": "disconnect", "interface": "wlan0", "mac": "", "reason": 34,
        "why": "too many frames without ACK", "details": {"by_ap": True},
    }  # fmt: skip
