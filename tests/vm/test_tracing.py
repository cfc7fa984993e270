"""Probes of each kind read what is known of the functions that they are on, of kernel and modules alike."""

import pytest

from tests.vm.conftest import VirtualMachine

# The kernel's own functions to test with: first argument, number of arguments, result (net/bpf/test_run.c).
OWN = {1: (1, 1, 2), 2: (2, 2, 5), 3: (4, 3, 15), 4: (7, 4, 34), 5: (11, 5, 65), 6: (16, 6, 111)}


@pytest.mark.parametrize("number", OWN)
def test_arguments_and_results_are_those_of_the_kernel_s_own_test(vm: VirtualMachine, number: int) -> None:
    first, count, result = OWN[number]
    arguments = list(range(first, first + count))
    assert vm.ask("tracing")["known"][f"bpf_fentry_test{number}"] == {
        "fentry": [1, *arguments],
        "fexit": [1, *arguments, result],
        "kprobe": [1, *arguments],
        "kretprobe": [1, result],
    }


@pytest.mark.parametrize("hook", ["fentry", "kprobe"])
def test_bit_fields_names_and_bytes_behind_pointers_are_the_frames(vm: VirtualMachine, hook: str) -> None:
    seen = vm.ask("tracing")["frames"][hook]
    receptions = [0, 1, 2, 3]  # skb->pkt_type: to the host, broadcast, multicast, to another host
    assert seen == [[1, kind, 86, 0x88B5, 1500, True, True, True] for kind in receptions]


def test_a_module_s_function_is_seen_as_often_as_it_runs(vm: VirtualMachine) -> None:
    sent, device, transmitted = 5, 0, 0  # the device by its distance from the right one; NETDEV_TX_OK
    assert vm.ask("tracing")["module"] == {
        "fentry": [sent, device],
        "fexit": [sent, device, transmitted],
        "kprobe": [sent, device],
        "kretprobe": [sent, transmitted],
    }


def test_a_kprobe_is_attached_and_detached_where_its_event_is_no_link(vm: VirtualMachine) -> None:
    assert vm.ask("tracing")["before 5.15"] == 1


def test_a_module_s_constants_are_known(vm: VirtualMachine) -> None:
    assert vm.ask("tracing")["constant"] == 0x40  # BATADV_UNICAST


def test_what_this_kernel_does_not_have_is_named(vm: VirtualMachine) -> None:
    fields, function = vm.ask("tracing")["missing"]
    assert (
        "struct net_device has no field 'no_such_field'; batadv_interface_tx(no_such_argument): the" in fields
    )
    assert function == "this kernel has no function no_such_function (inlined, renamed or not built)"
