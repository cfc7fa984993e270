"""Transmitters on a monitor interface: what was heard is what is told, and what is not told is counted."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import meshlens
from meshlens.ebpf import attached
from meshlens.errors import NotSupported, UsageError
from meshlens.packet.capture import write_pcap
from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.wifi_mix import wifi_mix
from meshlens.wifi.monitor.record import Transmitter
from meshlens.wifi.monitor.session import LiveTransmitters
from tests.kernel.conftest import NetNs
from tests.kernel.wifi.monitor.conftest import Radio

pytestmark = pytest.mark.root

AP, STATION = "02:00:00:00:00:01", "02:00:00:00:00:02"
BEACON = radiotap(rate=12, signal=-60) + dot11("beacon", AP, STATION, AP, bytes(50))
MIX = [frame.data for frame in wifi_mix(600)]


@pytest.fixture
def listen(netns: NetNs) -> Iterator[Callable[..., LiveTransmitters]]:
    """A session in the namespace, attached."""
    with ExitStack() as entered:

        def begin(*names: str, **options: Any) -> LiveTransmitters:
            session = meshlens.transmitters(names, **options)
            netns.run(session.__enter__)
            entered.callback(session.close)
            return session

        yield begin


def timeless(each: Transmitter) -> Transmitter:
    """What does not depend on where and when it was heard."""
    return replace(each, interface="", first_ns=0, last_ns=0)


def told(session: Any) -> list[Transmitter]:
    return [timeless(each) for each in session.transmitters()]


def file_of(path: Path, frames: list[bytes], link_type: int = 127) -> Path:
    write_pcap(path, frames, link_type)
    return path


@pytest.mark.parametrize(
    "expression", ["", "wlan type data", "wlan type mgt subtype probe-req or wlan type ctl"]
)
def test_an_interface_tells_what_a_capture_of_the_same_frames_tells(
    radio: Radio, listen: Callable[..., LiveTransmitters], tmp_path: Path, expression: str
) -> None:
    session = listen("mon0", filter=expression)
    radio.hear(*MIX)
    file = meshlens.transmitters(read=file_of(tmp_path / "mix.pcap", MIX), filter=expression)
    assert told(session) == told(file) != []
    assert session.outcomes == file.outcomes
    assert not any(session.missed.values())


def test_times_are_those_of_the_clock(radio: Radio, listen: Callable[..., LiveTransmitters]) -> None:
    session, before = listen("mon0"), time.time_ns()
    radio.hear(BEACON)
    time.sleep(0.05)
    radio.hear(BEACON)
    (heard,) = session.transmitters()
    tick_ns = 10_000_000  # CONFIG_HZ 100
    assert before - tick_ns <= heard.first_ns < heard.last_ns <= time.time_ns()
    assert heard.last_ns - heard.first_ns > 50_000_000 - tick_ns


def test_frames_without_radiotap_are_counted_as_far_as_they_tell(
    netns: NetNs, listen: Callable[..., LiveTransmitters], tmp_path: Path
) -> None:
    frame = dot11("beacon", AP, STATION, AP, bytes(50))
    with Radio(netns, "old0", plain=True) as old:
        session = listen("old0")
        old.hear(frame, b"\x80")
        assert told(session) == told(
            meshlens.transmitters(read=file_of(tmp_path / "old.pcap", [frame, b"\x80"], 105))
        )
        assert session.missed["unreadable"] == 1


def test_headers_behind_the_linear_part_are_read(
    radio: Radio, listen: Callable[..., LiveTransmitters]
) -> None:
    session = listen("mon0")
    radio.hear(BEACON + bytes(6000), linear_bytes=17)
    (heard,) = session.transmitters()
    assert (heard.mac, heard.bytes, heard.signal_dbm) == (STATION, 24 + 50 + 6000 + 4, -60)


def test_a_damaged_frame_makes_no_transmitter(radio: Radio, listen: Callable[..., LiveTransmitters]) -> None:
    session = listen("mon0")
    damaged = radiotap(flags=0x50) + dot11("data", AP, STATION, AP, bytes(4))
    radio.hear(damaged)
    assert session.transmitters() == []
    radio.hear(BEACON, damaged)
    (heard,) = session.transmitters()
    assert (heard.frames, heard.damaged, session.outcomes["damaged"]) == (1, 1, 1)


def test_what_finds_no_room_is_counted(radio: Radio, listen: Callable[..., LiveTransmitters]) -> None:
    session = listen("mon0", max_transmitters=4)
    for number in range(10):
        radio.hear(radiotap() + dot11("data", AP, f"02:00:00:00:01:{number:02x}", AP))
    assert len(session.transmitters()) == 4
    assert session.missed == {"unreadable": 0, "transmitters_full": 6, "rates_full": 0}


def test_frames_whose_rate_finds_no_room_are_in_all_other_numbers(
    radio: Radio, listen: Callable[..., LiveTransmitters]
) -> None:
    session = listen("mon0", max_transmitters=1)
    for rate in range(1, 21):
        radio.hear(radiotap(rate=rate) + dot11("data", AP, STATION, AP))
    (heard,) = session.transmitters()
    assert heard.frames == 20
    assert sum(use.frames for use in heard.rates) == 20 - session.missed["rates_full"]
    assert session.missed["rates_full"] > 0


def test_who_falls_silent_is_forgotten_and_makes_room(
    radio: Radio, listen: Callable[..., LiveTransmitters]
) -> None:
    session = listen("mon0", max_transmitters=1, idle_s=0.2)
    radio.hear(BEACON)
    assert len(session.transmitters()) == 1
    time.sleep(0.3)
    assert session.transmitters() == []
    radio.hear(radiotap(rate=2) + dot11("data", STATION, AP, AP))
    assert [each.mac for each in session.transmitters()] == [AP]


def test_what_was_heard_goes_on_when_the_interface_comes_back(
    netns: NetNs, listen: Callable[..., LiveTransmitters]
) -> None:
    with Radio(netns) as first:
        session = listen("mon*")
        first.hear(BEACON)
        before = told(session)
    netns.run(lambda: session.wait(0.3))
    assert (told(session), session.listening) == (before, [])
    with Radio(netns) as second:
        netns.run(lambda: session.wait(0.3))
        second.hear(BEACON, BEACON)
        (heard,) = session.transmitters()
        assert (heard.frames, heard.rates[0].frames) == (3, 3)
    session.close()
    assert session.transmitters()[0].frames == 3


def test_an_interface_that_is_not_in_monitor_mode_is_refused_with_the_way_to_one(
    netns: NetNs, listen: Callable[..., LiveTransmitters]
) -> None:
    with pytest.raises(NotSupported, match=r"veth0 is not in monitor mode .* iw dev veth0 interface add"):
        listen("veth0")
    with pytest.raises(UsageError, match="no interface 'none'"):
        listen("none")
    assert listen().listening == []


def test_its_cost_is_told(radio: Radio, listen: Callable[..., LiveTransmitters]) -> None:
    (cost,) = listen("mon0").costs()
    assert (cost.probe, cost.interface, cost.direction) == ("wifi", "mon0", "in")
    assert cost.instructions < 1000
    assert cost.memory_bytes < 16 << 20


def test_the_command_prints_json_lines_and_leaves_nothing_behind(radio: Radio) -> None:
    command = [sys.executable, "-m", "meshlens", "wifi", "-i", "mon0", "--json", "--interval", "0.5"]
    environment = os.environ | {"PYTHONPATH": "src"}
    inside = ["ip", "netns", "exec", radio.netns.name, *command]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())  # a reading without anybody
        radio.hear(BEACON)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        rest = [json.loads(line) for line in process.stdout]
    assert process.returncode == 130
    assert first["transmitters"] == 0
    assert [each["mac"] for each in rest if "mac" in each][-1] == STATION
    assert rest[-1]["outcomes"]["counted"] == 1
    assert radio.netns.run(lambda: attached(socket.if_nametoindex("mon0"))) == []
