"""The example of the page on tracing counts what the kernel counts, by fentry and by kprobe."""

from tests.vm.conftest import VirtualMachine


def test_retransmissions_are_those_that_the_kernel_counted(vm: VirtualMachine) -> None:
    answer = vm.ask("example")
    assert answer["hooks"] == ["fentry tcp_retransmit_skb", "kprobe tcp_retransmit_skb"]
    assert answer["counted"] >= 2
    assert answer["told"] == [["10.9.0.2", str(answer["counted"])]] * 2
