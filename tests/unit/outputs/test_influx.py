"""Line protocol is what its grammar says, whatever the names; a server gets it, or the reason is told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from hypothesis import given
from hypothesis import strategies as st

from meshlens.errors import MeshlensError
from meshlens.outputs.influx import format_influx
from meshlens.outputs.influx_http import HttpInflux
from meshlens.probes.snapshot import Count
from meshlens.readings.reading import Reading
from tests.readings import reading
from tests.unit.outputs.snapshots import HOSTILE_IDS

Point = tuple[str, dict[str, str], dict[str, int], int]


def split(text: str, separator: str) -> list[str]:
    """At separators that no backslash escapes."""
    return re.split(rf"(?<!\\){separator}", text)


def pair(text: str) -> tuple[str, str]:
    name, value = (re.sub(r"\\([,= ])", r"\1", each) for each in split(text, "="))
    return name, value


def parse(line: str) -> Point:
    """By the grammar of the line protocol: measurement[,tags] fields time."""
    head, fields, time = split(line, " ")
    measurement, *tags = split(head, ",")
    values = dict(map(pair, split(fields, ",")))
    assert all(re.fullmatch(r"\d+i", value) for value in values.values())
    pairs = dict(map(pair, tags))
    return measurement, pairs, {name: int(value[:-1]) for name, value in values.items()}, int(time)


def test_a_reading_becomes_points_with_its_time_in_nanoseconds() -> None:
    now = reading(9)
    points = [parse(line) for line in format_influx(now).splitlines()]
    assert {time for _, _, _, time in points} == {now.time_ns}
    by_tags = {(measurement, *tags.values()): fields for measurement, tags, fields, _ in points}
    assert len(by_tags) == len(points)
    into = now.interfaces[0].traffic[0]
    assert by_tags["meshlens_interface", "bat0", "in"] == {
        "packets": into.packets, "bytes": into.bytes, "unicast": into.unicast, "multicast": into.multicast,
        "broadcast": into.broadcast,
    }  # fmt: skip
    for station in now.stations:
        assert (
            by_tags["meshlens_station", station.interface, station.mac, station.kind]["in_bytes"]
            == station.in_bytes
        )
    told = {key[1:]: fields["packets"] for key, fields in by_tags.items() if key[0] == "meshlens_filter"}
    assert told == {(c.filter, c.interface, c.direction): c.packets for c in now.counts if c.packets}
    assert by_tags["meshlens_missed", "stations"] == now.missed["stations"]


@given(HOSTILE_IDS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9))
def test_any_name_stays_one_tag_of_one_line(name: str, interface: str) -> None:
    text = format_influx(Reading(5, counts=(Count(name, interface, None, 1, 2),)))
    assert text.count("\n") == 1
    told = {"filter": name.rstrip("\\"), "interface": interface.rstrip("\\")}
    if "\\" not in name + interface:  # what stands before a comma, a space or an equals sign has no escape
        tags = {key: value for key, value in told.items() if value}
        assert parse(text.rstrip("\n")) == ("meshlens_filter", tags, {"packets": 1, "bytes": 2}, 5)


def test_an_empty_tag_is_left_out() -> None:
    assert format_influx(Reading(5, counts=(Count("a", "\\", None, 1, 2),))) == (
        "meshlens_filter,filter=a packets=1i,bytes=2i 5\n"
    )


@contextmanager
def database(status: int = 204) -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """An HTTP server that notes what it gets."""
    got: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.end_headers()
            if status >= 400:
                self.wfile.write(b"no such bucket")

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/write?precision=ns", got
        server.shutdown()
        thread.join()


def test_readings_are_posted_with_the_token() -> None:
    with database() as (url, got):
        sink = HttpInflux(url, "secret")
        sink.write(reading(1, filters=0))
        sink.write(reading(2, filters=0))
        sink.close()
    bodies = [format_influx(reading(step, filters=0)).encode() for step in (1, 2)]
    assert got == [("/write?precision=ns", "Token secret", body) for body in bodies]


def complaints(sink: HttpInflux, times: int = 50) -> set[str]:
    """What it says while it is written to again and again."""
    told = set()
    for _ in range(times):
        try:
            sink.write(Reading(1))
        except MeshlensError as error:
            told.add(str(error))
        threading.Event().wait(0.01)
    return told


def test_a_refusal_is_told_by_the_next_write() -> None:
    with database(404) as (url, _):
        sink = HttpInflux(url)
        assert any("refused a reading: 404 no such bucket" in each for each in complaints(sink))
        sink.close()


def test_nobody_there_is_told_too_and_holds_up_nobody() -> None:
    sink = HttpInflux("http://127.0.0.1:9/write")
    told = complaints(sink)
    sink.close()
    assert any("cannot post to http://127.0.0.1:9/write: " in each for each in told)


def test_a_slow_one_loses_readings_and_says_so() -> None:
    blocked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            blocked.wait(5)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        sink = HttpInflux(f"http://127.0.0.1:{server.server_port}/write")
        assert complaints(sink, 12) == {f"{sink.url} is too slow: a reading is left out"}
        blocked.set()
        sink.close()
        server.shutdown()
        thread.join()
