"""What is counted is what the wire carries: VLAN tags out of the metadata, each segment of a GSO packet."""

import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meshlens.filters.lists import parse_list
from meshlens.packet.mesh import MeshFrame, overhead_mix
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.count.session import CountSession, count
from meshlens.probes.snapshot import Direction, Snapshot
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.count.traffic import MTU, Counts, counts, eventually, missed, send, truth

pytestmark = pytest.mark.root

TAGGED = parse_list("""
all;len >= 0
tagged;vlan 7
tagged:arp;vlan 7 and arp
tagged:bcast:arp;vlan 7 and batadv 15 bcast and arp
other;vlan 8
""")
TAGGED_FRAMES = overhead_mix(600, vlans=(7,))

PORT = 5001
NEAR, FAR = "10.77.0.1", "10.77.0.2"
TRANSFER_BYTES = 6_000_000
#: Ethernet, IPv4 and TCP with its timestamp option: what Linux sends in front of each segment's payload.
HEADER_BYTES = 14 + 20 + 32
SEGMENT_BYTES = 1500 - 20 - 32
PAYLOAD = "tcp and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 0"
TRANSFER = parse_list(f"all;len >= 0\ntcp;tcp\npayload;{PAYLOAD}\n")


@pytest.mark.parametrize("mode", ["auto", "socket"])
def test_a_tag_in_the_metadata_counts_as_the_wire_has_it(mesh: NetNsPair, mode: AttachMode) -> None:
    """The kernel takes the tag out of what comes in; what is redirected then goes out with the tag apart."""
    mesh.near.shell(
        "ip", "link", "add", "feed", "mtu", str(MTU), "type", "veth", "peer", "feed", "netns", mesh.far.name
    )
    for ns in mesh:
        ns.shell("ip", "link", "set", "feed", "up", "mtu", str(MTU))
    mesh.near.shell("tc", "qdisc", "add", "dev", "feed", "ingress")
    mesh.near.shell(
        "tc", "filter", "add", "dev", "feed", "parent", "ffff:", "protocol", "all", "u32",
        "match", "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", "veth0",
    )  # fmt: skip

    def body() -> None:
        with count(TAGGED, "veth0", attach=mode) as session:
            send(mesh.far, TAGGED_FRAMES)
            send(mesh.far, TAGGED_FRAMES[:100], interface="feed")
            assert eventually(lambda: counts(session.snapshot(), "out")["all"][0] >= 100)
        assert counts(session.snapshot(), "in") == tagged_truth(TAGGED_FRAMES)
        assert counts(session.snapshot(), "out") == tagged_truth(TAGGED_FRAMES[:100])
        assert missed(session.snapshot()) == 0

    mesh.near.run(body)


@pytest.mark.parametrize("mode", ["auto", "socket"])
def test_a_tag_that_is_sent_within_the_frame_counts_the_same(mesh: NetNsPair, mode: AttachMode) -> None:
    def body() -> None:
        with count(TAGGED, "veth0", attach=mode) as session:
            send(mesh.near, TAGGED_FRAMES)
        assert counts(session.snapshot(), "out") == tagged_truth(TAGGED_FRAMES)

    mesh.near.run(body)


def test_each_segment_of_a_gso_packet_is_counted_with_its_own_headers(tcp: NetNsPair) -> None:
    def body() -> None:
        before = interface_counters(tcp.near)
        received = counts(transferred(tcp.far, tcp.near, "auto"), "in")
        check_segments(received["payload"])
        skbs = interface_counters(tcp.near)["rx"]["packets"] - before["rx"]["packets"]
        assert skbs < received["all"][0] / 4, "no GSO on the way: this showed nothing"
        check_segments(counts(transferred(tcp.near, tcp.far, "auto"), "out")["payload"])

    tcp.near.run(body)


