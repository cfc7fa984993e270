"""Others on the same interface: they go on working, and we count as if they were not there."""

import pytest

from meshlens.ebpf import ProgramType, XdpMode, attach_clsact, attach_tcx, attach_xdp
from meshlens.ebpf.query import attached
from meshlens.errors import MeshlensError
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.count.session import count
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.count.traffic import FRAMES, counts, filters, missed, send, truth
from tests.kernel.ebpf.counting import FRAME, counter, hits

pytestmark = pytest.mark.root

FOREIGN_FRAMES = 7
TC_ACT_OK = 0  # ends the chain: whoever stands behind counts nothing


def test_two_sessions_side_by_side_count_the_same(mesh: NetNsPair) -> None:
    def body() -> None:
        with count(filters(), "veth0") as first:
            send(mesh.far, FRAMES[:100])
            with count(filters(), "veth0") as second:
                send(mesh.far, FRAMES[100:300])
            send(mesh.far, FRAMES[300:])
        assert counts(first.snapshot(), "in") == truth(FRAMES)
        assert counts(second.snapshot(), "in") == truth(FRAMES[100:300])
        assert missed(first.snapshot()) == missed(second.snapshot()) == 0

    mesh.near.run(body)


@pytest.mark.parametrize("mode", ["auto", "xdp", "xdp-generic", "socket"])
@pytest.mark.parametrize("place", ["tcx", "clsact"])
def test_a_foreign_tc_program_runs_on_even_one_that_ends_the_chain(
    mesh: NetNsPair, place: str, mode: AttachMode
) -> None:
    def body() -> None:
        index = mesh.near.ifindex
        with counter(ProgramType.SCHED_CLS, "foreign", verdict=TC_ACT_OK).load() as foreign:
            attach = attach_tcx if place == "tcx" else attach_clsact
            with attach(foreign, index, "ingress"):
                before = attached(index)
                with count(filters(), "veth0", attach=mode) as session:
                    send(mesh.far)
                    mesh.far.send(*[FRAME] * FOREIGN_FRAMES)
                    assert hits(foreign) == FOREIGN_FRAMES
                found = counts(session.snapshot(), "in")
                assert found["bcast"] == truth(FRAMES)["bcast"]
                assert found["all"][0] == len(FRAMES) + FOREIGN_FRAMES
                assert attached(index) == before
                mesh.far.send(FRAME)
                assert hits(foreign) == FOREIGN_FRAMES + 1

    mesh.near.run(body)


@pytest.mark.parametrize("kind", ["native", "generic"])
def test_a_foreign_xdp_program_runs_on_while_we_count_at_tc(mesh: NetNsPair, kind: XdpMode) -> None:
    def body() -> None:
        index = mesh.near.ifindex
        with counter(ProgramType.XDP, "foreign").load() as foreign, attach_xdp(foreign, index, kind):
            with count(filters(), "veth0") as session:
                send(mesh.far)
                mesh.far.send(*[FRAME] * FOREIGN_FRAMES)
                settled(mesh.near)
                assert hits(foreign) == FOREIGN_FRAMES
            assert counts(session.snapshot(), "in")["bcast"] == truth(FRAMES)["bcast"]
            assert counts(session.snapshot(), "in")["all"][0] == len(FRAMES) + FOREIGN_FRAMES

    mesh.near.run(body)


@pytest.mark.parametrize("mode", ["xdp", "xdp-generic"])
def test_a_foreign_xdp_program_is_never_replaced(mesh: NetNsPair, mode: AttachMode) -> None:
    def body() -> None:
        index = mesh.near.ifindex
        with counter(ProgramType.XDP, "foreign").load() as foreign, attach_xdp(foreign, index, "native"):
            before = attached(index)
            with pytest.raises(MeshlensError, match="another program is there; it stays"):
                count(filters(), "veth0", attach=mode).__enter__()
            assert attached(index) == before

    mesh.near.run(body)


def settled(ns: NetNs) -> None:
    """Native XDP on veth takes frames from a ring, a moment later."""
    ns.shell("sleep", "0.1")
