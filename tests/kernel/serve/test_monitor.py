"""All probes together say of the same traffic what was sent."""

import time

import pytest

import meshlens
from meshlens.ebpf.query import attached
from meshlens.readings.reading import Reading
from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import FRAMES, filters, send, truth
from tests.kernel.serve.daemon import eventually

pytestmark = pytest.mark.root


def test_a_reading_has_what_was_sent_from_all_probes(mesh: NetNsPair) -> None:
    def run() -> tuple[Reading, Reading, int]:
        with meshlens.monitor("veth0", filters=filters()) as running:
            running.wait(0.1)
            send(mesh.far)
            running.wait(0.5)
            now = running.read()
            there = len(attached(mesh.near.ifindex))
            return now, running.finish(), there

    now, last, there = mesh.near.run(run)
    assert there == 8
    packets, size = truth(FRAMES)["all"]
    into = now.interfaces[0].traffic[0]
    assert (into.direction, into.packets, into.bytes) == ("in", packets, size)
    got = {each.filter: (each.packets, each.bytes) for each in now.counts if each.direction == "in"}
    assert got == truth(FRAMES)
    outer = [each for each in now.stations if each.kind == "station"]
    assert sum(each.in_packets for each in outer) == packets
    assert {each.kind for each in now.stations} >= {"station", "originator"}
    assert not any(sum(reasons.values()) for reasons in now.missed.values())
    assert {each.probe for each in now.costs} == {"interfaces", "stations", "flows", "count"}
    assert all(each.memory_bytes and each.instructions for each in now.costs)
    assert last.flows == ()
    assert len(last.ended) >= len(now.flows) > 0
    assert mesh.near.run(lambda: attached(mesh.near.ifindex)) == []


def test_it_follows_an_interface_that_comes_with_all_probes(mesh: NetNsPair) -> None:
    def run() -> tuple[int, Reading]:
        with meshlens.monitor("mesh*", ["interfaces", "stations", "flows"]) as running:
            mesh.near.shell(
                "ip", "link", "add", "mesh5", "type", "veth", "peer", "peer5", "netns", mesh.far.name
            )
            mesh.near.shell("ip", "link", "set", "mesh5", "up")
            mesh.far.shell("ip", "link", "set", "peer5", "up")
            index = mesh.near._replace(ifname="mesh5").ifindex
            deadline = time.monotonic() + 10
            while len(attached(index)) < 6 and time.monotonic() < deadline:
                running.wait(0.1)
            number = len(attached(index))
            send(mesh.far, interface="peer5")
            running.wait(0.5)
            return number, running.read()

    number, now = mesh.near.run(run)
    assert number == 6
    assert now.interfaces[0].traffic[0].packets == len(FRAMES)
    assert sum(each.in_packets for each in now.stations if each.kind == "station") == len(FRAMES)


def test_an_error_at_the_start_leaves_nothing_attached(mesh: NetNsPair) -> None:
    def run() -> None:
        with meshlens.monitor(["veth0", "none0"]):
            pass

    with pytest.raises(meshlens.UsageError, match="no interface 'none0'"):
        mesh.near.run(run)
    assert eventually(lambda: mesh.near.run(lambda: attached(mesh.near.ifindex)) == [])
