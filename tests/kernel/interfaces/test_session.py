"""`meshlens.interfaces()` against what ip(8) and ethtool(8) say of the same interfaces."""

import json
import re
import threading
import time
from contextlib import closing
from typing import NoReturn

import pytest

import meshlens
from meshlens.ebpf import ProgramType, attach_xdp, attached
from meshlens.errors import NotSupported, UsageError
from meshlens.packet import craft
from meshlens.packet.mesh import overhead_mix
from meshlens.probes import attach
from meshlens.probes.ethtool import Ethtool
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.probes.traffic.session import InterfaceSession
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.count.traffic import eventually
from tests.kernel.ebpf.counting import FRAME, counter
from tests.kernel.interfaces.test_program import expected

pytestmark = pytest.mark.root

FRAMES = [each.data for each in overhead_mix(300) if len(each.data) <= 1514]
OTHERS = [craft.ethernet("02:00:00:00:00:0a", "02:00:00:00:00:0b", 0x88B5, bytes(200))] * 7


def only(session: InterfaceSession, name: str = "veth0") -> InterfaceTraffic:
    (found,) = [each for each in session.interfaces() if each.name == name]
    return found


def after(session: InterfaceSession, packets: int, name: str = "veth0") -> InterfaceTraffic:
    """What was counted once so many packets came in: on a busy machine they take a while."""
    eventually(lambda: only(session, name).traffic[0].packets >= packets)
    return only(session, name)


def kernel(ns: NetNs, name: str = "veth0") -> dict[str, dict[str, int]]:
    """ip(8)'s counters of an interface: rx and tx."""
    (link,) = json.loads(ns.shell("ip", "-s", "-j", "link", "show", name).stdout)
    told: dict[str, dict[str, int]] = link["stats64"]
    return told


