"""Live events, as a browser's EventSource hears them."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple

import pytest
from starlette.types import Message

from meshlens.web import events, live
from meshlens.web.app import create_app
from meshlens.web.past import Past
from tests.readings import INTERFACES, START_NS, reading, time_of
from tests.unit.web.conftest import Site
from tests.web_site import FakeHub, serving


class Event(NamedTuple):
    kind: str
    id: str
    data: Any


class Listener:
    """Parses a stream as HTML's 9.2.6 says; comments are events of the kind ":"."""

    def __init__(self, response: HTTPResponse) -> None:
        self.response = response

    def next(self) -> Event | None:
        """The next event; None at the stream's end."""
        fields = {"event": "message", "id": "", "data": "null"}
        while line := self.response.readline().decode():
            if line.startswith(":"):
                fields |= {"event": ":"}
            elif line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            elif "retry" not in fields:
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))
            else:
                del fields["retry"]
        return None


@contextmanager
def listening(site: Site, query: str = "", **headers: str) -> Iterator[Listener]:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", f"/api/v1/events{query}", headers=names)
    response = connection.getresponse()
    try:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Listener(response)
    finally:
        response.close()
        connection.close()


@pytest.fixture
def fresh() -> Iterator[Site]:
    """A site whose events a test makes itself."""
    hub = FakeHub(reading(100))
    with serving(create_app(hub), hub) as port:
        yield Site(hub, port)


def wait(what: str, condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_each_reading_is_an_event_whose_id_is_its_time(fresh: Site) -> None:
    with listening(fresh) as listener:
        for step in range(101, 105):
            fresh.hub.push(reading(step))
            event = listener.next()
            assert event is not None
            assert (event.kind, event.id) == ("message", str(time_of(step)))
            assert event.data["time"] == time_of(step) / 1e9
            assert event.data["seconds"] == 1
            assert [each["name"] for each in event.data["interfaces"]] == list(INTERFACES)


def test_an_event_can_be_of_one_interface_with_as_many_rows_as_asked(fresh: Site) -> None:
    with listening(fresh, "?interface=mesh0&top=5&by=packets") as listener:
        fresh.hub.push(reading(101))
        event = listener.next()
    assert event is not None
    for table in ("filters", "stations", "flows"):
        rows = event.data[table]
        assert len(rows) == 5
        assert {row["interface"] for row in rows} == {"mesh0"}
        one, other = ("sent", "received") if table == "flows" else ("in", "out")
        packets = [row[one][0] + row[other][0] for row in rows]
        assert packets == sorted(packets, reverse=True)


def test_what_is_watched_is_told_besides_the_top(fresh: Site) -> None:
    with listening(fresh, "?top=3") as listener:
        fresh.hub.push(reading(101))
        event = listener.next()
    assert event
    top = {row["name"] for row in event.data["filters"]}
    rare = next(name for name in ("arp", "icmp6:ra", "dhcp", "tcp") if name not in top)
    with listening(fresh, f"?top=3&watch={rare}&watch=nothing") as listener:
        event = listener.next()
    assert event
    names = [row["name"] for row in event.data["filters"]]
    assert set(names[:3]) == top
    assert set(names[3:]) == {rare}
    assert len(names) == len({(row["name"], row["interface"]) for row in event.data["filters"]})


def test_who_comes_back_gets_what_it_missed(fresh: Site) -> None:
    with listening(fresh) as listener:
        for step in range(101, 104):
            fresh.hub.push(reading(step))
            last = listener.next()
            if step == 101:
                first = last
        assert first
        assert last
    with listening(fresh, Last_Event_ID=first.id) as listener:
        recent, newest = listener.next(), listener.next()
        assert recent
        assert newest
        assert recent.kind == "recent"
        assert [each["time"] for each in recent.data] == [time_of(step) / 1e9 for step in (102, 103)]
        assert newest.id == last.id


@pytest.mark.parametrize("known", ["1", "x", "", "-5", "9" * 40, "٣"])
def test_an_id_that_nobody_gave_is_as_none(fresh: Site, known: str) -> None:
    with listening(fresh, Last_Event_ID=known.encode().decode("latin-1")) as listener:
        fresh.hub.push(reading(101))
        event = listener.next()
        assert event is not None
        assert event.kind == "message"


def test_silence_is_broken_by_a_comment(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    with listening(fresh) as listener:
        assert listener.next() == Event(":", "", None)
        fresh.hub.push(reading(101))
        while (event := listener.next()) and event.kind == ":":
            pass
        assert event
        assert event.id == str(time_of(101))


def test_the_number_of_viewers_is_bounded_and_one_that_goes_makes_room(
    fresh: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshlens.web.routes.VIEWERS_MAX", 2)
    with listening(fresh):
        with listening(fresh):
            refused = fresh.get("/api/v1/events")
            assert refused.status == 503
            assert refused.headers["retry-after"] == "10"
            assert refused.json == {"error": "2 viewers are watching already"}
        wait("room for another", lambda: opens(fresh))


def opens(site: Site) -> bool:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as client:
        client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_viewer_that_does_not_read_stops_nobody_and_holds_no_memory(fresh: Site) -> None:
    with socket.create_connection(("127.0.0.1", fresh.port)) as lazy, listening(fresh, "?top=1") as listener:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(b"GET /api/v1/events?top=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for step in range(101, 131):
            fresh.hub.push(reading(step))
            event = listener.next()
            assert event
            assert event.id == str(time_of(step))


def test_a_viewer_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_STALLED_S", 0.05)
    watched = live.Live(FakeHub())

    async def stalls(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def stays() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def watch() -> None:
        await asyncio.wait_for(
            events.EventStream(watched, live.View("", 20, "bytes"), None)({}, stays, stalls), 5
        )

    asyncio.run(watch())
    assert watched.viewers == 0


def test_streams_end_with_the_daemon(fresh: Site) -> None:
    with listening(fresh) as listener:
        fresh.hub.close()
        assert listener.next() is None


def test_without_viewers_a_tick_is_made_every_ten_seconds_only(fresh: Site) -> None:
    for step in range(101, 125):
        fresh.hub.push(reading(step))
    wait("ticks", lambda: len(fresh.get("/api/v1/recent").json) >= 2)
    ticks = fresh.get("/api/v1/recent").json
    assert [(each["time"] - START_NS / 1e9, each["seconds"]) for each in ticks] == [(110, 10), (120, 10)]


def test_the_past_of_a_chart_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_IDLE_NS", 0)
    monkeypatch.setattr(live, "Past", lambda: Past(8))
    hub = FakeHub(reading(100))
    with serving(create_app(hub), hub) as port:
        site = Site(hub, port)
        for step in range(101, 121):
            hub.push(reading(step))
        query = "/api/v1/recent?interface=mesh0&by=packets"
        newest = time_of(120) / 1e9
        wait("all readings", lambda: newest in [each["time"] for each in site.get(query).json])
        ticks = site.get(query).json
    assert len(ticks) == 8
    assert {len(each["filters"]) for each in ticks} == {12}
    assert {row["interface"] for each in ticks for row in each["stations"]} == {"mesh0"}


def test_a_clock_that_is_set_back_stops_nothing(fresh: Site) -> None:
    with listening(fresh) as listener:
        fresh.hub.push(reading(50))
        fresh.hub.push(reading(51))
        event = listener.next()
    assert event
    assert event.id == str(time_of(51))
