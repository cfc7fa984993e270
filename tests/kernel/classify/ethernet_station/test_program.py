"""The kernel's row of every station is that of the definition in Python: live and file are one."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from meshlens.classify.ethernet_station import program
from meshlens.classify.ethernet_station.features import FEATURES, PLACE, STATE, WINDOW, WINDOW_US
from meshlens.classify.ethernet_station.program import SAMPLER
from meshlens.packet.capture import read_capture
from tests.data import captures, needs_data
from tests.kernel.classify.ethernet_station.rows import Bench, Timed, expected, from_few_stations
from tests.oracle.corpus import captured, clients, damaged, mesh_mixes

pytestmark = pytest.mark.kernel

NAMES = (*(feature.name for feature in FEATURES), *STATE)
#: Longer ones are not taken by BPF_PROG_TEST_RUN.
MOST_BYTES = 9_000


def timed(frames: Iterable[bytes], seed: int = 1) -> Iterator[Timed]:
    """With times that mostly go on, by very different steps, now and then by minutes, and sometimes back."""
    rng, now = random.Random(seed), 10**18
    for data in frames:
        most = 11 if rng.random() < 0.002 else 8
        now += int(10 ** rng.uniform(0, most)) if rng.random() < 0.98 else -rng.randrange(10**6)
        yield now, data


def check(frames: Iterable[Timed], least: float = 0.8) -> None:
    some = [(when, data) for when, data in frames if 14 <= len(data) <= MOST_BYTES]
    bench = Bench()
    taken = bench.run(some)
    assert len(taken) >= least * len(some)
    found, told = bench.entries(), expected(taken)
    assert found.keys() == told.keys()
    for mac, (first_ns, values) in told.items():
        assert found[mac][0] == first_ns
        different = {
            name: (ours, theirs)
            for name, ours, theirs in zip(NAMES, found[mac][1], values, strict=True)
            if ours != theirs
        }
        assert not different, (mac.hex(":"), different)


def test_made_up_traffic_of_meshes_and_clients_makes_the_defined_rows() -> None:
    check(timed([*(sample.data for sample in mesh_mixes()), *clients()]))


def test_kernels_without_atomic_fetch_make_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "has_atomic_fetch", lambda: False)
    check(timed(from_few_stations((sample.data for sample in mesh_mixes()), 30)))


def test_damaged_frames_make_the_defined_rows() -> None:
    check(timed(from_few_stations(data for data, _ in damaged(mesh_mixes(), seed=3))))
    check(timed(data for data, _ in damaged(mesh_mixes(), seed=5)))


@needs_data
def test_captured_frames_make_the_defined_rows() -> None:
    check(timed(from_few_stations((sample.data for sample in captured()[::40]), 40)))


@needs_data
def test_damaged_captured_frames_make_the_defined_rows() -> None:
    check(timed(from_few_stations((data for data, _ in damaged(captured()[::60], seed=4)), 90)))


@needs_data
@pytest.mark.parametrize(
    "path", captures("iot_sentinel")[::12], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_capture_with_its_own_times_makes_the_rows_of_the_file(path: Path) -> None:
    with read_capture(path) as reader:
        frames = [(frame.timestamp_ns, frame.data) for frame in reader]
    check(frames, least=1)
    bench = Bench(64)
    bench.run(frames)
    from_file = {sample.name: sample.values for sample in SAMPLER.task.read(str(path))}
    assert {SAMPLER.name(key): row[: len(FEATURES)] for key, (_, row) in bench.entries().items()} == from_file


def test_a_window_that_is_full_stays_as_it_is() -> None:
    data = from_few_stations((sample.data for sample in mesh_mixes()), 1)
    frames = [(10**18 + number * 10**7, each) for number, each in enumerate(data)]
    bench, full = Bench(8), Bench(8)
    bench.run(frames)
    [(_, row)] = bench.entries().values()
    assert row[PLACE["packets"]] == WINDOW
    count = next(n for n in range(len(frames)) if expected(frames[:n]) == expected(frames))
    full.run(frames[:count])
    assert full.entries() == bench.entries()


def test_what_comes_after_two_minutes_changes_nothing() -> None:
    data = [frame for frame in clients() if not frame[6] & 1][:8]
    [own] = {bytes(frame[6:12]) for frame in from_few_stations(data, 1)}
    some = list(from_few_stations(data, 1))
    bench = Bench(8)
    bench.run([(10**18 + number, each) for number, each in enumerate(some[:4])])
    before = bench.entries()[own][1][: len(FEATURES)]
    bench.run([(10**18 + (WINDOW_US + 1) * 1000 + number, each) for number, each in enumerate(some[4:])])
    bench.run([(10**18 + 10**9, some[5])])
    assert bench.entries()[own][1][: len(FEATURES)] == before
    assert 0 < before[PLACE["packets"]] <= 4  # the others were echoes


def test_frames_to_a_station_change_nothing_and_make_no_entry() -> None:
    frames = list(timed(sample.data for sample in mesh_mixes()))[:200]
    bench = Bench()
    bench.run(frames, "out")
    assert bench.entries() == {}
    bench.run(frames)
    before = bench.entries()
    bench.run(frames, "out")
    assert bench.entries() == before


def test_every_packet_is_counted_by_what_became_of_it() -> None:
    frames = [bytes(6) + bytes([2, 0, 0, 0, 0, n]) + b"\x08\x06" + bytes(28) for n in range(6)]
    group = bytes(6) + bytes([3, 0, 0, 0, 0, 1]) + b"\x08\x06" + bytes(28)
    bench = Bench(4)
    bench.run(timed([*frames, group]))
    tally = bench.tally()
    assert tally["elsewhere"] == 1
    assert tally["map_full"] + tally["sample"] == 6
    assert tally["map_full"] >= 1
