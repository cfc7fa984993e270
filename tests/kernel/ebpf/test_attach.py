"""Attached programs see the frames of their hook and leave others alone; when over, nothing is left."""

# What is attached reads better apart from what is loaded:
# ruff: noqa: SIM117

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from meshlens.ebpf import (
    Asm,
    AttachType,
    BpfError,
    Link,
    Program,
    ProgramSpec,
    ProgramType,
    Side,
    attach_btf_tracepoint,
    attach_clsact,
    attach_raw_tracepoint,
    attach_socket,
    attach_tc,
    attach_tcx,
    attach_xdp,
    attached,
    clsact,
    sweep,
)  # fmt: skip
from meshlens.ebpf.netlink import RtNetlink
from meshlens.errors import MeshlensError, NotSupported
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.ebpf.counting import FRAME, counter, hits

pytestmark = [pytest.mark.root, pytest.mark.kernel]

Attach = Callable[[Program, int, Side], Link]
TC: list[Attach] = [attach_tcx, attach_clsact, attach_tc]


@pytest.mark.parametrize("attach", TC)
def test_tc_counts_what_goes_in_and_what_goes_out(attach: Attach, netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    with counter(ProgramType.SCHED_CLS).load() as sent, counter(ProgramType.SCHED_CLS).load() as received:
        out = near.run(lambda: attach(sent, near.ifindex, "egress"))
        into = near.run(lambda: attach(received, near.ifindex, "ingress"))
        near.send(*[FRAME] * 5)
        far.send(*[FRAME] * 3)
        assert wait_for(lambda: (hits(sent), hits(received)), (5, 3))
        out.close()
        into.close()
        near.send(FRAME)
        far.send(FRAME)
        time.sleep(0.05)
        assert (hits(sent), hits(received)) == (5, 3)
    assert near.run(lambda: attached(near.ifindex)) == []
    assert "clsact" not in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout


@pytest.mark.parametrize("mode", ["native", "generic", "auto"])
def test_xdp_counts_what_goes_in_in_the_mode_asked_for(mode, netns_pair: NetNsPair) -> None:  # type: ignore[no-untyped-def]
    near, far = netns_pair
    with counter(ProgramType.XDP).load() as program:
        with near.run(lambda: attach_xdp(program, near.ifindex, mode)) as link:
            [found] = near.run(lambda: attached(near.ifindex))
            assert found.hook == "xdp"
            assert found.mode == ("generic" if mode == "generic" else "native")
            assert found.program_id == program.info().id
            assert found.link_id == link.info().id
            assert found.mode in link.hook
            far.send(*[FRAME] * 4)
            near.send(FRAME)
            assert wait_for(lambda: hits(program), 4)
        far.send(FRAME)
        time.sleep(0.05)
        assert hits(program) == 4


def test_xdp_auto_takes_generic_where_the_driver_has_none(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    index = near.run(lambda: socket.if_nametoindex("lo"))
    with counter(ProgramType.XDP).load() as program:
        with pytest.raises(NotSupported, match=r"lo \(xdp native\).*generic"):
            near.run(lambda: attach_xdp(program, index, "native"))
        with near.run(lambda: attach_xdp(program, index)) as link:
            assert link.hook == "xdp generic"


def test_a_foreign_xdp_program_stays(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    with counter(ProgramType.XDP).load() as first, counter(ProgramType.XDP).load() as second:
        with near.run(lambda: attach_xdp(first, near.ifindex)):
            for mode in ("auto", "native", "generic"):
                with pytest.raises(MeshlensError, match="another program is there"):
                    near.run(lambda: attach_xdp(second, near.ifindex, mode))  # noqa: B023
            [found] = near.run(lambda: attached(near.ifindex))
            assert found.program_id == first.info().id


@pytest.mark.parametrize("attach", [attach_tcx, attach_clsact])
def test_programs_of_others_run_on_before_and_after_ours(attach: Attach, netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    spec = counter(ProgramType.SCHED_CLS)
    with spec.load() as foreign, spec.load() as ours, spec.load() as ours_too:
        with near.run(lambda: foreign_filter(foreign, near)):
            one = near.run(lambda: attach(ours, near.ifindex, "ingress"))
            two = near.run(lambda: attach(ours_too, near.ifindex, "ingress"))
            far.send(FRAME)
            assert wait_for(lambda: [hits(p) for p in (foreign, ours, ours_too)], [1, 1, 1])
            one.close()
            far.send(FRAME)
            assert wait_for(lambda: [hits(p) for p in (foreign, ours, ours_too)], [2, 1, 2])
            two.detach()
            far.send(FRAME)
            assert wait_for(lambda: [hits(p) for p in (foreign, ours, ours_too)], [3, 1, 2])
            [left] = near.run(lambda: attached(near.ifindex))
            assert left.program_id == foreign.info().id


def test_tc_falls_back_to_clsact_without_tcx(netns_pair: NetNsPair, monkeypatch: pytest.MonkeyPatch) -> None:
    near = netns_pair.near
    monkeypatch.setattr("meshlens.ebpf.attach.has_tcx", lambda: False)
    with counter(ProgramType.SCHED_CLS).load() as program:
        with near.run(lambda: attach_tc(program, near.ifindex, "egress")) as link:
            assert link.hook == "clsact egress"
            near.send(FRAME)
            assert wait_for(lambda: hits(program), 1)
        with pytest.raises(NotSupported, match=r"tcx egress.*use clsact"):
            near.run(lambda: attach_tcx(program, near.ifindex, "egress"))


def foreign_filter(program: Program, ns: NetNs) -> Link:
    """As if made by another tool: priority 7, handle 1, a name of its own."""
    netlink = RtNetlink()
    clsact._make_qdisc(netlink, ns.ifindex)
    wanted = clsact.Filter(ns.ifindex, "ingress", 7, 1, "foreign", 0)
    clsact._put(netlink, wanted, program.fileno(), 0x600)
    found = clsact.filters(netlink, ns.ifindex, "ingress")
    assert [one.owner for one in found] == [None]
    from meshlens.ebpf.link import ClsactLink

    return ClsactLink(netlink, program, found[0])


def test_an_ended_chain_does_not_hide_frames_from_ours(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    ends = counter(ProgramType.SCHED_CLS, verdict=0)  # TC_ACT_OK: nobody after it runs
    with ends.load() as foreign, counter(ProgramType.SCHED_CLS).load() as ours:
        with (
            near.run(lambda: attach_tcx(foreign, near.ifindex, "ingress")),
            near.run(lambda: attach_tcx(ours, near.ifindex, "ingress")),
        ):
            order = [one.program_id for one in near.run(lambda: attached(near.ifindex))]
            assert order == [ours.info().id, foreign.info().id]
            far.send(FRAME)
            assert wait_for(lambda: (hits(ours), hits(foreign)), (1, 1))


def test_an_ingress_qdisc_is_used_for_ingress_and_not_mistaken_for_egress(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    near.shell("tc", "qdisc", "add", "dev", "veth0", "ingress")
    with counter(ProgramType.SCHED_CLS).load() as program:
        with near.run(lambda: attach_clsact(program, near.ifindex, "ingress")):
            far.send(FRAME)
            assert wait_for(lambda: hits(program), 1)
            assert [one.side for one in near.run(lambda: attached(near.ifindex))] == ["ingress"]
            with pytest.raises(MeshlensError, match="an ingress qdisc has the place of clsact"):
                near.run(lambda: attach_clsact(program, near.ifindex, "egress"))
    assert "ingress" in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout, "a foreign qdisc stays"


def test_a_priority_taken_by_another_kind_of_filter_is_stepped_over(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    near.shell("tc", "qdisc", "add", "dev", "veth0", "clsact")
    taken = f"tc filter add dev veth0 ingress pref {clsact.PRIORITY} protocol ip u32 match u32 0 0"
    near.shell(*taken.split())
    with counter(ProgramType.SCHED_CLS).load() as program:
        with near.run(lambda: attach_clsact(program, near.ifindex, "ingress")) as link:
            assert link.filter.priority == clsact.PRIORITY + 1


def test_a_filter_that_is_refused_leaves_no_qdisc(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    with counter(ProgramType.XDP).load() as program, pytest.raises(BpfError, match="clsact ingress"):
        near.run(lambda: attach_clsact(program, near.ifindex, "ingress"))
    assert "clsact" not in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout


@pytest.mark.parametrize("attach", ["attach_tcx", "attach_clsact", "attach_xdp"])
def test_a_killed_process_leaves_nothing_attached(attach: str, netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    script = f"""
import time
from meshlens.ebpf import {attach}, ProgramType
from tests.kernel.ebpf.counting import counter
kind = ProgramType.XDP if {attach!r} == "attach_xdp" else ProgramType.SCHED_CLS
program = counter(kind).load()
link = {attach}(program, {near.ifindex}, *(() if kind == ProgramType.XDP else ("egress",)))
print("attached", flush=True)
time.sleep(60)
"""
    command = ["ip", "netns", "exec", near.name, sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        assert len(near.run(lambda: attached(near.ifindex))) == 1
        assert near.run(lambda: sweep(near.ifindex)) == [], "its process is alive"
        process.send_signal(signal.SIGKILL)
    if attach == "attach_clsact":
        assert len(near.run(lambda: sweep(near.ifindex))) == 1
        assert "clsact" not in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout
    assert wait_for(lambda: near.run(lambda: attached(near.ifindex)), [])


def test_a_sweep_leaves_others_alone(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    with counter(ProgramType.SCHED_CLS).load() as program:
        with near.run(lambda: foreign_filter(program, near)):
            assert near.run(lambda: sweep(near.ifindex)) == []
            assert len(near.run(lambda: attached(near.ifindex))) == 1
    assert "clsact" in near.shell("tc", "qdisc", "show", "dev", "veth0").stdout, "a foreign qdisc stays"


def test_a_socket_filter_sees_both_directions_and_passes_on_what_it_returns(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    with counter(ProgramType.SOCKET_FILTER, verdict=20).load() as program:
        with near.run(lambda: attach_socket(program, near.ifindex)) as link:
            near.send(FRAME)
            far.send(FRAME, FRAME)
            assert wait_for(lambda: hits(program), 3)
            link.socket.settimeout(2)
            assert [link.socket.recv(2000) for _ in range(3)] == [FRAME[:20]] * 3
            with pytest.raises(NotSupported, match="socket"):
                link.pin("/sys/fs/bpf/x")
        far.send(FRAME)
        time.sleep(0.05)
        assert hits(program) == 3


def test_a_given_socket_loses_its_filter_and_stays_open() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a = Asm()
    a.ret(3)
    with left, right, ProgramSpec("cut", ProgramType.SOCKET_FILTER, a).load() as program:
        with attach_socket(program, right):
            left.send(b"abcdef")
            assert right.recv(100) == b"abc"
        left.send(b"abcdef")
        assert right.recv(100) == b"abcdef"


@pytest.mark.parametrize("btf", [False, True])
def test_tracepoints_count_what_the_kernel_passes(btf: bool) -> None:
    a = Asm()
    from meshlens.ebpf import R1, R2, MapSpec, MapType

    a.map_value(R1, "hits")
    a.mov(R2, 1)
    a.atomic_add(R1, 0, R2, 8)
    a.ret(0)
    maps = {"hits": MapSpec("hits", MapType.ARRAY, 4, 8, 1)}
    if btf:
        spec = ProgramSpec(
            "exec", ProgramType.TRACING, a, maps=maps,
            expected_attach_type=AttachType.TRACE_RAW_TP, attach_to="sched_process_exec",
        )  # fmt: skip
    else:
        spec = ProgramSpec("exec", ProgramType.RAW_TRACEPOINT, a, maps=maps)
    with spec.load() as program:
        link = attach_btf_tracepoint(program) if btf else attach_raw_tracepoint(program, "sched_process_exec")
        with link:
            if not btf:
                assert link.info().tracepoint == "sched_process_exec"
            subprocess.run(["true"], check=True)
            assert hits(program) >= 1
        before = hits(program)
        subprocess.run(["true"], check=True)
        assert hits(program) == before


def test_an_unknown_tracepoint_is_named() -> None:
    a = Asm()
    a.ret(0)
    with ProgramSpec("p", ProgramType.RAW_TRACEPOINT, a).load() as program:
        with pytest.raises(MeshlensError, match="no tracepoint 'no_such_thing'"):
            attach_raw_tracepoint(program, "no_such_thing")
    spec = ProgramSpec(
        "p", ProgramType.TRACING, a, expected_attach_type=AttachType.TRACE_RAW_TP, attach_to="no_such_thing"
    )
    with pytest.raises(NotSupported, match="no_such_thing"):
        spec.load()


@pytest.mark.parametrize("attach", TC)
def test_no_such_interface_is_said(attach: Attach) -> None:
    with (
        counter(ProgramType.SCHED_CLS).load() as program,
        pytest.raises(MeshlensError, match="no such interface"),
    ):
        attach(program, 99999, "ingress")


def test_no_such_interface_is_said_for_xdp_and_queries_too() -> None:
    with (
        counter(ProgramType.XDP).load() as program,
        pytest.raises(MeshlensError, match="interface number 99999"),
    ):
        attach_xdp(program, 99999)
    with pytest.raises(MeshlensError, match="no interface number 99999"):
        attached(99999)


def test_an_interface_that_goes_takes_its_programs_along(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    spec = counter(ProgramType.SCHED_CLS)
    with spec.load() as one, spec.load() as two:
        links = [
            near.run(lambda: attach_tcx(one, near.ifindex, "ingress")),
            near.run(lambda: attach_clsact(two, near.ifindex, "ingress")),
        ]
        near.shell("ip", "link", "del", "veth0")
        for link in links:
            link.detach()
            link.detach()


def wait_for(value: Callable[[], object], expected: object) -> bool:
    """Whether value() becomes `expected` within two seconds."""
    deadline = time.monotonic() + 2
    while (now := value()) != expected:
        if time.monotonic() > deadline:
            print(f"{now!r} instead of {expected!r}")
            return False
        time.sleep(0.01)
    return True
