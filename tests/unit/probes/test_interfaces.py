"""Interfaces as rtnetlink tells them, and which names fit which patterns."""

import json
import shutil
import subprocess
import threading
import time

import pytest

from meshlens.probes.interfaces import Interface, InterfaceWatch, link_type_of, list_interfaces, matches


@pytest.mark.skipif(not shutil.which("ip"), reason="ip(8) is not installed")
def test_the_list_is_the_same_as_that_of_ip() -> None:
    shown = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True).stdout)
    assert [(each.index, each.name, each.mac, each.up) for each in list_interfaces()] == [
        (link["ifindex"], link["ifname"], link.get("address", ""), "UP" in link["flags"]) for link in shown
    ]


def test_the_loopback_carries_ethernet_frames() -> None:
    loopback = next(each for each in list_interfaces() if each.name == "lo")
    assert (loopback.mac, link_type_of(loopback)) == ("00:00:00:00:00:00", 1)


@pytest.mark.parametrize(("hardware", "link_type"), [(1, 1), (772, 1), (801, 105), (803, 127), (65534, None)])
def test_hardware_types_have_the_link_types_of_libpcap(hardware: int, link_type: int | None) -> None:
    assert link_type_of(Interface(5, "x0", "", hardware, True)) == link_type


@pytest.mark.parametrize(
    ("name", "patterns", "fits"),
    [
        ("wlan0", ["wlan*"], True),
        ("wlan0", ["wlan[12]"], False),
        ("wlan0", ["eth0", "wlan?"], True),
        ("wlan0", ["wlan"], False),
        ("odd[1]", ["odd[1]"], True),
        ("WLAN0", ["wlan*"], False),
    ],
)
def test_a_pattern_is_a_name_or_a_glob(name: str, patterns: list[str], fits: bool) -> None:
    assert matches(name, patterns) is fits


def test_a_wait_ends_in_time_or_when_woken() -> None:
    watch = InterfaceWatch()
    begin = time.monotonic()
    assert not watch.wait(0.1)
    assert time.monotonic() - begin >= 0.1
    watch.wake()
    assert not watch.wait(60)
    assert time.monotonic() - begin < 30
    watch.close()


def test_closing_ends_the_wait_of_another_thread() -> None:
    watch = InterfaceWatch()
    waiting = threading.Thread(target=watch.wait, args=(60,))
    waiting.start()
    time.sleep(0.05)
    watch.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert not watch.wait(60)
