"""Stations of traffic in network namespaces: who was there is told, and what is not told is counted."""

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
from meshlens.ebpf import attached
from meshlens.packet import craft
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.stations.record import Station
from meshlens.probes.stations.session import StationSession
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.probes.tcp import transfer

pytestmark = pytest.mark.root

NOTHING_MISSED = {
    "map_full": 0, "inner_map_full": 0, "originator_map_full": 0, "unreadable": 0, "fetched": 0
}  # fmt: skip
HERE = "02:00:00:00:00:0b"


def mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"


def udp(number: int, size: int = 100) -> bytes:
    return craft.ip_frame(mac(number), craft.udp("10.9.0.1", "10.9.0.2", 1000, 53, bytes(size)), HERE)


def mesh() -> list[bytes]:
    """No longer than a veth takes."""
    mixes = (frame.data for mix in (overhead_mix, payload_mix) for frame in mix(300))
    return [data for data in mixes if len(data) <= 1514]


@pytest.fixture
def watch(netns_pair: NetNsPair) -> Iterator[Callable[..., StationSession]]:
    """Stations of the far end's interface, attached."""
    entered: list[StationSession] = []

    def begin(**options: Any) -> StationSession:
        entered.append(netns_pair.far.run(lambda: meshlens.stations("veth0", **options).__enter__()))
        return entered[-1]

    yield begin
    for each in entered:
        each.close()


def timeless(station: Station) -> tuple[object, ...]:
    """What does not depend on where, when and in which direction it was seen."""
    return (
        station.mac, station.kind, station.in_packets, station.in_bytes, station.unicast, station.multicast,
        station.broadcast, station.seen, station.dhcp, station.syn, station.vendor,
    )  # fmt: skip


def test_an_interface_gives_the_stations_that_a_capture_of_the_same_frames_gives(
    netns_pair: NetNsPair, watch: Callable[..., StationSession], tmp_path: Path
) -> None:
    write_pcap(tmp_path / "sent.pcap", mesh())
    session = watch()
    netns_pair.near.send(*mesh())
    live, files = session.stations(), meshlens.stations(read=tmp_path / "sent.pcap").stations()
    assert {station.kind for station in live} == {"station", "inner", "originator"}
    assert sorted(map(timeless, live)) == sorted(timeless(each) for each in files if each.in_packets)
    assert any(station.dhcp for station in live)
    assert session.missed == NOTHING_MISSED


@pytest.mark.parametrize("attach", ["xdp", "xdp-generic"])
def test_at_xdp_the_stations_are_the_same_and_what_goes_out_is_counted_at_tc(
    netns_pair: NetNsPair, watch: Callable[..., StationSession], tmp_path: Path, attach: str
) -> None:
    write_pcap(tmp_path / "sent.pcap", mesh())
    session = watch(attach=attach)
    hooks = {"in": "XDP", "out": "SCHED_CLS"}
    ((_, meter),) = session._meters
    assert {way: program.info().type.name for way, program in meter.programs} == hooks
    netns_pair.near.send(*mesh())
    files = meshlens.stations(read=tmp_path / "sent.pcap").stations()
    expected = sorted(timeless(each) for each in files if each.in_packets)
    assert sorted(map(timeless, session.stations())) == expected
    netns_pair.far.send(udp(7), udp(7))
    here = {each.mac: each.out_packets for each in session.stations()}[HERE]
    session.close()
    assert here == 2
    assert programs(netns_pair.far) == []
    assert session.missed == NOTHING_MISSED


