"""Every way to attach counts the same frames, in each direction, and leaves nothing behind."""

import pytest

from meshlens.ebpf.query import attached
from meshlens.errors import NotSupported
from meshlens.probes import attach
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.count.session import DIRECTIONS, DirectionChoice, count
from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import FRAMES, NOTHING, counts, eventually, filters, missed, send, truth

pytestmark = pytest.mark.root

MODES: list[AttachMode] = ["auto", "tc", "xdp", "xdp-generic", "socket"]


@pytest.fixture(params=[*MODES, "clsact"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AttachMode:
    if request.param != "clsact":
        way: AttachMode = request.param
        return way

    def no_tcx(*_: object) -> None:
        raise NotSupported("as before Linux 6.6")

    monkeypatch.setattr(attach, "attach_tcx", no_tcx)
    return "tc"


def test_what_comes_in_and_goes_out_is_counted_apart_and_nothing_is_left(
    mesh: NetNsPair, mode: AttachMode
) -> None:
    def body() -> None:
        with count(filters(), "veth0", attach=mode) as session:
            send(mesh.far)
            send(mesh.near, FRAMES[:100])
            assert eventually(lambda: counts(session.snapshot(), "in")["all"][0] >= len(FRAMES))
        assert counts(session.snapshot(), "in") == truth(FRAMES)
        assert counts(session.snapshot(), "out") == truth(FRAMES[:100])
        assert missed(session.snapshot()) == 0
        assert attached(mesh.near.ifindex) == []

    mesh.near.run(body)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_one_direction_alone_is_counted_where_only_that_is_asked_for(
    mesh: NetNsPair, mode: AttachMode, direction: DirectionChoice
) -> None:
    def body() -> None:
        with count(filters(), "veth0", attach=mode, direction=direction) as session:
            assert [each.direction for each in session.attachments] == [direction]
            send(mesh.far, FRAMES[:200])
            send(mesh.near, FRAMES[:100])
            sent = 200 if direction == "in" else 100
            assert eventually(lambda: sum(each.packets for each in session.snapshot().counts) > sent)
        found = {way: counts(session.snapshot(), way) for way in DIRECTIONS["both"]}
        assert found == {"in": {}, "out": {}, direction: truth(FRAMES[:sent])}

    mesh.near.run(body)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("auto", {"in": "tcx", "out": "tcx"}),
        ("xdp", {"in": "xdp-native", "out": "tcx"}),
        ("xdp-generic", {"in": "xdp-generic", "out": "tcx"}),
        ("socket", {"in": "socket", "out": "socket"}),
    ],
)
def test_each_mode_attaches_where_it_says(mesh: NetNsPair, asked: AttachMode, found: dict[str, str]) -> None:
    def body() -> None:
        with count(filters(), "veth0", attach=asked) as session:
            assert {each.direction: each.how for each in session.attachments} == found

    mesh.near.run(body)


def test_frames_of_before_the_session_are_not_counted(mesh: NetNsPair, mode: AttachMode) -> None:
    def body() -> None:
        send(mesh.far, FRAMES[:50])
        with count(filters(), "veth0", attach=mode) as session:
            pass
        send(mesh.far, FRAMES[:50])
        assert counts(session.snapshot(), "in") == counts(session.snapshot(), "out") == NOTHING

    mesh.near.run(body)
