"""Interfaces that come, go, are renamed and come back are followed; counts stay with the name."""

import subprocess

import pytest

from meshlens.ebpf import run_statistics
from meshlens.ebpf.query import attached
from meshlens.errors import UsageError
from meshlens.filters.lists import parse_list
from meshlens.probes.count.session import CountSession, count
from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import FRAMES, MTU, NOTHING, counts, filters, missed, send, truth

pytestmark = pytest.mark.root

SOME = FRAMES[:100]


def add(pair: NetNsPair, name: str, address: str = "02:00:00:00:00:77") -> None:
    """A further veth pair between the namespaces, of this name on both sides."""
    subprocess.run(
        ["ip", "-n", pair.near.name, "link", "add", name, "address", address, "mtu", str(MTU),
         "type", "veth", "peer", "name", name, "mtu", str(MTU), "netns", pair.far.name],
        check=True,
    )  # fmt: skip
    for ns in pair:
        ns.shell("ip", "link", "set", name, "up")


def settle(session: CountSession, *interfaces: str) -> None:
    """Follow until exactly these interfaces are counted."""
    for _ in range(100):
        session.wait(0.05)
        if {each.interface for each in session.attachments} == set(interfaces):
            return
    raise AssertionError([each.interface for each in session.attachments])


def test_an_interface_that_comes_later_is_counted_if_its_name_fits(mesh: NetNsPair) -> None:
    def body() -> None:
        with count(filters(), ["mesh*"]) as session:
            assert session.attachments == []
            add(mesh, "mesh3")
            add(mesh, "other")
            settle(session, "mesh3")
            send(mesh.far, SOME, "mesh3")
            send(mesh.far, SOME, "other")
        assert counts(session.snapshot(), "in", "mesh3") == truth(SOME)
        assert {each.interface for each in session.snapshot().counts} == {"mesh3"}

    mesh.near.run(body)


def test_without_names_all_that_are_up_are_counted_from_when_they_are_up(mesh: NetNsPair) -> None:
    def body() -> None:
        add(mesh, "late")
        mesh.near.shell("ip", "link", "set", "late", "down")
        with count(filters()) as session:
            assert {each.interface for each in session.attachments} == {"lo", "veth0"}
            mesh.near.shell("ip", "link", "set", "late", "up")
            settle(session, "lo", "veth0", "late")
            send(mesh.far, SOME, "late")
            mesh.near.shell("ip", "link", "set", "late", "down")
            session.wait(0.2)
        assert counts(session.snapshot(), "in", "late") == truth(SOME)

    mesh.near.run(body)


@pytest.mark.parametrize("mode", ["auto", "xdp", "socket"])
def test_counts_go_on_when_an_interface_comes_back(mesh: NetNsPair, mode: str) -> None:
    def body() -> None:
        add(mesh, "mesh3")
        with count(filters(), "mesh*", attach=mode) as session:  # type: ignore[arg-type]
            send(mesh.far, SOME, "mesh3")
            mesh.near.shell("ip", "link", "del", "mesh3")
            settle(session)
            assert counts(session.snapshot(), "in", "mesh3") == truth(SOME)
            add(mesh, "mesh3", "02:00:00:00:00:78")
            settle(session, "mesh3")
            send(mesh.far, SOME, "mesh3")
            assert counts(session.snapshot(), "in", "mesh3") == truth(SOME, times=2)
        assert counts(session.snapshot(), "in", "mesh3") == truth(SOME, times=2)
        assert missed(session.snapshot()) == 0

    mesh.near.run(body)


def test_frames_counted_before_a_removal_that_nobody_saw_yet_are_not_lost(mesh: NetNsPair) -> None:
    def body() -> None:
        add(mesh, "mesh3")
        with count(filters(), "mesh3") as session:
            send(mesh.far, SOME, "mesh3")
            mesh.near.shell("ip", "link", "del", "mesh3")
            assert counts(session.snapshot(), "in", "mesh3") == truth(SOME)

    mesh.near.run(body)


def test_after_a_rename_frames_count_for_the_new_name(mesh: NetNsPair) -> None:
    def body() -> None:
        add(mesh, "mesh3")
        with count(filters(), "mesh*") as session:
            send(mesh.far, SOME, "mesh3")
            mesh.near.shell("ip", "link", "set", "mesh3", "name", "mesh4")
            session.wait(0.2)
            send(mesh.far, FRAMES[100:250], "mesh3")
            assert counts(session.snapshot(), "in", "mesh3") == truth(SOME)
            assert counts(session.snapshot(), "in", "mesh4") == truth(FRAMES[100:250])
            mesh.near.shell("ip", "link", "set", "mesh4", "name", "elsewhere")
            settle(session)
            send(mesh.far, SOME, "mesh3")
        assert counts(session.snapshot(), "in", "mesh3") == truth(SOME)
        assert counts(session.snapshot(), "in", "mesh4") == truth(FRAMES[100:250])
        assert counts(session.snapshot(), "in", "elsewhere") == {}

    mesh.near.run(body)