def test_an_interface_takes_one_xdp_program_and_the_first_one_stays(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch(attach="xdp")
    with pytest.raises(meshlens.MeshlensError, match="veth0"):
        watch(attach="xdp")
    netns_pair.near.send(udp(1))
    assert [station.packets for station in session.stations()] == [1]
    assert len(programs(netns_pair.far)) == 2


def test_what_goes_out_is_counted_for_its_destination_and_groups_for_nobody(netns_pair: NetNsPair) -> None:
    session = netns_pair.near.run(lambda: meshlens.stations("veth0").__enter__())
    arp = craft.ethernet("ff:ff:ff:ff:ff:ff", HERE, 0x0806, bytes(46))
    netns_pair.near.send(udp(1), udp(1), arp)
    (station,) = session.stations()
    session.close()
    assert (station.mac, station.out_packets, station.in_packets) == (HERE, 2, 0)
    assert station.out_bytes == 2 * len(udp(1))
    assert session.group == 1
    assert session.missed == NOTHING_MISSED


def test_a_tcp_stream_in_segments_is_counted_as_packets_on_the_wire(netns_pair: NetNsPair) -> None:
    size = 3_000_000
    for ns, address in ((netns_pair.near, "10.9.0.1/24"), (netns_pair.far, "10.9.0.2/24")):
        ns.shell("ip", "addr", "add", address, "dev", "veth0")
    session = netns_pair.near.run(lambda: meshlens.stations("veth0", filter="tcp").__enter__())
    transfer(netns_pair, size)
    (station,) = session.stations()
    session.close()
    # Ethernet 14, IPv4 20, TCP 20 with timestamps 12; the SYN has 8 bytes of options more.
    assert station.out_bytes == size + 66 * station.out_packets + 8
    sacks = station.in_bytes - 66 * station.in_packets - 8  # 12 to 28 bytes where a segment overtook another
    assert sacks in range(0, 28 * 5, 4)
    assert sum(station.sizes) == station.packets
    assert station.sizes[10] >= size // 1448  # 1024 to 2047 bytes
    assert station.protocols == {"ipv4": station.packets, "tcp": station.packets}
    assert station.name == "10.9.0.2"
    assert session.missed == NOTHING_MISSED


def test_the_syn_of_a_station_is_kept(netns_pair: NetNsPair) -> None:
    for ns, address in ((netns_pair.near, "10.9.0.1/24"), (netns_pair.far, "10.9.0.2/24")):
        ns.shell("ip", "addr", "add", address, "dev", "veth0")
    session = netns_pair.far.run(lambda: meshlens.stations("veth0").__enter__())
    transfer(netns_pair, 10)
    (station,) = session.stations()
    session.close()
    assert station.syn is not None
    assert (station.syn.ttl, station.syn.mss) == (64, 1460)
    assert station.syn.options[:2] == (2, 4)


def test_only_what_the_filter_matches_is_counted(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch(filter="udp and greater 300")
    netns_pair.near.send(udp(1), udp(2, 400), udp(2))
    assert [(each.mac, each.packets) for each in session.stations()] == [(mac(2), 1)]


def test_a_station_is_let_go_when_it_was_idle_and_begins_anew(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch(idle_s=0.3)
    netns_pair.near.send(udp(1), udp(1))
    assert [station.packets for station in session.stations()] == [2]
    time.sleep(0.4)
    assert session.stations() == []
    netns_pair.near.send(udp(1))
    assert [station.packets for station in session.stations()] == [1]


def test_packets_that_find_no_room_in_the_map_are_counted_as_missed_until_there_is_room(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch(max_stations=16, idle_s=0.3)
    netns_pair.near.send(*map(udp, range(100)))
    told = sum(station.packets for station in session.stations())
    assert 0 < told <= 16
    assert session.missed == NOTHING_MISSED | {"map_full": 100 - told}
    time.sleep(0.4)
    assert session.stations() == []
    netns_pair.near.send(udp(500))
    assert [station.mac for station in session.stations()] == [mac(500)]


def test_every_packet_is_told_or_missed_while_stations_come_and_go_all_the_time(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch(idle_s=0.02)
    sender = threading.Thread(target=netns_pair.near.send, args=[udp(each % 300) for each in range(20_000)])
    sender.start()
    while sender.is_alive():
        session.stations()
    time.sleep(0.1)
    session.stations()
    session.close()
    meter = session._meters._counted
    assert meter["station"] == 20_000
    assert session.missed == NOTHING_MISSED | {"fetched": session.missed["fetched"]}
    assert session.missed["fetched"] < 20


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_what_several_cpus_saw_of_a_station_is_added_up(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch()
    for cpu in sorted(os.sched_getaffinity(0))[:2]:

        def send(cpu: int = cpu) -> None:
            os.sched_setaffinity(0, {cpu})  # of this thread, which is no more afterwards
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
                sender.bind(("veth0", 0))
                for _ in range(10):
                    sender.send(udp(1))

        netns_pair.near.run(send)
    ((_, meter),) = session._meters
    assert len(list(meter._stations.keys())) == 2
    (station,) = session.stations()
    assert (station.in_packets, station.in_bytes) == (20, 20 * len(udp(1)))


def test_stations_of_an_interface_that_is_gone_are_told_and_go_on_when_it_returns(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch()
    netns_pair.near.send(udp(1), udp(2))
    flap(netns_pair, session)
    netns_pair.near.send(udp(1))
    assert {each.mac: each.packets for each in session.stations()} == {mac(1): 2, mac(2): 1}
    assert session.missed == NOTHING_MISSED


def test_an_interface_that_flaps_takes_nothing_with_it(
    netns_pair: NetNsPair, watch: Callable[..., StationSession]
) -> None:
    session = watch()
    counted, descriptors = 0, list[int]()
    for _ in range(6):
        netns_pair.near.send(udp(1), udp(2))
        counted += 2
        flap(netns_pair, session)
        assert sum(each.packets for each in session.stations()) == counted
        descriptors.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
    assert len(set(descriptors[1:])) == 1


def flap(pair: NetNsPair, session: StationSession) -> None:
    """Take the watched interface away and bring it back."""
    for command in (
        ("link", "del", "veth0"),
        ("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", pair.near.name),
        ("link", "set", "veth0", "up"),
    ):
        pair.far.shell("ip", *command)
        pair.far.run(lambda: session.wait(0.2))
    pair.near.shell("ip", "link", "set", "veth0", "up")
    pair.far.run(lambda: session.wait(0.2))


def test_a_killed_process_leaves_nothing_attached(netns_pair: NetNsPair) -> None:
    process = command(netns_pair.far, "-i", "veth0", "--json", "--interval", "0.1")
    wait_for(lambda: len(programs(netns_pair.far)) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    wait_for(lambda: not programs(netns_pair.far))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stations_are_printed_when_the_command_is_ended(netns_pair: NetNsPair, sent: int) -> None:
    process = command(netns_pair.far, "-i", "veth0", "--json", "udp", "port", "53")
    wait_for(lambda: len(programs(netns_pair.far)) == 2)
    time.sleep(0.3)
    netns_pair.near.send(udp(1), udp(2))
    process.send_signal(sent)
    out, _ = process.communicate(timeout=10)
    *stations, summary = map(json.loads, out.splitlines())
    assert sorted(each["mac"] for each in stations) == [mac(1), mac(2)]
    assert summary == {"stations": 2, "group": 0, "missed": 0, "reasons": NOTHING_MISSED}
    assert process.returncode == 128 + sent


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def command(ns: NetNs, *words: str) -> "subprocess.Popen[bytes]":
    line = ["ip", "netns", "exec", ns.name, sys.executable, "-m", "meshlens", "stations", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, env=environment)


def programs(ns: NetNs) -> list[Any]:
    return list(ns.run(lambda: attached(socket.if_nametoindex("veth0"))))


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(meshlens.UsageError, match="no interface 'novel0'; there are"):
        meshlens.stations("novel0").__enter__()


def test_a_packet_socket_is_no_place_for_the_programs() -> None:
    with pytest.raises(meshlens.UsageError, match="auto, tc, xdp, xdp-generic, not 'socket'"):
        meshlens.stations("veth0", attach="socket")  # type: ignore[call-overload]
