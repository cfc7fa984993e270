"""Probes of each kind on functions whose arguments and results are known."""

import contextlib
import errno
import socket
import struct

from meshlens.ebpf import (
    R1,
    R2,
    R6,
    R7,
    MapSpec,
    MapType,
    Program,
    Slot,
    trace_link,
)
from meshlens.ebpf.constants import Command
from meshlens.ebpf.tracing import Hook, KernelTypes, Trace, View, attach_trace, first_of
from meshlens.errors import MeshlensError
from tests.vm.guest.links import alone, answer, send, shell, veth

HOOKS: tuple[Hook, ...] = ("fentry", "fexit", "kprobe", "kretprobe")
# net/bpf/test_run.c runs these when a tracing program is run, with the arguments 1 to 21 in turn.
KERNEL_S_OWN = {f"bpf_fentry_test{number}": number for number in range(1, 7)}


def main() -> None:
    alone()
    shell("modprobe batman-adv")
    types = KernelTypes("batman_adv")
    answer({
        "known": {name: known(types, name, count) for name, count in KERNEL_S_OWN.items()},
        "frames": {hook: frames(types, hook, number) for number, hook in enumerate(HOOKS[::2])},
        "module": {hook: mesh_frames(types, hook, number) for number, hook in enumerate(HOOKS)},
        "constant": types.constant("no_such_thing", "BATADV_UNICAST"),
        "missing": missing(types),
        "before 5.15": before_5_15(types),  # last: nothing can be a link any more
    })  # fmt: skip


def known(types: KernelTypes, name: str, count: int) -> dict[str, list[int]]:
    """What each kind of probe reads at a function of the kernel that is there to be tested with."""
    seen: dict[str, list[int]] = {}
    with contextlib.ExitStack() as stack:
        programs = {}
        for hook in HOOKS:
            a = Trace(hook, types.function(name))
            views = [] if hook == "kretprobe" else [a.argument(number) for number in range(count)]
            views += [a.result()] if a.returns else []
            programs[hook] = stack.enter_context(noting(a, views))
            stack.enter_context(attach_trace(programs[hook]))
        programs["fentry"].test_run(b"")
        for hook, program in programs.items():
            runs, *values = noted(program)
            seen[hook] = [runs, *values]
    return seen


def before_5_15(types: KernelTypes) -> int:
    """Runs of a kprobe that is attached as it was before its events could be links."""

    def refuse(command: Command, attributes: bytearray) -> int:
        raise OSError(errno.EINVAL, "no such link")

    trace_link.bpf = refuse  # type: ignore[attr-defined]
    a = Trace("kprobe", types.function("bpf_fentry_test1"))
    runner = Trace("fentry", types.function("bpf_fentry_test2"))
    runner.ret(0)
    with noting(a, []) as program, runner.program("runner").load() as running:
        with attach_trace(program):
            running.test_run(b"")
        running.test_run(b"")  # no more: it is detached
        return noted(program)[0]


def frames(types: KernelTypes, hook: Hook, number: int) -> list[list[int | str]]:
    """What a probe on the way of received frames sees of each: bit-fields, bytes behind pointers, names."""
    near, far = f"near{number}", f"far{number}"
    veth(near, far)
    mac = bytes.fromhex(shell(f"cat /sys/class/net/{far}/address").strip().replace(":", ""))
    seen: list[list[int | str]] = []
    for destination in (mac, b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("020000000099")):
        a = Trace(hook, types.function("__netif_rx", "netif_rx"))
        skb = a.hold(R7, a.argument("skb"))
        address, name = a.slot(8), a.slot(16)
        a.copy(address, skb.data[-14])
        a.copy(name, skb.dev.name)
        views = [
            skb.pkt_type,
            skb.len,
            skb.protocol,
            skb.dev.ifindex,
            first_of(skb.no_such_field, skb.dev.mtu),
        ]
        with noting(a, views, address, name) as program, attach_trace(program):
            send(near, destination + bytes(6) + b"\x88\xb5" + bytes(86))
            runs, kind, length, protocol, ifindex, mtu, copied, name_1, name_2 = noted(program)
        names = struct.pack("=QQ", name_1, name_2).rstrip(b"\0").decode()
        to = struct.pack("=Q", copied)[:6]
        known = [ifindex == socket.if_nametoindex(far), names == far, to == destination]
        seen.append([runs, kind, length, socket.ntohs(protocol), mtu, *known])
    return seen


def mesh_frames(types: KernelTypes, hook: Hook, number: int) -> list[int]:
    """Calls of batman-adv's transmit function, its device, and what it returned."""
    name = f"bat{number}"
    shell(f"ip link add {name} type batadv && ip link set {name} up")
    a = Trace(hook, types.function("batadv_interface_tx"))
    views = [] if hook == "kretprobe" else [a.argument(1).ifindex]
    views += [a.result()] if a.returns else []
    with noting(a, views) as program, attach_trace(program):
        send(name, *[b"\xff" * 6 + bytes(6) + b"\x88\xb5" + bytes(46)] * 5)
        runs, *values = noted(program)
    index = socket.if_nametoindex(name)
    shell(f"ip link del {name}")
    return [
        runs,
        *(
            value - index if place == 0 and hook != "kretprobe" else value
            for place, value in enumerate(values)
        ),
    ]


def missing(types: KernelTypes) -> list[str]:
    """What is said of fields and functions that there are not."""
    said = []
    for name in ("batadv_interface_tx", "no_such_function"):
        try:
            a = Trace("fentry", types.function(name))
            a.read(R6, a.argument("skb").dev.no_such_field)
            a.read(R6, a.argument("no_such_argument"))
            a.program("probe")
        except MeshlensError as error:
            said.append(str(error))
    return said


def noting(a: Trace, views: list[View], *slots: Slot) -> Program:
    """A program that counts its runs and keeps what the views and slots last held."""
    number = 1

    def keep() -> None:
        nonlocal number
        a.map_value(R1, "noted", 8 * number)
        a.store(R1, 0, R6, 8)
        number += 1

    for view in views:
        a.read(R6, view)
        keep()
    for slot in slots:
        for offset in range(0, slot.size, 8):
            a.get(R6, Slot(slot.offset + offset, 8))
            keep()
    a.map_value(R1, "noted")
    a.mov(R2, 1)
    a.atomic_add(R1, 0, R2, 8)
    a.ret(0)
    return a.program("noting", maps={"noted": MapSpec("noted", MapType.ARRAY, 4, 8 * number, 1)}).load()


def noted(program: Program) -> tuple[int, ...]:
    """The number of runs, and what was kept."""
    value = program.maps["noted"].lookup(bytes(4))
    assert value is not None
    return struct.unpack(f"={len(value) // 8}q", value)


if __name__ == "__main__":
    main()
