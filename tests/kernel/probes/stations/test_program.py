"""The station program counts every frame as the definition in Python does."""

import random
from collections.abc import Iterable

import pytest

from meshlens.ebpf import BpfError, Map, Program, Skb, pack_context
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.layout import (
    FIRSTS,
    STATIONS,
    TALLY,
    First,
    Fragment,
    read_tally,
    unpack_first_key,
    unpack_key,
)
from meshlens.probes.stations.packet import sightings
from meshlens.probes.stations.program import load_stations, station_program
from meshlens.probes.stations.table import Place, fold
from tests.data import needs_data
from tests.oracle.corpus import captured, clients, damaged, mesh_mixes

pytestmark = pytest.mark.kernel

WAYS: tuple[Direction, Direction] = ("in", "out")
Timed = tuple[int, bytes]


class Bench:
    """The programs of both directions with the same maps, on frames that are given to them."""

    def __init__(self, max_stations: int = 100_000) -> None:
        self.programs: list[Program] = []
        self.maps: dict[str, Map] = {}
        for way in WAYS:
            self.programs.append(load_stations(station_program(max_stations, way, clock="skb"), self.maps))
            self.maps = self.programs[-1].maps

    def run(self, frames: Iterable[Timed], way: int) -> list[Timed]:
        """Those frames that the kernel takes: IP headers have to be whole (net/bpf/test_run.c)."""
        taken = []
        for time_ns, data in frames:
            try:
                self.programs[way].test_run(data, ctx=pack_context(Skb, tstamp=time_ns))
            except BpfError:
                continue
            taken.append((time_ns, data))
        return taken

    def entries(self) -> dict[Place, Fragment]:
        return {unpack_key(key): Fragment.unpack(value) for key, value in self.maps[STATIONS].items()}

    def firsts(self) -> dict[tuple[bytes, int], First | None]:
        return {unpack_first_key(key): First.unpack(value) for key, value in self.maps[FIRSTS].items()}

    def tally(self) -> dict[str, int]:
        with self.maps[TALLY].mmap() as tally:
            return read_tally(tally)


def expected(
    frames: Iterable[Timed], way: int
) -> tuple[dict[Place, Fragment], dict[tuple[bytes, int], First]]:
    entries: dict[Place, Fragment] = {}
    firsts: dict[tuple[bytes, int], First] = {}
    for time_ns, data in frames:
        for seen in sightings(data, len(data), way):
            place = seen.mac, seen.kind
            entries[place] = fold(entries.get(place), seen, time_ns, way)
            if seen.first:
                firsts.setdefault((seen.mac, seen.first[0]), seen.first[1])
    return entries, firsts


def timed(frames: Iterable[bytes], seed: int = 1) -> list[Timed]:
    """With times that mostly go on, by very different steps, and sometimes back."""
    rng, now, result = random.Random(seed), 10**18, []
    for data in frames:
        now += int(10 ** rng.uniform(0, 11)) if rng.random() < 0.98 else -rng.randrange(10**6)
        result.append((now, data))
    return result


def check(frames: Iterable[bytes]) -> None:
    """Both ways; a difference is shown by the first frame that makes one."""
    some = timed(frame for frame in frames if 14 <= len(frame) <= 9000)
    for way in (0, 1):
        bench = Bench()
        taken = bench.run(some, way)
        assert len(taken) > 0.8 * len(some)
        entries, firsts = expected(taken, way)
        assert bench.firsts() == firsts
        if bench.entries() != entries:
            culprit = next(each for each in taken if differs(each, way))
            pytest.fail(f"way {way}: {culprit[1].hex()} {expected([culprit], way)}")


def differs(one: Timed, way: int) -> bool:
    bench = Bench(64)
    bench.run([one], way)
    return bench.entries() != expected([one], way)[0]


def test_made_up_traffic_of_meshes_and_clients_is_counted_as_defined() -> None:
    frames = [sample.data for sample in mesh_mixes()]
    check([*frames, *clients()])


def test_damaged_frames_are_counted_as_defined() -> None:
    check(data for data, _ in damaged(mesh_mixes(), seed=3))


@needs_data
def test_captured_frames_are_counted_as_defined() -> None:
    check(sample.data for sample in captured()[::40])


@needs_data
def test_damaged_captured_frames_are_counted_as_defined() -> None:
    check(data for data, _ in damaged(captured()[::80], seed=4))
