"""A list can be replaced while frames pass: no frame is lost or counted twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from meshlens.errors import NotSupported, UsageError
from meshlens.filters.lists import parse_list
from meshlens.packet.replay import replay
from meshlens.probes import attach
from meshlens.probes.count.session import count
from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import FRAMES, RATE_PPS, counts, filters, missed, truth

pytestmark = pytest.mark.root

OTHER = parse_list("new;len < 100\nbcast;batadv 15 bcast\nall;len >= 0\n")
PASSES = 15


@pytest.mark.parametrize("mode", ["auto", "xdp", "xdp-generic", "socket", "clsact"])
def test_filters_that_stay_keep_their_counts_and_miss_nothing(
    mesh: NetNsPair, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode == "clsact":

        def no_tcx(*_: object) -> None:
            raise NotSupported("as before Linux 6.6")

        monkeypatch.setattr(attach, "attach_tcx", no_tcx)
        mode = "tc"
    frames = [frame.data for frame in FRAMES]

    def body() -> None:
        with count(filters(), "veth0", attach=mode) as session, ThreadPoolExecutor() as threads:  # type: ignore[arg-type]
            sent = threads.submit(
                mesh.far.run, lambda: replay("veth0", frames, len(frames) * PASSES, rate_pps=RATE_PPS)
            )
            for listed in (OTHER, filters(), OTHER):
                session.wait(0.1)
                session.reload(listed)
            assert not sent.done(), "too late: nothing was reloaded while frames passed"
            assert sent.result() == len(frames) * PASSES
            found = counts(session.snapshot(), "in")
        known = truth(FRAMES, PASSES)
        assert set(found) == {"new", "bcast", "all"}
        assert found["all"] == known["all"]
        assert found["bcast"] == known["bcast"]
        assert 0 < found["new"][0] < known["all"][0]
        assert missed(session.snapshot()) == 0

    mesh.near.run(body)


def test_a_list_that_cannot_be_compiled_changes_nothing(mesh: NetNsPair) -> None:
    def body() -> None:
        with count(filters(), "veth0") as session:
            with pytest.raises(UsageError, match="wrong"):
                session.reload(parse_list("wrong;arp or or ip\n"))
            mesh.far.send(*(frame.data for frame in FRAMES))
        assert counts(session.snapshot(), "in") == truth(FRAMES)

    mesh.near.run(body)
