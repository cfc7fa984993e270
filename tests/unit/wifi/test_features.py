"""Which sources of Wi-Fi's statistics there are."""

from typing import Self

import pytest

from meshlens.errors import NotSupported
from meshlens.wifi import features
from meshlens.wifi.features import HOOKS, MINSTREL, MONITOR, NL80211, wifi_features
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes
from tests.unit.wifi.netlink_messages import told


class Radios:
    """An nl80211 whose radios have these kinds of interfaces."""

    answers: tuple[Attributes, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None: ...

    def dump(self, *_: object) -> list[Attributes]:
        return list(self.answers)


@pytest.fixture
def radios(monkeypatch: pytest.MonkeyPatch) -> type[Radios]:
    def refuse() -> None:
        raise NotSupported("no function ieee80211_rx_list")

    monkeypatch.setattr(features, "Nl80211", Radios)
    monkeypatch.setitem(features._PROBES, HOOKS, refuse)
    monkeypatch.setitem(features._PROBES, MINSTREL, lambda: None)
    return Radios


def test_without_nl80211_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NotSupported("no nl80211")

    monkeypatch.setattr(features, "Nl80211", refuse)
    assert list(wifi_features()) == []


def test_what_is_missing_is_told_with_its_reason(
    radios: type[Radios], monkeypatch: pytest.MonkeyPatch
) -> None:
    both: Attributes = told({Attribute.SUPPORTED_IFTYPES: {2: None, 6: None}})
    monkeypatch.setattr(radios, "answers", (told({}), both))
    found = {each.name: (each.supported, each.why) for each in wifi_features()}
    assert found == {
        NL80211: (True, ""), HOOKS: (False, "no function ieee80211_rx_list"), MINSTREL: (True, ""),
        MONITOR: (True, ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "why"),
    [((), "there is no radio"), ((told({Attribute.SUPPORTED_IFTYPES: {2: None}}),), "no radio's driver has")],
)
def test_monitor_mode_takes_a_radio_that_has_it(
    answers: tuple[Attributes, ...], why: str, radios: type[Radios], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radios, "answers", answers)
    (monitor,) = [each for each in wifi_features() if each.name == MONITOR]
    assert not monitor.supported
    assert why in monitor.why
