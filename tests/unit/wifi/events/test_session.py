"""The session: names of interfaces, those that are wanted, what was lost, how a wait ends."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from meshlens.errors import NotSupported
from meshlens.wifi.events import session
from meshlens.wifi.events.session import WifiEvents
from meshlens.wifi.netlink.interfaces import WifiInterface
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, Listener
from tests.unit.wifi.netlink_messages import STATION, Value, told


class Heard:
    """A listener that has heard these messages when asked first."""

    def __init__(self, *messages: tuple[int, dict[int, Value]], overruns: int = 0) -> None:
        self._readable, self._written = os.pipe()
        os.write(self._written, b"x")
        self.messages, self.overruns, self._lost = list(messages), 0, overruns

    def fileno(self) -> int:
        return self._readable

    def receive(self) -> Iterator[tuple[int, Attributes]]:
        os.set_blocking(self._readable, False)
        try:
            os.read(self._readable, 1)
        except BlockingIOError:
            return
        self.overruns = self._lost
        for command, values in self.messages:
            yield command, told(values)

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._written)


@pytest.fixture(autouse=True)
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    there = [
        WifiInterface(name=name, index=index, mac="", kind="ap", radio=0)
        for index, name in ((3, "wlan0"), (4, "wlan1"))
    ]
    monkeypatch.setattr(session, "Nl80211", Asked)
    monkeypatch.setattr(session, "wifi_interfaces", lambda _: there)


def joined(index: int) -> tuple[int, dict[int, Value]]:
    return Command.NEW_STATION, {Attribute.IFINDEX: (index, 4), Attribute.MAC: STATION}


def heard(*messages: tuple[int, dict[int, Value]], overruns: int = 0, of: tuple[str, ...] = ()) -> list[str]:
    listener = Heard(*messages, overruns=overruns)
    with WifiEvents(of, listen=lambda: cast("Listener", listener)) as events:
        return [f"{each.interface} {each.kind}" for each in events.wait(1) or []]


def test_events_have_the_names_of_their_interfaces_and_roaming_is_seen() -> None:
    assert heard(joined(3), joined(4)) == ["wlan0 join", "wlan1 roam"]


def test_only_those_of_wanted_interfaces_and_of_none_are_told() -> None:
    regulatory: tuple[int, dict[int, Value]] = (Command.REG_CHANGE, {Attribute.REG_ALPHA2: b"DE\0"})
    assert heard(joined(3), joined(4), regulatory, of=("*1",)) == ["wlan1 roam", " regulatory"]


def test_an_interface_that_is_gone_keeps_its_name() -> None:
    gone: tuple[int, dict[int, Value]] = (Command.DEL_INTERFACE, {Attribute.IFINDEX: (3, 4)})
    unknown: tuple[int, dict[int, Value]] = (Command.DEL_INTERFACE, {Attribute.IFINDEX: (999_999, 4)})
    assert heard(gone, unknown) == ["wlan0 interface-removed", "if999999 interface-removed"]


def test_what_was_lost_is_an_event() -> None:
    assert heard(joined(3), overruns=2) == ["wlan0 join", " events-lost"]


def test_a_wait_ends_when_it_is_woken_and_when_its_time_is_over() -> None:
    with WifiEvents(listen=lambda: cast("Listener", Heard())) as events:
        assert events.wait(0.01) == []
        threading.Timer(0.05, events.wake).start()
        assert list(events) == []


def test_without_nl80211_it_says_so_and_leaves_nothing_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    def refuse() -> Listener:
        raise NotSupported("this kernel has no nl80211")

    with pytest.raises(NotSupported, match="no nl80211"):
        WifiEvents(listen=refuse).__enter__()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