def test_each_interface_has_its_own_address_for_mac(mesh: NetNsPair) -> None:
    """$MAC is replaced for each interface, and anew when the address changes."""
    own = parse_list("all;len >= 0\nmine;ether src $MAC\n")

    def frames(*sources: str) -> list[bytes]:
        return [
            b"\xff" * 6 + bytes.fromhex(each.replace(":", "")) + b"\x88\xb5" + bytes(46) for each in sources
        ]

    def body() -> None:
        add(mesh, "mesh1", "02:00:00:00:00:01")
        add(mesh, "mesh2", "02:00:00:00:00:02")
        far = mesh.far
        first, second = (far._replace(ifname=name) for name in ("mesh1", "mesh2"))
        with count(own, ["mesh1", "mesh2"]) as session:
            first.send(*frames("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:01"))
            second.send(*frames("02:00:00:00:00:01", "02:00:00:00:00:02"))
            mesh.near.shell("ip", "link", "set", "mesh2", "address", "02:00:00:00:00:33")
            session.wait(0.3)
            second.send(*frames("02:00:00:00:00:33", "02:00:00:00:00:33", "02:00:00:00:00:02"))
        assert counts(session.snapshot(), "in", "mesh1") == {"all": (3, 180), "mine": (2, 120)}
        assert counts(session.snapshot(), "in", "mesh2") == {"all": (5, 300), "mine": (3, 180)}

    mesh.near.run(body)


def test_a_name_that_is_not_there_is_an_error_and_nothing_stays_attached(mesh: NetNsPair) -> None:
    def body() -> None:
        with pytest.raises(UsageError, match="no interface 'wlan7'; there are lo, veth0"):
            count(filters(), ["veth0", "wlan7"]).__enter__()
        assert attached(mesh.near.ifindex) == []

    mesh.near.run(body)


def test_a_filter_that_cannot_be_compiled_is_an_error_with_its_line_whatever_is_there(
    mesh: NetNsPair,
) -> None:
    wrong = parse_list("all;len >= 0\nwrong;arp or or ip\n", source="my.filters")

    def body() -> None:
        for names in (["veth0"], ["nothing*"], []):
            with pytest.raises(UsageError, match=r"my.filters:2: filter 'wrong': "):
                count(wrong, names).__enter__()
        assert attached(mesh.near.ifindex) == []

    mesh.near.run(body)


def test_an_interface_of_another_kind_is_refused_by_name_and_passed_over_by_glob(mesh: NetNsPair) -> None:
    def body() -> None:
        mesh.near.shell("ip", "tuntap", "add", "tun5", "mode", "tun")
        with pytest.raises(Exception, match=r"tun5 carries neither Ethernet nor 802.11 frames"):
            count(filters(), "tun5").__enter__()
        with count(filters(), ["tun*", "veth*"]) as session:
            assert {each.interface for each in session.attachments} == {"veth0"}

    mesh.near.run(body)


def test_an_interface_that_counts_nothing_is_listed_with_zeros(mesh: NetNsPair) -> None:
    def body() -> None:
        with count(filters(), "veth0") as session:
            pass
        assert counts(session.snapshot(), "in") == counts(session.snapshot(), "out") == NOTHING

    mesh.near.run(body)


def test_costs_are_told_for_each_program_under_the_name_that_its_interface_has_now(mesh: NetNsPair) -> None:
    def body() -> None:
        add(mesh, "mesh3")
        with count(filters(), ["mesh*"]) as session, run_statistics():
            send(mesh.far, SOME, "mesh3")
            mesh.near.shell("ip", "link", "set", "mesh3", "name", "mesh4")
            session.wait(0.2)
            costs = session.costs()
            assert [(each.probe, each.interface, each.direction) for each in costs] == [
                ("count", "mesh4", "in"), ("count", "mesh4", "out"),
            ]  # fmt: skip
            assert costs[0].run_count == len(SOME)
            assert costs[0].run_time_ns > 0
            assert all(each.instructions > 0 and each.memory_bytes > 0 for each in costs)
        assert session.costs() == []

    mesh.near.run(body)
