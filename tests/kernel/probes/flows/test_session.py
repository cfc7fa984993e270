"""Flows of traffic in network namespaces: what was sent is what is told, and what is not told is counted."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import meshlens
from meshlens.ebpf import attached, run_statistics
from meshlens.packet import craft
from meshlens.packet.capture import write_pcap
from meshlens.probes.count.plan import ATTACH_MODES, AttachMode
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.session import LiveFlows
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.probes.tcp import transfer

pytestmark = pytest.mark.root

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
NOTHING_MISSED = {"unreadable": 0, "map_full": 0, "ring_full": 0, "fetched": 0}


def udp(source_port: int, size: int = 100, *, back: bool = False) -> bytes:
    ends, ports = ("10.9.0.1", "10.9.0.2"), (source_port, 53)
    if back:
        ends, ports = ends[::-1], ports[::-1]
    return craft.ip_frame(MACS[0], craft.udp(*ends, *ports, bytes(size)), MACS[1])


def mixed() -> list[bytes]:
    """Both directions, IPv4 and IPv6, VLAN, fragments, no IP, a header that cannot be read."""
    tcp = [
        craft.ip_frame(
            MACS[0], craft.tcp("10.9.0.9", "10.9.0.1", 80, 4000, bytes(size), flags=flags), MACS[1]
        )
        for size, flags in ((0, 0x12), (700, 0x18), (0, 0x11))
    ]
    ipv6 = craft.ip_frame(MACS[0], craft.udp("fe80::2", "fe80::1", 5353, 5353, bytes(40)), MACS[1])
    fragment = craft.ip_frame(
        MACS[0], craft.ip("10.9.0.1", "10.9.0.2", 17, bytes(64), fragment_offset=5), MACS[1]
    )
    broken = craft.ethernet(*MACS, 0x0800, b"\x60" + bytes(50))
    unicast = craft.ethernet(*MACS, 0x4305, bytes([0x40, 15]) + bytes(8) + ipv6)
    return [
        udp(1000), udp(1000, 300, back=True), udp(1000), udp(2000), *tcp, ipv6, craft.tag(ipv6, 7), unicast,
        fragment, craft.ethernet(*MACS, 0x4305, bytes(60)), broken,
    ]  # fmt: skip


@pytest.fixture
def watch(netns_pair: NetNsPair) -> Iterator[Callable[..., LiveFlows]]:
    """Flows of the far end's interface, attached."""
    entered: list[LiveFlows] = []

    def begin(**options: Any) -> LiveFlows:
        entered.append(netns_pair.far.run(lambda: meshlens.flows("veth0", **options).__enter__()))
        return entered[-1]

    yield begin
    for each in entered:
        each.close()


def timeless(flow: Flow) -> tuple[object, ...]:
    """What does not depend on where and when it was seen."""
    return (
        flow.protocol, flow.src, flow.src_port, flow.dst, flow.dst_port, flow.src_packets, flow.src_bytes,
        flow.dst_packets, flow.dst_bytes, flow.src_flags, flow.dst_flags, flow.head_sizes, flow.head_ways,
        flow.inside,
    )  # fmt: skip


@pytest.mark.parametrize("attach", ATTACH_MODES)
def test_an_interface_gives_the_flows_that_a_capture_of_the_same_frames_gives(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows], tmp_path: Path, attach: AttachMode
) -> None:
    write_pcap(tmp_path / "sent.pcap", mixed())
    stream = watch(attach=attach)
    netns_pair.near.send(*mixed())
    live, files = stream.finish(), meshlens.flows(read=tmp_path / "sent.pcap")
    assert sorted(map(timeless, live)) == sorted(map(timeless, files))
    assert {flow.direction for flow in live} == {"in"}
    assert stream.missed == NOTHING_MISSED | {"unreadable": 1}
    assert stream.other == files.other == 1
    assert files.missed["unreadable"] == 1


@pytest.mark.parametrize("attach", ATTACH_MODES)
def test_only_what_the_filter_matches_is_in_a_flow(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows], tmp_path: Path, attach: AttachMode
) -> None:
    write_pcap(tmp_path / "sent.pcap", mixed())
    expression = "tcp or (vlan and udp port 5353)"
    stream = watch(filter=expression, attach=attach)
    netns_pair.near.send(*mixed())
    live = stream.finish()
    assert sorted(flow.protocol for flow in live) == ["tcp", "udp"]
    files = meshlens.flows(read=tmp_path / "sent.pcap", filter=expression)
    assert sorted(map(timeless, live)) == sorted(map(timeless, files))


