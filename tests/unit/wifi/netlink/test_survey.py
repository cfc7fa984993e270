"""Survey dumps and interfaces, from messages made up."""

from typing import cast

import pytest

from meshlens.wifi.netlink.interfaces import WifiInterface, wifi_interface, wifi_interfaces
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, Nl80211, messages
from meshlens.wifi.netlink.survey import ChannelSurvey, channel_surveys
from tests.unit.wifi.netlink_messages import AP, Value, datagram, told


class Answers:
    """An nl80211 that has these answers."""

    def __init__(self, *answers: Attributes) -> None:
        self.answers = answers

    def dump(self, command: Command, interface: int | None = None) -> list[Attributes]:
        return list(self.answers)


def survey(values: dict[int, Value]) -> list[ChannelSurvey]:
    answers = Answers(told({Attribute.SURVEY_INFO: values}))
    return channel_surveys(cast("Nl80211", answers), "wlan0", 3)


def test_a_survey_has_noise_below_zero_and_its_times() -> None:
    values: dict[int, Value] = {
        1: (2412, 4), 2: (-92, 1), 3: None, 4: (1000, 8), 5: (250, 8), 6: (5, 8), 7: (100, 8), 8: (50, 8),
        9: (7, 8), 11: (60, 8),
    }  # fmt: skip
    (found,) = survey(values)
    assert found == ChannelSurvey(
        interface="wlan0", frequency_mhz=2412, in_use=True, noise_dbm=-92, time_ms=1000, busy_ms=250,
        extension_busy_ms=5, receive_ms=100, transmit_ms=50, scan_ms=7, bss_receive_ms=60,
    )  # fmt: skip
    assert found.busy_ratio == 0.25


def test_what_is_not_told_is_none() -> None:
    (found,) = survey({1: (5180, 4)})
    assert (found.in_use, found.noise_dbm, found.busy_ms, found.busy_ratio) == (False, None, None, None)


def test_numbers_of_the_whole_radio_are_no_channel() -> None:
    assert survey({4: (1000, 8)}) == []


def test_an_interface_has_kind_channel_and_network() -> None:
    answer = told(
        {
            Attribute.IFINDEX: (3, 4), Attribute.IFNAME: b"wlan0\0", Attribute.IFTYPE: (3, 4),
            Attribute.WIPHY: (1, 4), Attribute.MAC: AP, Attribute.SSID: "freifünk".encode(),
            Attribute.WIPHY_FREQ: (5180, 4), Attribute.CHANNEL_WIDTH: (3, 4),
            Attribute.WIPHY_TX_POWER_LEVEL: (2000, 4),
        }
    )  # fmt: skip
    found = wifi_interface(answer)
    assert found == WifiInterface(
        name="wlan0", index=3, mac="02:00:00:00:00:00", kind="ap", radio=1, ssid="freifünk",
        frequency_mhz=5180, width_mhz=80, tx_power_dbm=20.0,
    )  # fmt: skip
    assert found.is_access_point


def test_interfaces_come_by_index_and_those_without_a_name_not() -> None:
    def each(index: int) -> Attributes:
        return told({Attribute.IFINDEX: (index, 4), Attribute.IFNAME: f"w{index}\0".encode()})

    nameless = told({Attribute.IFTYPE: (10, 4)})
    found = wifi_interfaces(cast("Nl80211", Answers(each(9), nameless, each(3))))
    assert [interface.name for interface in found] == ["w3", "w9"]


def test_a_datagram_has_several_messages() -> None:
    data = datagram(Command.NEW_STATION, {Attribute.MAC: AP}) + datagram(Command.DEL_STATION, {})
    assert [command for command, _ in messages(data)] == [Command.NEW_STATION, Command.DEL_STATION]


@pytest.mark.parametrize("cut", range(1, 32))
def test_what_is_cut_off_is_left_out(cut: int) -> None:
    data = datagram(Command.NEW_STATION, {Attribute.MAC: AP})
    assert list(messages(data[:-cut])) == []


def test_netlink_s_own_messages_are_none_of_nl80211() -> None:
    assert list(messages(datagram(1, {}, family=2))) == []
