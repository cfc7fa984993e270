"""What the kernel holds is listed as it is; statistics count runs while they are on."""

# What is attached reads better apart from what is loaded:
# ruff: noqa: SIM117

import os
import struct

import pytest

from meshlens.ebpf import (
    R1,
    R2,
    R3,
    Asm,
    AttachType,
    Feature,
    Helper,
    LinkType,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    Xdp,
    attach_clsact,
    attach_tcx,
    attach_xdp,
    attached,
    has_tcx,
    iter_links,
    iter_maps,
    iter_programs,
    pack_context,
    program_by_id,
    run_statistics,
)  # fmt: skip
from meshlens.ebpf.features import features
from tests.kernel.conftest import NetNsPair
from tests.kernel.ebpf.counting import FRAME, counter, hits

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def test_loaded_programs_and_their_maps_are_listed_and_gone_when_closed() -> None:
    with counter(ProgramType.XDP, "listed").load() as program:
        info = program.info()
        assert info in list(iter_programs())
        assert program_by_id(info.id) == info
        assert program.maps["hits"].info() in list(iter_maps())
    assert program_by_id(info.id) is None
    assert info.id not in [one.id for one in iter_programs()]


def test_every_hook_of_an_interface_is_listed_with_program_and_link(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    skb, xdp = counter(ProgramType.SCHED_CLS), counter(ProgramType.XDP)
    with skb.load() as one, skb.load() as two, xdp.load() as three:
        with (
            near.run(lambda: attach_tcx(one, near.ifindex, "ingress")) as first,
            near.run(lambda: attach_clsact(two, near.ifindex, "egress")) as second,
            near.run(lambda: attach_xdp(three, near.ifindex, "generic")) as third,
        ):
            found = near.run(lambda: attached(near.ifindex))
            assert [(a.hook, a.side, a.mode, a.program_id, a.link_id) for a in found] == [
                ("xdp", "ingress", "generic", three.info().id, third.info().id),
                ("tcx", "ingress", "", one.info().id, first.info().id),
                ("clsact", "egress", "", two.info().id, 0),
            ]
            assert found[2].filter == second.filter
            assert found[2].filter is not None
            assert f"pid={os.getpid()} " in (found[2].filter.owner or "")
            by_id = {one.id: one for one in iter_links()}
            assert by_id[first.info().id] == first.info()
            assert first.info().type is LinkType.TCX
            assert first.info().attach_type is AttachType.TCX_INGRESS
            assert third.info().ifindex == near.ifindex


def test_tc_the_tool_sees_our_filter_as_we_describe_it(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    with counter(ProgramType.SCHED_CLS).load() as program:
        with near.run(lambda: attach_clsact(program, near.ifindex, "ingress")) as link:
            shown = near.shell("tc", "filter", "show", "dev", "veth0", "ingress").stdout
            assert f"pref {link.filter.priority} bpf" in shown
            assert f"handle {link.filter.handle:#x}" in shown
            assert link.filter.name in shown
            assert "direct-action" in shown
            assert f" id {program.info().id} " in shown


def test_statistics_count_every_run_while_they_are_on() -> None:
    with counter(ProgramType.XDP).load() as program, run_statistics():
        before = program.info()
        program.test_run(FRAME, repeat=1000)
        after = program.info()
        assert after.run_count - before.run_count == 1000
        assert after.run_time_ns > before.run_time_ns


def test_every_feature_is_tried_and_says_why_it_is_missing() -> None:
    tried = features()
    assert len({one.name for one in tried}) == len(tried) > 15
    assert all(one.supported != bool(one.why) for one in tried)
    assert Feature("program: xdp", supported=True, why="") in tried
    assert has_tcx() == next(one.supported for one in tried if one.name == "attach: TCX")
    before = len(list(iter_programs()))
    features()
    assert len(list(iter_programs())) <= before, "probing leaves nothing"


def test_live_frames_go_on_the_wire(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    a = Asm()
    a.field(R1, R1, Xdp.ingress_ifindex)
    a.mov(R2, 0)
    a.call(Helper.redirect, R1, 0)
    a.exit()
    context = pack_context(Xdp, data_end=len(FRAME), ingress_ifindex=near.ifindex)
    with (
        ProgramSpec("source", ProgramType.XDP, a).load() as source,
        counter(ProgramType.XDP).load() as sink,
        counter(ProgramType.XDP, verdict=1).load() as dropped,
        near.run(lambda: attach_xdp(sink, near.ifindex, "native")),
        far.run(lambda: attach_xdp(dropped, far.ifindex, "native")),
    ):
        near.run(lambda: source.test_run(FRAME, ctx=context, repeat=10_000, live_frames=True))
        assert hits(dropped) == 10_000


def test_a_program_array_calls_on() -> None:
    target = Asm()
    target.ret(42)
    caller = Asm()
    caller.map_fd(R2, "next")
    caller.mov(R3, 1)
    caller.call(Helper.tail_call)
    caller.ret(7)
    table = MapSpec("next", MapType.PROG_ARRAY, 4, 4, 2)
    with (
        ProgramSpec("caller", ProgramType.XDP, caller, maps={"next": table}).load() as first,
        ProgramSpec("target", ProgramType.XDP, target).load() as second,
    ):
        assert first.test_run(FRAME).retval == 7
        first.maps["next"].update(1, second.fileno())
        assert first.test_run(FRAME).retval == 42
        assert first.maps["next"].lookup(1) == struct.pack("=I", second.info().id)
        assert first.maps["next"].delete(1)
        assert first.test_run(FRAME).retval == 7


def test_an_unknown_kind_from_a_newer_kernel_has_a_name_too() -> None:
    assert MapType(999).name == "UNKNOWN_999"
    assert int(ProgramType(999)) == 999
    with pytest.raises(ValueError, match="nonsense"):
        MapType("nonsense")  # type: ignore[arg-type]