def test_a_tcp_stream_in_segments_is_counted_as_packets_on_the_wire(netns_pair: NetNsPair) -> None:
    size = 3_000_000
    for ns, address in ((netns_pair.near, "10.9.0.1/24"), (netns_pair.far, "10.9.0.2/24")):
        ns.shell("ip", "addr", "add", address, "dev", "veth0")
    stream = netns_pair.near.run(lambda: meshlens.flows("veth0", filter="tcp").__enter__())
    transfer(netns_pair, size)
    (flow,) = stream.finish()
    stream.close()
    assert (flow.src, flow.dst_port, flow.direction) == ("10.9.0.1", 5000, "out")
    assert flow.src_packets >= size // 1448
    # Ethernet 14, IPv4 20, TCP 20 with timestamps 12; the SYN has 8 bytes of options more.
    assert flow.src_bytes == size + 66 * flow.src_packets + 8
    sacks = flow.dst_bytes - 66 * flow.dst_packets - 8  # 12 to 28 bytes where a segment overtook another
    assert sacks in range(0, 28 * 5, 4)
    assert flow.flags[:2] == "FS"
    assert flow.head_sizes[:3] == (74, 74, 66)
    assert set(flow.head_sizes[3:]) <= {1514, 66}
    assert flow.head_ways[:3] == (1, -1, 1)
    assert stream.missed == NOTHING_MISSED


