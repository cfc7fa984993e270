"""What a model sees of flows, in other kernels: the rows of the definition."""

from tests.vm.conftest import VirtualMachine


def test_the_rows_of_flows_are_those_of_the_definition(vm: VirtualMachine) -> None:
    answer = vm.ask("flow_rows")
    assert answer["rows"] == answer["right"] == answer["flows"] > 80
    assert answer["verified"] < 250_000
