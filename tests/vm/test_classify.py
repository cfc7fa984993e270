"""A trained model in other kernels."""

from tests.vm.conftest import VirtualMachine


def test_a_forest_of_16_trees_and_5300_nodes_is_one_program_and_decides_as_the_model_does(
    vm: VirtualMachine,
) -> None:
    answer = vm.ask("classify")
    assert answer["nodes"] > 5300
    assert answer["right"] == answer["rows"]
    (verified,) = answer["verified"]
    assert verified < 200_000
