"""What a model sees of stations by their packets, in other kernels: the rows of the definition."""

from tests.vm.conftest import VirtualMachine


def test_the_rows_of_stations_are_those_of_the_definition(vm: VirtualMachine) -> None:
    answer = vm.ask("ethernet_rows")
    assert answer["right"] == answer["stations"] == answer["rows"] == 4
    assert answer["full"] > 0
    assert answer["verified"] < 300_000