def test_a_flow_is_handed_out_when_it_was_idle_and_goes_on_as_another(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch(idle_s=0.2)
    netns_pair.near.send(udp(1), udp(1))
    assert stream.poll() == []
    time.sleep(0.3)
    (flow,) = stream.poll()
    assert (flow.packets, flow.ended) == (2, "idle")
    netns_pair.near.send(udp(1))
    (flow,) = stream.finish()
    assert (flow.packets, flow.ended) == (1, "end")


def test_a_packet_that_comes_too_late_for_its_flow_begins_another_without_anybody_reading(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch(idle_s=0.1)
    for _ in range(3):
        netns_pair.near.send(udp(1), udp(1))
        time.sleep(0.2)
    assert [flow.packets for flow in stream.finish()] == [2, 2, 2]


def test_packets_that_find_no_room_in_the_map_are_counted_as_missed(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch(max_flows=16)
    netns_pair.near.send(*(udp(1000 + number) for number in range(100)))
    flows = stream.finish()
    assert stream.missed["map_full"] > 0
    assert sum(flow.packets for flow in flows) + stream.missed["map_full"] == 100


def test_flows_that_end_while_the_ring_is_full_are_counted_as_missed(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch(idle_s=1e-9)  # each packet is a flow
    netns_pair.near.send(*[udp(1)] * 6000)
    flows = stream.finish()
    assert stream.missed["ring_full"] > 0
    assert sum(flow.packets for flow in flows) + sum(stream.missed.values()) == 6000


def test_every_packet_is_in_a_flow_or_missed_while_flows_are_fetched_all_the_time(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream, flows = watch(idle_s=0.01), []
    frames = [udp(1000 + number % 500) for number in range(20_000)]
    sender = threading.Thread(target=netns_pair.near.send, args=frames)
    sender.start()
    while sender.is_alive():
        flows += stream.poll()
    flows += stream.finish()
    assert sum(flow.packets for flow in flows) + sum(stream.missed.values()) == 20_000
    assert stream.missed["fetched"] < 20


def test_flows_of_an_interface_that_is_gone_are_still_told(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch()
    netns_pair.near.send(udp(1), udp(2))
    netns_pair.far.shell("ip", "link", "del", "veth0")
    assert stream.poll() == []
    assert sorted(flow.src_port for flow in stream.finish()) == [1, 2]
    assert stream.missed == NOTHING_MISSED


def test_a_killed_process_leaves_nothing_attached(netns_pair: NetNsPair) -> None:
    process = command(netns_pair.far, "-i", "veth0")
    assert process.stdout
    assert b"source" in process.stdout.readline()
    assert len(programs(netns_pair.far)) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while programs(netns_pair.far) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert programs(netns_pair.far) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_flows_that_go_on_are_printed_when_the_command_is_ended(netns_pair: NetNsPair, sent: int) -> None:
    process = command(netns_pair.far, "-i", "veth0", "--json", "udp", "port", "53")
    deadline = time.monotonic() + 10
    while len(programs(netns_pair.far)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    netns_pair.near.send(udp(1), udp(2))
    process.send_signal(sent)
    out, _ = process.communicate(timeout=10)
    *flows, summary = map(json.loads, out.splitlines())
    assert sorted(flow["src_port"] for flow in flows) == [1, 2]
    assert summary == {"flows": 2, "other": 0, "missed": 0, "reasons": NOTHING_MISSED}
    assert process.returncode == 128 + sent


def command(ns: NetNs, *words: str) -> "subprocess.Popen[bytes]":
    line = ["ip", "netns", "exec", ns.name, sys.executable, "-m", "meshlens", "flows", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, env=environment)


def programs(ns: NetNs) -> list[Any]:
    return list(ns.run(lambda: attached(socket.if_nametoindex("veth0"))))


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(meshlens.UsageError, match="no interface 'novel0'; there are"):
        list(meshlens.flows("novel0"))


def test_what_is_going_on_is_told_and_stays(netns_pair: NetNsPair, watch: Callable[..., LiveFlows]) -> None:
    stream = watch(idle_s=0.3)
    netns_pair.near.send(udp(1), udp(1, back=True), udp(2))
    for _ in range(2):
        going_on = stream.ongoing()
        assert sorted((flow.src_port, flow.packets, flow.ended) for flow in going_on) == [
            (1, 2, None), (2, 1, None),
        ]  # fmt: skip
    netns_pair.near.send(udp(1))
    assert {flow.src_port: flow.packets for flow in stream.ongoing()} == {1: 3, 2: 1}
    time.sleep(0.4)
    assert stream.ongoing() == []
    assert {flow.src_port: flow.packets for flow in stream.poll()} == {1: 3, 2: 1}
    assert stream.poll() == []


def test_a_flow_that_ended_because_a_packet_came_too_late_is_not_told_as_going_on(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch(idle_s=0.2)
    netns_pair.near.send(udp(1), udp(1))
    time.sleep(0.3)
    netns_pair.near.send(udp(1))
    assert [flow.packets for flow in stream.ongoing()] == [1]
    assert [flow.packets for flow in stream.poll()] == [2]
    assert [flow.packets for flow in stream.finish()] == [1]


def test_interfaces_are_followed_as_they_come_change_their_names_go_and_return(netns_pair: NetNsPair) -> None:
    far, near = netns_pair.far, netns_pair.near
    with following(far, "mesh*") as stream:
        assert stream.costs() == []
        join(near, far, "mesh0")
        wait_for(lambda: len(stream.costs()) == 2)
        NetNs(near.name, "mesh0").send(udp(1))
        far.shell("ip", "link", "set", "mesh0", "name", "mesh7")
        wait_for(lambda: {cost.interface for cost in stream.costs()} == {"mesh7"})
        assert [(flow.interface, flow.src_port) for flow in stream.ongoing()] == [("mesh7", 1)]
        far.shell("ip", "link", "del", "mesh7")
        wait_for(lambda: stream.costs() == [])
        assert [(flow.interface, flow.src_port, flow.ended) for flow in stream.poll()] == [
            ("mesh7", 1, "end")
        ]
        join(near, far, "mesh7")
        wait_for(lambda: len(stream.costs()) == 2)
        NetNs(near.name, "mesh7").send(udp(2))
        assert [(flow.interface, flow.src_port) for flow in stream.finish()] == [("mesh7", 2)]
    assert stream.missed == NOTHING_MISSED


@contextlib.contextmanager
def following(ns: NetNs, *names: str) -> Iterator[LiveFlows]:
    """Flows of a namespace, in which a thread follows the interfaces."""
    stream = ns.run(lambda: meshlens.flows(names).__enter__())
    waiting = threading.Thread(target=lambda: ns.run(lambda: stream.wait(30)))
    waiting.start()
    try:
        yield stream
    finally:
        begun = time.monotonic()
        stream.close()
        waiting.join()
        assert time.monotonic() - begun < 5, "close() ends wait()"


def join(near: NetNs, far: NetNs, name: str) -> None:
    near.shell("ip", "link", "add", name, "type", "veth", "peer", name, "netns", far.name)
    for ns in (near, far):
        ns.shell("ip", "link", "set", name, "up")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_program_says_what_it_costs(netns_pair: NetNsPair, watch: Callable[..., LiveFlows]) -> None:
    stream = watch()
    with run_statistics():
        netns_pair.near.send(udp(1), udp(2))
        into, out = stream.costs()
    assert (into.probe, into.interface, into.direction, out.direction) == ("flows", "veth0", "in", "out")
    assert (into.run_count, out.run_count) == (2, 0)
    assert into.run_time_ns > 0
    assert into.instructions > 100
    assert into.memory_bytes > 16_384 * 300 > out.memory_bytes, "maps are shared: one pays for them"


def test_what_goes_out_is_told_as_such_at_every_hook(netns_pair: NetNsPair) -> None:
    for attach in ATTACH_MODES:
        stream = netns_pair.near.run(lambda a=attach: meshlens.flows("veth0", attach=a).__enter__())  # type: ignore[misc]
        netns_pair.near.send(udp(1))
        netns_pair.far.send(udp(2))
        flows = stream.finish()
        stream.close()
        assert sorted((flow.direction, flow.src_port) for flow in flows) == [("in", 2), ("out", 1)], attach


def test_another_thread_ends_an_iteration_by_closing_and_what_was_seen_is_still_told(
    netns_pair: NetNsPair, watch: Callable[..., LiveFlows]
) -> None:
    stream = watch()
    netns_pair.near.send(udp(1))
    told: list[Flow] = []
    reading = threading.Thread(target=lambda: netns_pair.far.run(lambda: told.extend(stream)))
    reading.start()
    time.sleep(0.2)
    stream.close()
    reading.join(5)
    assert not reading.is_alive()
    assert [(flow.src_port, flow.ended) for flow in told] == [(1, "end")]