@pytest.mark.parametrize("hook", ["tcx", "clsact"])
def test_both_directions_are_counted_and_stay_known_after_the_end(
    netns_pair: NetNsPair, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = netns_pair.far
    if hook == "clsact":

        def no_tcx(*_: object) -> NoReturn:
            raise NotSupported("no TCX")

        monkeypatch.setattr(attach, "attach_tcx", no_tcx)

    def body() -> None:
        with meshlens.interfaces("veth0") as session:
            netns_pair.near.send(*FRAMES)
            far.send(*OTHERS)
            during = after(session, len(FRAMES))
            assert {each.hook for each in attached(far.ifindex)} == {hook}
        assert session.interfaces() == [only(session)]
        assert only(session).traffic == during.traffic == (expected(FRAMES), expected(OTHERS, "out"))
        assert (during.index, during.up) == (far.ifindex, True)
        assert not any(session.missed.values())
        assert attached(far.ifindex) == []

    far.run(body)


def test_without_offloads_the_kernel_counts_the_same(netns_pair: NetNsPair) -> None:
    for ns, address in zip(netns_pair, ("10.9.0.1/24", "10.9.0.2/24"), strict=True):
        ns.shell("ip", "addr", "add", address, "dev", "veth0")
        ns.shell("ethtool", "-K", "veth0", "tso", "off", "gso", "off", "gro", "off")
    near, far = netns_pair
    with closing(near.run(lambda: meshlens.interfaces("veth0").__enter__())) as session:
        before = kernel(near)
        near.shell("ping", "-q", "-c", "20", "-i", "0.002", "-s", "1200", "10.9.0.2")
        near.send(*FRAMES)
        far.send(*FRAMES[:50])
        time.sleep(0.2)
        now, traffic = kernel(near), only(session).traffic
    for each, way in zip(traffic, ("rx", "tx"), strict=True):
        assert each.packets == now[way]["packets"] - before[way]["packets"] > 20
        assert each.bytes == now[way]["bytes"] - before[way]["bytes"]


def test_counts_belong_to_the_name_and_go_on_when_it_comes_back(netns_pair: NetNsPair) -> None:
    near, far = netns_pair

    def add() -> None:
        near.shell("ip", "link", "add", "mesh3", "type", "veth", "peer", "mesh3", "netns", far.name)
        for ns in netns_pair:
            ns.shell("ip", "link", "set", "mesh3", "up")
            ns.shell("sysctl", "-qw", "net.ipv6.conf.mesh3.disable_ipv6=1", check=False)

    def body() -> None:
        with meshlens.interfaces("mesh*") as session:
            assert session.interfaces() == []
            add()
            session.wait(0.3)
            near._replace(ifname="mesh3").send(*FRAMES)
            after(session, len(FRAMES), "mesh3")
            far.shell("ip", "link", "del", "mesh3")
            session.wait(0.3)
            gone = only(session, "mesh3")
            assert (gone.index, gone.up, gone.traffic[0]) == (0, False, expected(FRAMES))
            add()
            session.wait(0.3)
            near._replace(ifname="mesh3").send(*OTHERS)
            both = [*FRAMES, *OTHERS]
            assert after(session, len(both), "mesh3").traffic[0] == expected(both)
            far.shell("ip", "link", "set", "mesh3", "name", "mesh4")
            session.wait(0.3)
            near._replace(ifname="mesh3").send(*OTHERS)
            assert after(session, len(OTHERS), "mesh4").traffic[0] == expected(OTHERS)
            assert only(session, "mesh3").traffic[0] == expected(both)

    far.run(body)


def test_drops_are_those_that_ip_shows(netns_pair: NetNsPair) -> None:
    far = netns_pair.far
    with closing(far.run(lambda: meshlens.interfaces("veth0").__enter__())) as session:
        netns_pair.near.send(*[FRAME] * 30)  # nobody takes frames of this ethertype
        after(session, 30)
        time.sleep(0.1)
        told, drops = kernel(far), only(session).drops
    assert drops["rx_dropped"] == told["rx"]["dropped"] >= 30
    assert drops.get("tx_dropped", 0) == told["tx"]["dropped"]
    assert 0 not in drops.values()
    assert "rx_packets" not in drops


@pytest.mark.parametrize(("verdict", "name"), [(1, "drop"), (2, None)])
def test_verdicts_are_what_the_driver_counts(netns_pair: NetNsPair, verdict: int, name: str | None) -> None:
    far = netns_pair.far

    def body() -> None:
        spec = counter(ProgramType.XDP, verdict=verdict)
        with spec.load() as program, attach_xdp(program, far.ifindex, "native"):  # noqa: SIM117
            with meshlens.interfaces("veth0") as session:
                netns_pair.near.send(*[FRAME] * 9)
                eventually(lambda: only(session).verdicts["packets"] >= 9)
                verdicts = only(session).verdicts
        assert verdicts["packets"] >= 9
        assert verdicts["drop"] == (9 if name == "drop" else 0)

    far.run(body)


def test_the_drivers_counters_are_those_of_ethtool(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    shown = near.shell("ethtool", "-S", "veth0").stdout
    pairs = [(name, int(value)) for name, value in re.findall(r"^\s+(\S+): (\d+)$", shown, re.MULTILINE)]

    def body() -> list[tuple[str, int]]:
        with Ethtool() as ethtool:
            assert (ethtool.counter_names("lo"), ethtool.counters("nix0")) == ((), ())
            return list(zip(ethtool.counter_names("veth0"), ethtool.counters("veth0"), strict=True))

    assert near.run(body) == pairs
    assert len(pairs) > 5


def test_an_interface_that_is_not_there_or_has_no_frames_is_an_error(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    near.shell("ip", "tuntap", "add", "tun5", "mode", "tun")

    def body() -> None:
        with pytest.raises(UsageError, match="no interface 'wlan7'; there are lo, tun5, veth0"):
            meshlens.interfaces(["veth0", "wlan7"]).__enter__()
        with pytest.raises(NotSupported, match=r"tun5 carries no Ethernet frames \(ARPHRD 65534"):
            meshlens.interfaces(["veth0", "tun5"]).__enter__()
        assert attached(near.ifindex) == []
        with meshlens.interfaces() as session:
            assert {each.name for each in session.interfaces()} == {"lo", "veth0"}

    near.run(body)


def test_it_may_be_read_from_another_thread_in_another_namespace(netns_pair: NetNsPair) -> None:
    with closing(netns_pair.far.run(lambda: meshlens.interfaces("veth*").__enter__())) as session:
        waiter = threading.Thread(target=session.wait, args=(30,))
        waiter.start()
        netns_pair.near.send(*FRAMES)
        assert after(session, len(FRAMES)).traffic[0] == expected(FRAMES)
        assert only(session).drops
        assert {(each.interface, each.direction) for each in session.costs()} == {
            ("veth0", "in"), ("veth0", "out"),
        }  # fmt: skip
        assert all(each.memory_bytes > 4096 and each.instructions > 100 for each in session.costs())
    waiter.join(5)
    assert not waiter.is_alive()
