"""What is attached follows the interfaces, whatever fails on the way. Kernel and interfaces are played."""

import logging
from dataclasses import replace

import pytest

from meshlens.errors import MeshlensError, NotSupported, PermissionDenied
from meshlens.probes import following
from meshlens.probes.attach import Attachment
from meshlens.probes.count import coverage
from meshlens.probes.count.coverage import Coverage
from meshlens.probes.count.plan import CounterPlan
from meshlens.probes.count.readout import Layout, Totals
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction

PLAN = CounterPlan("auto", Layout(("all",), ((0,),)), {})


class Played:
    """Interfaces that are there, hooks that refuse, and what is attached now."""

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.refused: dict[tuple[str, Direction], MeshlensError] = {}
        self.attached: list[PlayedAttachment] = []

    def add(self, index: int, name: str, *, up: bool = True, hardware: int = 1) -> None:
        self.interfaces.append(Interface(index, name, f"02:00:00:00:00:{index:02x}", hardware, up))

    def attach(self, plan: CounterPlan, interface: Interface, direction: Direction) -> "PlayedAttachment":
        if error := self.refused.get((interface.name, direction)):
            raise error
        self.attached.append(PlayedAttachment(self, interface, direction))
        return self.attached[-1]

    @property
    def where(self) -> list[tuple[int, Direction]]:
        return [(each.ifindex, each.direction) for each in self.attached]


class PlayedAttachment(Attachment):
    """Counts frames of 60 bytes when told to."""

    def __init__(self, played: Played, interface: Interface, direction: Direction) -> None:
        self.played, self.ifindex, self.direction, self.layout = (
            played,
            interface.index,
            direction,
            PLAN.layout,
        )
        self.frames = 0

    def read(self) -> Totals:
        return Totals([(self.frames, 60 * self.frames)], {})

    def close(self) -> Totals:
        self.played.attached.remove(self)
        return self.read()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    monkeypatch.setattr(following, "list_interfaces", lambda: list(played.interfaces))
    monkeypatch.setattr(coverage, "attach_counter", played.attach)
    return played


def covering(*names: str) -> Coverage:
    return Coverage(names, ("in", "out"), lambda interface: PLAN)


def packets(covered: Coverage) -> dict[tuple[str, str | None], int]:
    return {(each.interface, each.direction): each.packets for each in covered.sums().counts(["all"])}


def test_if_one_direction_is_refused_the_other_is_let_go(played: Played) -> None:
    played.add(3, "wlan0")
    played.refused["wlan0", "out"] = NotSupported("no")
    with pytest.raises(NotSupported, match="no"):
        covering("wlan0").start()
    assert played.attached == []


def test_what_a_glob_found_and_cannot_be_counted_is_told_once_and_the_rest_goes_on(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    played.add(3, "wlan0")
    played.add(4, "wlan1")
    played.refused["wlan0", "in"] = NotSupported("its driver has no XDP")
    covered = covering("wlan*")
    covered.start()
    covered.follow()
    assert played.where == [(4, "in"), (4, "out")]
    assert [each.getMessage() for each in caplog.records] == ["wlan0 is not counted: its driver has no XDP"]


def test_an_interface_that_was_refused_is_tried_again_when_it_changed(played: Played) -> None:
    played.add(3, "wlan0")
    played.add(4, "wlan1")
    played.refused["wlan0", "in"] = NotSupported("no")
    covered = covering("wlan*")
    covered.start()
    played.refused.clear()
    played.interfaces[0] = replace(played.interfaces[0], up=False)
    covered.follow()
    assert (3, "in") in played.where


def test_if_nothing_at_all_can_be_counted_the_first_reason_is_the_error(played: Played) -> None:
    played.add(3, "wlan0")
    played.add(4, "wlan1")
    played.refused["wlan0", "in"] = NotSupported("first")
    played.refused["wlan1", "in"] = NotSupported("second")
    with pytest.raises(NotSupported, match="first"):
        covering().start()


def test_without_the_privilege_no_further_interface_is_tried(played: Played) -> None:
    played.add(3, "wlan0")
    played.add(4, "wlan1")
    played.refused["wlan0", "in"] = PermissionDenied("run as root")
    with pytest.raises(PermissionDenied, match="run as root"):
        covering().start()


def test_one_that_vanishes_while_it_is_attached_to_needs_no_word(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    covered = covering("wlan*")
    covered.start()
    played.add(3, "wlan0")
    played.refused["wlan0", "in"] = MeshlensError("no such interface")
    shown = list(played.interfaces)
    played_lists = iter([shown, []])

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(following, "list_interfaces", lambda: next(played_lists))
        covered.follow()
    assert caplog.records == []


def test_two_interfaces_that_swap_their_names_swap_their_counts(played: Played) -> None:
    played.add(3, "east")
    played.add(4, "west")
    covered = covering("*")
    covered.start()
    for each in played.attached:
        each.frames = each.ifindex
    played.interfaces = [replace(each, name={3: "west", 4: "east"}[each.index]) for each in played.interfaces]
    covered.follow()
    for each in played.attached:
        each.frames += 10 * each.ifindex
    expected = {"east": 3 + 40, "west": 4 + 30}
    assert packets(covered) == {(name, way): expected[name] for name in expected for way in ("in", "out")}
    covered.stop()
    assert packets(covered) == {(name, way): expected[name] for name in expected for way in ("in", "out")}
    assert played.attached == []


def test_an_interface_that_is_down_is_left_out_unless_it_was_named(played: Played) -> None:
    played.add(3, "wlan0", up=False)
    covered = covering()
    covered.start()
    assert played.where == []
    named = covering("wlan0")
    named.start()
    assert played.where == [(3, "in"), (3, "out")]


def test_one_that_goes_down_stays_counted(played: Played) -> None:
    played.add(3, "wlan0")
    covered = covering()
    covered.start()
    played.interfaces[0] = replace(played.interfaces[0], up=False)
    covered.follow()
    assert played.where == [(3, "in"), (3, "out")]


def test_what_carries_no_frames_we_can_read_is_passed_over(played: Played) -> None:
    played.add(3, "tun0", hardware=65534)
    covered = covering()
    covered.start()
    covered.follow()
    assert played.where == []
