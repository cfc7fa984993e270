"""`meshlens top` in network namespaces: its numbers are what was sent, and it leaves nothing behind."""

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshlens.ebpf import attached
from meshlens.packet import craft
from tests.kernel.conftest import NetNs, NetNsPair

pytestmark = pytest.mark.root

MAC = "02:00:00:00:00:0a"
UDP = craft.ip_frame(MAC, craft.udp("10.9.0.1", "10.9.0.2", 4000, 53, bytes(58)), "02:00:00:00:00:0b")
ARP = craft.ethernet(craft.BROADCAST, MAC, 0x0806, bytes(46))
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color"}


def line(ns: NetNs, *words: str) -> list[str]:
    return ["ip", "netns", "exec", ns.name, sys.executable, "-m", "meshlens", "top", "-i", "veth0", *words]


def programs(ns: NetNs) -> list[Any]:
    return list(ns.run(lambda: attached(socket.if_nametoindex("veth0"))))


def wait_for(condition: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_once_as_json_tells_to_the_packet_what_was_sent_in_its_interval(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    listed = tmp_path / "some.filters"
    listed.write_text("arp;arp\n")
    words = ("--once", "--json", "--interval", "3", "--filters", str(listed))
    with subprocess.Popen(line(netns_pair.far, *words), stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert wait_for(lambda: len(programs(netns_pair.far)) == 8)  # four probes, both directions
        time.sleep(0.5)
        netns_pair.near.send(*[UDP] * 200, *[ARP] * 30)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    said = json.loads(out)
    (interface,), (station,) = said["interfaces"], [each for each in said["stations"] if each["mac"] == MAC]
    (flow,), arp = said["flows"], {each["direction"]: each for each in said["counts"]}
    incoming = interface["traffic"][0]
    assert (incoming["packets"], incoming["broadcast"]) == (230, 30)
    assert incoming["bytes"] == 200 * len(UDP) + 30 * len(ARP)
    assert (station["in_packets"], station["broadcast"]) == (230, 30)
    assert (flow["src_packets"], flow["src_bytes"]) == (200, 200 * len(UDP))
    assert arp["in"]["packets"] == 30
    assert sum(each["packets"] for each in said["missed"]) == 0
    seconds = said["seconds"]
    for rate, packets in (
        (incoming["packets_per_s"], 230),
        (station["in_packets_per_s"], 230),
        (flow["src_packets_per_s"], 200),
        (arp["in"]["packets_per_s"], 30),
    ):
        assert rate * seconds == pytest.approx(packets, abs=0.1)


@pytest.mark.parametrize(
    ("view", "ended_by", "code"),
    [
        ((), b"q", 0),
        ((), b"\x03", 130),
        ((), signal.SIGTERM, 143),
        (("--plain",), signal.SIGINT, 130),
        (("--plain",), signal.SIGTERM, 143),
    ],
)
def test_it_shows_traffic_on_a_terminal_and_leaves_that_and_the_interface_as_they_were(
    netns_pair: NetNsPair, view: tuple[str, ...], ended_by: bytes | int, code: int
) -> None:
    if not view:
        pytest.importorskip("textual", reason="the full screen needs textual")
    terminal, theirs = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = line(netns_pair.far, "--interval", "0.2", *view)
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT, start_new_session=True
    )
    os.close(theirs)
    shown = Shown(terminal)
    assert shown.until(b"missed 0")
    os.write(terminal, b"2")  # a full screen shows stations then; tables have them anyway
    netns_pair.near.send(*[UDP] * 50)
    assert shown.until(MAC.encode())
    if isinstance(ended_by, bytes):
        os.write(terminal, ended_by)
    else:
        process.send_signal(ended_by)
    shown.to_the_end()
    assert process.wait(10) == code
    os.close(terminal)
    assert b"\x1b[?1049l" in shown.text  # the terminal's other screen is back
    assert b"Traceback" not in shown.text
    assert wait_for(lambda: programs(netns_pair.far) == [], 5)


class Shown:
    """What was written to a terminal so far."""

    def __init__(self, terminal: int) -> None:
        self.terminal, self.text = terminal, b""

    def until(self, wanted: bytes) -> bool:
        deadline = time.monotonic() + 20
        while wanted not in self.text:
            if time.monotonic() > deadline or not self._more():
                return False
        return True

    def to_the_end(self) -> None:
        while self._more():
            pass

    def _more(self) -> bool:
        if not select.select([self.terminal], [], [], 20)[0]:
            return False
        try:
            self.text += (more := os.read(self.terminal, 1 << 16))
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        return bool(more)