@pytest.mark.parametrize("mode", ["auto", "xdp", "socket"])
def test_without_offloads_the_interface_counts_the_same(tcp: NetNsPair, mode: AttachMode) -> None:
    for ns in tcp:
        ns.shell("ethtool", "-K", "veth0", "tso", "off", "gso", "off", "gro", "off")

    def body() -> None:
        with count(TRANSFER, "veth0", attach=mode) as session:
            before = interface_counters(tcp.near)
            already = session.snapshot()
            transfer(tcp.far, tcp.near)
            eventually(quiet(session))
            after = interface_counters(tcp.near)
            snapshot = session.snapshot()
        ways: dict[Direction, str] = {"in": "rx", "out": "tx"}
        for direction, way in ways.items():
            counted = counts(snapshot, direction)["all"]
            early = counts(already, direction)["all"]
            packets = after[way]["packets"] - before[way]["packets"]
            assert counted[0] - early[0] == packets
            # With an XDP program veth's own account of what it received leaves out the Ethernet header.
            header = 14 if (mode, way) == ("xdp", "rx") else 0
            assert counted[1] - early[1] == after[way]["bytes"] - before[way]["bytes"] + header * packets
        assert missed(snapshot) == 0

    tcp.near.run(body)


@pytest.fixture
def tcp(netns_pair: NetNsPair) -> NetNsPair:
    """Two namespaces that speak IPv4."""
    for ns, address in zip(netns_pair, (NEAR, FAR), strict=True):
        ns.shell("ip", "address", "add", f"{address}/24", "dev", "veth0")
    return netns_pair


def tagged_truth(frames: Sequence[MeshFrame]) -> Counts:
    known = truth(frames)
    return {
        "all": known["all"],
        "tagged": known["all"],
        "tagged:arp": known["arp"],
        "tagged:bcast:arp": known["bcast:arp"],
        "other": (0, 0),
    }


def transferred(source: NetNs, sink: NetNs, mode: AttachMode) -> Snapshot:
    """What is counted of a transfer without retransmissions; a busy machine may take several tries."""
    for _ in range(5):
        before = retransmissions(source)
        with count(TRANSFER, "veth0", attach=mode) as session:
            transfer(source, sink)
        assert missed(session.snapshot()) == 0
        if retransmissions(source) == before:
            return session.snapshot()
    pytest.skip("segments were lost and sent again, in every try")


def transfer(source: NetNs, sink: NetNs) -> None:
    """Send TRANSFER_BYTES over TCP."""
    address = NEAR if "a" in sink.name[-1] else FAR
    listener = sink.run(lambda: socket.create_server((address, PORT)))
    with listener, ThreadPoolExecutor() as threads:
        received = threads.submit(drain, listener)
        with source.run(lambda: socket.create_connection((address, PORT))) as sender:
            sender.sendall(bytes(TRANSFER_BYTES))
        assert received.result() == TRANSFER_BYTES


def drain(listener: socket.socket) -> int:
    connection, _ = listener.accept()
    with connection:
        return sum(iter(lambda: len(connection.recv(1 << 16)), 0))


def check_segments(payload: tuple[int, int]) -> None:
    """What the bytes of the frames with payload must be, whatever the segments: each header once."""
    packets, size = payload
    assert size == TRANSFER_BYTES + packets * HEADER_BYTES
    assert TRANSFER_BYTES / SEGMENT_BYTES <= packets <= 1.2 * TRANSFER_BYTES / SEGMENT_BYTES


def quiet(session: CountSession) -> Callable[[], bool]:
    """Whether nothing came since the last call."""
    last: list[object] = [None]

    def same() -> bool:
        now = session.snapshot().counts
        unchanged = now == last[0]
        last[0] = now
        return unchanged

    return same


def interface_counters(ns: NetNs) -> dict[str, dict[str, int]]:
    shown = json.loads(ns.shell("ip", "-s", "-j", "link", "show", "veth0").stdout)
    stats: dict[str, dict[str, int]] = shown[0]["stats64"]
    return stats


def retransmissions(ns: NetNs) -> int:
    names, values = (
        line.split()
        for line in ns.run(lambda: Path("/proc/thread-self/net/snmp").read_text()).splitlines()
        if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])
