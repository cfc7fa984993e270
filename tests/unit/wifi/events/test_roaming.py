"""When a join or a connection is a station that roams."""

import pytest

from meshlens.wifi.events.record import WifiEvent
from meshlens.wifi.events.roaming import WITHIN_NS, Roaming

CLIENT, FIRST, SECOND = "02:00:00:00:00:01", "02:00:00:00:0a:00", "02:00:00:00:0b:00"


def kinds(*events: WifiEvent, on_access_point: bool = True) -> list[str]:
    roaming = Roaming()
    return [roaming.note(event, on_access_point=on_access_point).kind for event in events]


def test_a_client_that_joins_another_access_point_soon_after_roams() -> None:
    events = (
        WifiEvent(0, "join", "wlan0", CLIENT),
        WifiEvent(5, "leave", "wlan0", CLIENT),
        WifiEvent(6, "join", "wlan1", CLIENT),
    )
    assert kinds(*events) == ["join", "leave", "roam"]


def test_it_roams_as_well_if_the_one_before_has_not_missed_it_yet() -> None:
    events = (
        WifiEvent(0, "join", "wlan0", CLIENT),
        WifiEvent(6, "join", "wlan1", CLIENT),
        WifiEvent(7, "leave", "wlan0", CLIENT),  # which is not where it is
        WifiEvent(8, "join", "wlan0", CLIENT),
    )
    assert kinds(*events) == ["join", "roam", "leave", "roam"]


@pytest.mark.parametrize(("where", "after_ns"), [("wlan0", 1), ("wlan1", WITHIN_NS + 1)])
def test_one_that_comes_back_or_comes_late_joins(where: str, after_ns: int) -> None:
    events = (
        WifiEvent(0, "join", "wlan0", CLIENT),
        WifiEvent(0, "leave", "wlan0", CLIENT),
        WifiEvent(after_ns, "join", where, CLIENT),
    )
    assert kinds(*events) == ["join", "leave", "join"]


def test_two_interfaces_of_one_access_point_are_no_client_that_roams() -> None:
    events = (WifiEvent(0, "join", "wlan0", FIRST), WifiEvent(1, "join", "wlan1", FIRST))
    assert kinds(*events, on_access_point=False) == ["join", "join"]


def test_an_interface_that_connects_to_another_access_point_roams() -> None:
    roaming = Roaming()
    events = [
        roaming.note(event, on_access_point=False)
        for event in (
            WifiEvent(0, "connect", "wlan0", FIRST),
            WifiEvent(1, "disconnect", "wlan0"),
            WifiEvent(2, "connect", "wlan0", SECOND),
            WifiEvent(3, "disconnect", "wlan0"),
            WifiEvent(4, "connect", "wlan0", SECOND),
        )
    ]
    assert [each.kind for each in events] == ["connect", "disconnect", "roam", "disconnect", "connect"]
    assert events[2].details == {"from": FIRST}
