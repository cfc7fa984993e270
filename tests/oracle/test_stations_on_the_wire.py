"""Stations of real skbs: with the tag in the metadata, with most bytes outside the linear part."""

import contextlib
import random
from collections.abc import Iterable, Iterator

import pytest

import meshlens
from meshlens.probes.stations.layout import Fragment
from meshlens.probes.stations.packet import sightings
from meshlens.probes.stations.table import Place, fold
from tests.kernel.conftest import NetNsPair, make_netns_pair
from tests.oracle.corpus import captured, mesh_mixes
from tests.oracle.test_on_the_wire import MTU, RingSender, plain_sender

pytestmark = pytest.mark.root

FRAMES = 1500


@pytest.fixture
def wire() -> Iterator[NetNsPair]:
    with make_netns_pair() as pair:
        for ns in pair:
            ns.shell("ip", "link", "set", "veth0", "mtu", str(MTU))
        yield pair


def frames() -> list[bytes]:
    """None so short that the kernel drops it before tc; tagged ones among them."""
    rng = random.Random(7)
    sorts = [each for each in (mesh_mixes(), captured()) if each]
    samples = [data for sort in sorts for data, _ in rng.sample(sort, FRAMES)]
    return [data for data in samples if 60 <= len(data) <= MTU]


def expected(some: Iterable[bytes], way: int) -> dict[Place, Fragment]:
    entries: dict[Place, Fragment] = {}
    for data in some:
        for seen in sightings(data, len(data), way):
            place = seen.mac, seen.kind
            entries[place] = fold(entries.get(place), seen, 1, way)
    return entries


def timeless(entry: Fragment) -> tuple[object, ...]:
    return (
        entry.packets, entry.octets, entry.facts, entry.casts, entry.vlan, entry.sizes, entry.classes
    )  # fmt: skip


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "mostly not linear"])
@pytest.mark.parametrize("way", [0, 1], ids=["in", "out"])
def test_stations_of_real_skbs_are_those_of_their_frames_on_the_wire(
    wire: NetNsPair, way: int, linear: bool
) -> None:
    """Coming in, the kernel has put the outer tag into the metadata; going out, it stands in the bytes."""
    side, some = (wire.far, wire.near)[way], frames()
    session = side.run(lambda: meshlens.stations("veth0", max_stations=16_384).__enter__())
    sender = plain_sender(wire.near) if linear else RingSender(wire.near)
    with contextlib.closing(sender):
        for data in some:
            sender.send(data)
    session.close()
    found, told = session._meters.seen()["veth0"].entries, expected(some, way)
    assert found.keys() == told.keys()
    for place, entry in told.items():
        assert timeless(found[place]) == timeless(entry), place
    assert not any(session.missed.values())
