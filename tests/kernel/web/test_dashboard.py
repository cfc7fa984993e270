"""`meshlens serve` and its dashboard over real traffic, in network namespaces and a real browser."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshlens.packet import craft
from tests.browser import Browser, chromium, missing
from tests.kernel.conftest import NetNs, NetNsPair

pytestmark = [
    pytest.mark.root,
    pytest.mark.kernel,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}"),
]

PORT = 9617
SENDER, HERE = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
HOST_NAME = '<img src=x onerror="document.title=1">'
SETTINGS = """
interfaces = ["veth0"]
interval = 0.5
statistics = true
filters = ["{filters}"]
[history]
file = "{history}"
"""
FILTERS = "udp:9;udp port 9\narp;arp\n"
DATAGRAM = craft.ip_frame(SENDER, craft.udp("192.0.2.1", "192.0.2.2", 1000, 9, bytes(958)), HERE)


def dhcp_request() -> bytes:
    """What a client with a name of this kind broadcasts."""
    options = bytes((53, 1, 3, 12, len(HOST_NAME))) + HOST_NAME.encode() + b"\xff"
    head = bytes((1, 1, 6, 0)) + bytes(24) + bytes.fromhex(SENDER.replace(":", "")) + bytes(10 + 192)
    payload = head + bytes.fromhex("63825363") + options
    return craft.ip_frame(SENDER, craft.udp("0.0.0.0", "255.255.255.255", 68, 67, payload))  # noqa: S104


@contextlib.contextmanager
def daemon(ns: NetNs, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`meshlens serve` in a namespace."""
    (folder / "test.filters").write_text(FILTERS)
    settings = SETTINGS.format(filters=folder / "test.filters", history=folder / "history.db")
    (folder / "meshlens.toml").write_text(settings)
    process = subprocess.Popen(
        ["ip", "netns", "exec", ns.name, sys.executable, "-m", "meshlens", "serve",
         "--config", str(folder / "meshlens.toml")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        print(out, err)


@contextlib.contextmanager
def reachable(ns: NetNs, port: int) -> Iterator[int]:
    """A port of ours behind which is one of the namespace."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def connect() -> None:
        ns.enter()  # sockets made from here on are there; the one that listens stays here
        open_: list[socket.socket] = []
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                open_.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", port), timeout=5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                open_.append(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        for each in open_:
            each.close()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listener.close()


@pytest.fixture
def site(netns_pair: NetNsPair, tmp_path: Path) -> Iterator[int]:
    with daemon(netns_pair.near, tmp_path) as process, reachable(netns_pair.near, PORT) as port:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError, ValueError):
                if get(port, "/healthz")["status"] == "ok":
                    break
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield port


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def page(site: int) -> Iterator[Browser]:
    with chromium() as browser:
        browser.open(f"http://127.0.0.1:{site}/", height=1400)
        browser.wait("life", lambda: browser.text("#status") == "Live")
        yield browser
        assert browser.complaints() == []


def test_the_chart_moves_when_traffic_flows_and_only_then(
    page: Browser, netns_pair: NetNsPair, site: int
) -> None:
    def picture() -> str:
        return str(page.run("return document.querySelector('#chart').toDataURL()"))

    def value() -> str:
        return page.text("#interfaces button[data-name=veth0] .in")

    page.wait("silence", lambda: value() == "0 bit/s")
    before = picture()
    netns_pair.far.send(*[DATAGRAM] * 500)
    page.wait("bits", lambda: value() not in ("0 bit/s", ""))
    page.wait("another chart", lambda: picture() != before)
    page.wait("the station", lambda: SENDER in page.text("#stations"))
    page.wait("silence again", lambda: value() == "0 bit/s")


def test_the_api_says_what_was_sent(site: int, netns_pair: NetNsPair) -> None:
    netns_pair.far.send(*[DATAGRAM] * 300)
    expected = 300, 300 * len(DATAGRAM)
    deadline = time.monotonic() + 20
    while True:
        (row,) = get(site, "/api/v1/counts?filter=udp:9&direction=in")["rows"] or [{}]
        (station,) = get(site, f"/api/v1/stations?mac={SENDER}")["rows"] or [{}]
        (flow,) = get(site, "/api/v1/flows?src=192.0.2.1&dst_port=9")["rows"] or [{}]
        (interface,) = get(site, "/api/v1/interfaces?name=veth0")["rows"]
        came = next(each for each in interface["traffic"] if each["direction"] == "in")
        told = [
            (row.get("packets"), row.get("bytes")),
            (station.get("in_packets"), station.get("in_bytes")),
            (flow.get("src_packets"), flow.get("src_bytes")),
            (came["packets"], came["bytes"]),
        ]
        if told == [expected] * 4:
            break
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
    assert all(each["packets"] == 0 for each in get(site, "/api/v1/missed")["rows"])


def test_a_host_that_calls_itself_markup_is_shown_as_text(page: Browser, netns_pair: NetNsPair) -> None:
    title = page.run("return document.title")
    netns_pair.far.send(dhcp_request())
    page.wait("the station", lambda: SENDER in page.text("#stations"))
    netns_pair.far.send(*[DATAGRAM] * 50)
    page.wait("the host's name", lambda: HOST_NAME in page.text("#stations"))
    assert page.run("return [document.images.length, document.title]") == [1, title]


def test_cost_is_measured_and_the_past_is_stored(page: Browser, netns_pair: NetNsPair) -> None:
    netns_pair.far.send(*[DATAGRAM] * 200)
    page.wait("nanoseconds", lambda: " ns" in page.text("#costs"))
    page.run(
        "const s = document.querySelector('#range'); s.value = '3600'; s.dispatchEvent(new Event('change'))"
    )
    page.wait("stored lines", lambda: "veth0" in page.text("#legend") and not page.text("#chart-empty"), 40)
