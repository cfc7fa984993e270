"""Pins on kernels without TCX, where filters outlive their process by themselves; pins that fail half-way.

TCX is hidden from the code under test: this kernel may have it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from meshlens.ebpf import ProgramType, attach_clsact
from meshlens.ebpf.link import BpfLink, ClsactLink
from meshlens.ebpf.query import attached
from meshlens.errors import MeshlensError, NotSupported
from meshlens.filters.lists import parse_list
from meshlens.probes import attach
from meshlens.probes.count import pins
from meshlens.probes.count.pinned import open_pin, pin_names
from meshlens.probes.count.pins import detach_pin, pin_counters
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.ebpf.counting import FRAME, counter, hits

pytestmark = pytest.mark.root

FILTERS = parse_list("ours;ether proto 0x88b5\narp;arp\n")


@pytest.fixture
def no_tcx(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotSupported("no TCX, says the test")

    monkeypatch.setattr(attach, "attach_tcx", refuse)


def pin_in(ns: NetNs, name: str = "here") -> None:
    """As a process of its own would: nothing but the pins is left of it."""
    ns.run(lambda: pin_counters(name, FILTERS, [ns.ifname]))


def counted(name: str = "here") -> dict[str, int]:
    with open_pin(name) as pinned:
        snapshot = pinned.read()
    return {f"{each.filter} {each.direction}": each.packets for each in snapshot.counts}


def test_clsact_filters_count_on_without_us(netns_pair: NetNsPair, own_bpffs: Path, no_tcx: None) -> None:
    near, far = netns_pair
    pin_in(near)
    hooks = [each.hook for each in near.run(lambda: attached(near.ifindex))]
    assert hooks == ["clsact", "clsact"]
    near.send(FRAME, FRAME)
    far.send(FRAME)
    assert counted() == {"ours in": 1, "arp in": 0, "ours out": 2, "arp out": 0}
    near.run(lambda: detach_pin("here"))
    assert near.run(lambda: attached(near.ifindex)) == []
    assert "clsact" not in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout
    assert pin_names() == []


def test_others_at_clsact_stay(netns_pair: NetNsPair, own_bpffs: Path, no_tcx: None) -> None:
    near = netns_pair.near
    foreign = counter(ProgramType.SCHED_CLS, "foreign").load()
    link = near.run(lambda: attach_clsact(foreign, near.ifindex, "egress"))
    pin_in(near, "one")
    pin_in(near, "two")
    near.send(FRAME)
    assert hits(foreign) == 1
    near.run(lambda: detach_pin("one"))
    near.send(FRAME)
    assert hits(foreign) == 2
    assert counted("two")["ours out"] == 2
    near.run(lambda: detach_pin("two"))
    [left] = near.run(lambda: attached(near.ifindex))
    assert left.program_id == foreign.info().id
    link.close()


def test_the_next_start_leaves_a_pin_alone(netns_pair: NetNsPair, own_bpffs: Path, no_tcx: None) -> None:
    near = netns_pair.near
    pin_in(near, "one")
    pin_in(near, "two")  # sweeps what killed processes left
    near.send(FRAME)
    assert [counted(name)["ours out"] for name in ("one", "two")] == [1, 1]
    for name in ("one", "two"):
        near.run(lambda name=name: detach_pin(name))  # type: ignore[misc]


def test_detaching_from_another_namespace_is_refused_while_that_one_lives(
    netns_pair: NetNsPair, own_bpffs: Path, no_tcx: None
) -> None:
    near, far = netns_pair
    pin_in(near)
    with pytest.raises(MeshlensError, match="veth0 is in another network namespace"):
        far.run(lambda: detach_pin("here"))
    assert len(near.run(lambda: attached(near.ifindex))) == 2
    near.shell("ip", "link", "del", "veth0")
    near.run(lambda: detach_pin("here"))
    assert pin_names() == []


@pytest.fixture(params=["tcx", "clsact"])
def hook(request: pytest.FixtureRequest) -> str:
    if request.param == "clsact":
        request.getfixturevalue("no_tcx")
    return str(request.param)


def fail(*_: object) -> None:
    raise MeshlensError("refused, says the test")


@pytest.mark.parametrize("where", ["first link", "second link", "manifest"])
def test_a_pin_that_fails_half_way_leaves_nothing(
    netns_pair: NetNsPair, own_bpffs: Path, hook: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = netns_pair.near
    if where == "manifest":
        monkeypatch.setattr(pins, "_pin_manifest", fail)
    else:
        for kind in (BpfLink, ClsactLink):
            monkeypatch.setattr(kind, "pin", failing_at(1 if where == "first link" else 2, kind.pin))
    with pytest.raises(MeshlensError, match="says the test"):
        pin_in(near)
    assert near.run(lambda: attached(near.ifindex)) == []
    assert list(own_bpffs.iterdir()) == []


def failing_at(number: int, pin: Callable[..., None]) -> Callable[..., None]:
    calls = iter(range(1, 100))

    def pin_or_fail(self: object, path: str) -> None:
        if next(calls) == number:
            fail()
        pin(self, path)

    return pin_or_fail
