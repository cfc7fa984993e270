"""What a host sends to a group comes back to it as a copy that was on no wire: nobody counts it."""

import socket
import struct
from pathlib import Path

import pytest

import meshlens
from meshlens.probes.capture.files import CaptureOutput, Rotation
from meshlens.probes.capture.session import CaptureSession, CaptureSettings
from tests.kernel.conftest import NetNs, NetNsPair

pytestmark = [pytest.mark.root, pytest.mark.kernel]

GROUP, PORT, SENT = "239.9.9.9", 5353, 7


def speak(received: list[bytes]) -> None:
    """Send to a group that we are in; what comes back is the copy."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("", PORT))
        membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("10.9.0.1"))
        ours.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        ours.settimeout(5)
        for number in range(SENT):
            ours.sendto(b"copy %d" % number, (GROUP, PORT))
            received.append(ours.recv(100))


@pytest.fixture
def speaker(netns_pair: NetNsPair) -> NetNs:
    netns_pair.near.shell("ip", "addr", "add", "10.9.0.1/24", "dev", "veth0")
    netns_pair.near.shell("ip", "route", "add", "224.0.0.0/4", "dev", "veth0")
    return netns_pair.near


@pytest.mark.parametrize("attach", ["tc", "socket"])  # packet sockets are the kernel's own truth here
def test_count(speaker: NetNs, attach: str) -> None:
    filters = meshlens.parse_list(f"group;udp port {PORT}\nall;not igmp\n")
    session = speaker.run(lambda: meshlens.count(filters, "veth0", attach=attach).__enter__())  # type: ignore[arg-type]
    received: list[bytes] = []
    speaker.run(lambda: speak(received))
    session.close()
    counts = {(each.filter, each.direction): each.packets for each in session.snapshot().counts}
    assert len(received) == SENT
    assert counts == {("group", "out"): SENT, ("group", "in"): 0, ("all", "out"): SENT, ("all", "in"): 0}


def test_flows_and_interfaces(speaker: NetNs) -> None:
    flows = speaker.run(lambda: meshlens.flows("veth0").__enter__())
    watched = speaker.run(lambda: meshlens.interfaces("veth0").__enter__())
    speaker.run(lambda: speak([]))
    udp = [flow for flow in flows.finish() if flow.protocol == "udp"]
    assert [(flow.src_packets, flow.dst_packets, flow.direction) for flow in udp] == [(SENT, 0, "out")]
    (interface,) = watched.interfaces()
    watched.close()
    flows.close()
    packets = {each.direction: each.packets for each in interface.traffic}
    assert packets["in"] == 0
    assert packets["out"] >= SENT


def test_capture(speaker: NetNs, tmp_path: Path) -> None:
    path = tmp_path / "both.pcapng"

    def capture() -> None:
        with CaptureSession(CaptureSettings(["veth0"], "not igmp")) as session:
            output = CaptureOutput(str(path), lambda: session.header("test"), session.trailer, Rotation())
            speak([])
            session.stop()
            session.run(output)
            output.close()

    speaker.run(capture)
    with open(path, "rb") as file:
        assert [frame.direction for frame in meshlens.read_capture(file)] == ["out"] * SENT


def test_stations(speaker: NetNs) -> None:
    session = speaker.run(lambda: meshlens.stations("veth0", filter=f"udp port {PORT}").__enter__())
    speaker.run(lambda: speak([]))
    assert session.stations() == []
    assert session.group == SENT
    session.close()
