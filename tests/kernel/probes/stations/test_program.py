"""The station program counts every frame as the definition in Python does, at tc and at XDP."""

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from meshlens.ebpf import BpfError, Map, Program, Skb, pack_context
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.layout import (
    DHCP,
    FIRST_BYTES,
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
from meshlens.probes.stations.table import Place, Seen, fold
from tests.data import needs_data
from tests.oracle.corpus import captured, clients, damaged, mesh_mixes

pytestmark = pytest.mark.kernel

_XDP_PASS = 2
#: What BPF_PROG_TEST_RUN takes for XDP in one buffer, a page, with what stands around it.
_ONE_BUFFER = 3_000
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


class AtXdp:
    """The program at XDP, which has clocks of its own: what it says of times is left out."""

    def __init__(self, expression: str = "") -> None:
        compiled = compile_filter(expression, 1)
        self.program = load_stations(station_program(100_000, "in", hook="xdp", compiled=compiled))

    def run(self, frames: Iterable[bytes]) -> None:
        for data in frames:
            assert self.program.test_run(data).retval == _XDP_PASS

    def entries(self) -> dict[Place, Fragment]:
        """Added up, where several CPUs have run the program."""
        seen = Seen()
        for key, value in self.program.maps[STATIONS].items():
            seen.put(unpack_key(key), Fragment.unpack(value))
        return timeless(seen.entries)

    def firsts(self) -> dict[tuple[bytes, int], First | None]:
        return {
            unpack_first_key(key): First.unpack(value) for key, value in self.program.maps[FIRSTS].items()
        }

    def tally(self) -> dict[str, int]:
        with self.program.maps[TALLY].mmap() as tally:
            return read_tally(tally)


def timeless(entries: dict[Place, Fragment]) -> dict[Place, Fragment]:
    return {
        place: replace(entry, first_ns=0, last_ns=0, gap_begin_ns=0, gaps=[])
        for place, entry in entries.items()
    }


def check_at_xdp(frames: Iterable[bytes]) -> None:
    some = [frame for frame in frames if 14 <= len(frame) <= _ONE_BUFFER]
    at_xdp = AtXdp()
    at_xdp.run(some)
    entries, firsts = expected(timed(some), 0)
    assert len(entries) > 20
    assert at_xdp.firsts() == firsts
    assert at_xdp.entries() == timeless(entries)
    assert at_xdp.tally() == dict.fromkeys(at_xdp.tally(), 0) | {"station": len(some)}


def test_at_xdp_made_up_traffic_is_counted_as_defined() -> None:
    frames = [sample.data for sample in mesh_mixes()]
    check_at_xdp([*frames[::2], *clients()])


def test_at_xdp_damaged_frames_are_counted_as_defined() -> None:
    check_at_xdp([data for data, _ in damaged(mesh_mixes(), seed=5)][::2])


@needs_data
def test_at_xdp_captured_frames_are_counted_as_defined() -> None:
    check_at_xdp(sample.data for sample in captured()[::60])


def test_at_xdp_a_first_packet_is_kept_up_to_the_end_of_the_frame_or_of_the_room_for_it() -> None:
    whole = next(data for data in clients() if any(which == DHCP for _, which in expected([(0, data)], 0)[1]))
    sizes = set()
    for data in (whole[:-100], whole[:-7], whole[:-1], whole, whole + bytes(400)):
        at_xdp = AtXdp()
        at_xdp.run([data])
        firsts = at_xdp.firsts()
        assert firsts == expected([(0, data)], 0)[1]
        sizes |= {len(first.data) for first in firsts.values() if first}
    assert len(sizes) == 4
    assert max(sizes) == FIRST_BYTES


def test_at_xdp_only_what_the_filter_matches_is_counted() -> None:
    expression = "(batadv 15 unicast and tcp) or (ip6 and udp)"
    compiled = compile_filter(expression, 1)
    assert compiled
    frames = [sample.data for sample in mesh_mixes()][::2]
    at_xdp = AtXdp(expression)
    at_xdp.run(frames)
    matched = [data for data in frames if compiled.match(data, direction=0)]
    assert 0 < len(matched) < len(frames)
    assert at_xdp.entries() == timeless(expected(timed(matched), 0)[0])
