"""Files and datagrams get every reading, or the reason is told; paced ones lose no flow."""

import json
import socket
from pathlib import Path

import pytest

from meshlens.errors import MeshlensError
from meshlens.outputs.engine import Engine
from meshlens.outputs.hub import Hub
from meshlens.outputs.influx import format_influx
from meshlens.outputs.readings import READING_KINDS, format_readings
from meshlens.outputs.sinks import AppendedFile, Paced, ReplacedFile, UdpInflux, datagrams
from meshlens.readings.reading import Reading
from tests.readings import reading, readings


class Noted:
    """A sink that notes, and can be broken."""

    def __init__(self) -> None:
        self.got: list[Reading] = []
        self.broken, self.closed = False, False

    def write(self, reading: Reading) -> None:
        if self.broken:
            raise MeshlensError("no room")
        self.got.append(reading)

    def close(self) -> None:
        self.closed = True


def small(step: int) -> Reading:
    return reading(step, filters=0)


def test_json_lines_have_all_kinds_each_with_its_time() -> None:
    now = reading(9)
    objects = [json.loads(line) for line in format_readings(now).splitlines()]
    assert {each["time_ns"] for each in objects} == {now.time_ns}
    matched = sum(each.packets > 0 for each in now.counts)
    numbers = {
        kind: sum(each["what"] == kind for each in objects)
        for kind in ("interface", "station", "flow", "filter")
    }
    assert numbers == {"interface": 6, "station": 200, "flow": len(now.ended), "filter": matched}
    assert objects[-1] == {"time_ns": now.time_ns, "what": "missed", "missed": now.missed}
    station = next(each for each in objects if each.get("mac") == now.stations[1].mac)
    assert station["seen"] == ["dad", "mdns"]
    assert station["dhcp"]["hostname"] == "host-1"


def test_json_lines_of_some_kinds_have_no_others() -> None:
    objects = [json.loads(line) for line in format_readings(reading(9), ["stations"]).splitlines()]
    assert {each["what"] for each in objects} == {"station", "missed"}
    assert set(READING_KINDS) == {
        "interfaces",
        "stations",
        "flows",
        "filters",
        "wifi",
        "transmitters",
        "verdicts",
    }


def test_a_file_grows_by_each_reading_and_a_new_process_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "out.influx"
    for step in (1, 2):
        sink = AppendedFile(path, format_influx)
        sink.write(small(step))
        sink.close()
    assert path.read_text() == format_influx(small(1)) + format_influx(small(2))


def test_a_file_that_cannot_be_written_is_said_at_once_or_when_it_happens(tmp_path: Path) -> None:
    with pytest.raises(MeshlensError, match=f"cannot write {tmp_path}/none/x: No such file"):
        AppendedFile(tmp_path / "none" / "x", format_influx)
    sink = AppendedFile("/dev/full", format_influx)
    with pytest.raises(MeshlensError, match="cannot write /dev/full: No space left on device"):
        sink.write(small(1))
    sink.close()


def test_a_replaced_file_is_never_half_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    sink = ReplacedFile(path, lambda reading: str(reading.time_ns).encode())
    sink.write(Reading(1))
    inode = path.stat().st_ino
    sink.write(Reading(2))
    assert path.read_text() == "2"
    assert path.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [path]


def test_datagrams_hold_whole_lines_and_no_more_than_fit() -> None:
    lines = format_influx(reading(3)).splitlines()
    packed = list(datagrams(lines))
    assert b"".join(packed) == format_influx(reading(3)).encode()
    assert all(len(each) <= 1400 and each.endswith(b"\n") for each in packed)
    assert len(packed) < len(lines) / 5
    assert list(datagrams(["x" * 3000, "y"])) == [b"x" * 3000 + b"\n", b"y\n"]
    assert list(datagrams([])) == []


def test_datagrams_arrive() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = UdpInflux("127.0.0.1", receiver.getsockname()[1])
        now = Reading(7, interfaces=small(1).interfaces)
        sink.write(now)
        sink.close()
        got = b""
        while len(got) < len(format_influx(now)):
            got += receiver.recv(2000)
    assert got.decode() == format_influx(now)


def test_a_paced_sink_gets_a_reading_each_interval_and_every_flow_once() -> None:
    noted = Noted()
    sink = Paced(noted, 10)
    for each in readings(25, filters=0):
        sink.write(each)
    assert [each.time_ns for each in noted.got] == [small(step).time_ns for step in (0, 10, 20)]
    sink.close()
    assert noted.closed
    assert noted.got[-1].time_ns == small(24).time_ns
    ended = [flow for each in noted.got for flow in each.ended]
    assert ended == [flow for each in readings(25, filters=0) for flow in each.ended] != []


def test_a_paced_sink_goes_on_when_the_clock_is_set_back() -> None:
    noted = Noted()
    sink = Paced(noted, 10)
    for step in (1000, 1001, 5, 6, 11):
        sink.write(small(step))
    assert [each.time_ns for each in noted.got] == [small(step).time_ns for step in (1000, 5, 11)]


class Clockwork:
    """A source that gives the next reading each time."""

    def __init__(self) -> None:
        self.step, self.waited = 0, list[float]()

    def read(self) -> Reading:
        self.step += 1
        return small(self.step)

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)

    def finish(self) -> Reading:
        return small(99)


def test_an_output_that_fails_holds_up_no_other_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Noted(), Noted()
    hub = Hub(1)
    engine = Engine(Clockwork(), hub, {"bad": bad, "good": good}, 0)
    bad.broken = True
    for _ in range(3):
        engine.turn(1)
    bad.broken = False
    engine.turn(1)
    assert len(good.got) == 4
    assert [each.time_ns for each in bad.got] == [small(4).time_ns]
    assert caplog.messages == ["no room", "the output bad can be written again"]
    assert b'meshlens_output_errors_total{output="bad"} 3' in hub.metrics()


def test_it_reads_when_due_and_waits_no_longer_than_told() -> None:
    source = Clockwork()
    engine = Engine(source, Hub(60), {}, 60)
    engine.turn(1)
    engine.turn(1)
    engine.turn(100)
    assert source.step == 1
    assert source.waited[0] == 1
    assert 50 < source.waited[1] <= 60


def test_at_the_end_everybody_gets_the_last_reading_and_is_closed() -> None:
    noted = Noted()
    hub = Hub(1)
    engine = Engine(Clockwork(), hub, {"noted": noted}, 1)
    engine.finish()
    assert hub.latest() == small(99)
    assert [each.time_ns for each in noted.got] == [small(99).time_ns]
    assert noted.closed
