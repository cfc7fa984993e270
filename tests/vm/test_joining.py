"""Stations that join a network, in kernels that distributions have: the loop over elements is accepted."""

from tests.vm.conftest import VirtualMachine


def test_the_rows_of_joining_stations_are_those_of_the_definition(vm: VirtualMachine) -> None:
    told = vm.ask("joining")
    assert told["different"] == []
    assert told["stations"] > 20


def test_the_verifier_needs_a_tenth_of_what_it_may_go_through(vm: VirtualMachine) -> None:
    assert vm.ask("joining")["verified"] < 100_000


def test_on_the_air_stations_get_the_rows_and_verdicts_that_their_frames_give_in_a_file(
    vm: VirtualMachine,
) -> None:
    told = vm.ask("joining")
    assert told["same_rows"]
    assert told["live"] == told["file"]
    assert {"handheld", "tv"} <= set(told["live"].values())
