"""The kernel's row of a joining station is the definition's, whatever the station says."""

import pytest

from meshlens.classify.kernel.entry import OUTCOMES, SAMPLES, Head
from meshlens.packet.craft_wifi import dot11, element, radiotap
from meshlens.probes.tally import TALLY, read_outcomes
from tests.data import DATA, captures, needs_data
from tests.joining import CAPTURES, STATION, definition, frames_of, hostile, kernel_rows, loaded, request

pytestmark = pytest.mark.kernel

RATES = element(1, bytes(range(8)))


def outcomes_of(frames: list[bytes], max_stations: int = 64) -> dict[str, int]:
    with loaded(max_stations=max_stations) as program, program.maps[TALLY].mmap() as tally:
        for data in frames:
            assert program.test_run(data).retval == 0xFFFFFFFF  # TC_ACT_UNSPEC
        return {name: count for name, count in read_outcomes(tally, OUTCOMES).items() if count}


def test_captures_that_are_shipped_give_the_rows_of_the_definition() -> None:
    with loaded() as program:
        for path in CAPTURES:
            frames = frames_of(path)
            rows = kernel_rows(program, frames)
            assert rows == definition(frames)
            assert any(any(values[3:]) for values, _ in rows.values())


@needs_data
def test_every_capture_of_the_collection_gives_the_rows_of_the_definition() -> None:
    paths = captures("wifi_taxonomy")
    assert len(paths) > 1000, DATA
    with loaded() as program:
        for path in paths:
            frames = [data for data in frames_of(path) if len(data) >= 14]
            assert kernel_rows(program, frames) == definition(frames), path.name


@pytest.mark.parametrize("seed", range(4))
def test_hostile_elements_give_the_rows_of_the_definition(seed: int) -> None:
    with loaded() as program:
        rows = []
        for start in range(0, 400, 8):  # few at a time: rows that are full hide what comes later
            frames = list(hostile(8, 1000 * seed + start))
            rows.append(kernel_rows(program, frames))
            assert rows[-1] == definition(frames), start
        assert sum(len(each) for each in rows) > 50


def test_without_radiotap_the_row_has_neither_band_nor_rate() -> None:
    frames = [request(RATES, kind)[8:] for kind in ("probe-req", "assoc-req", "reassoc-req")]
    with loaded(105) as program:
        rows = kernel_rows(program, frames)
    assert rows == definition(frames, 105)
    values, packets = rows[STATION]
    assert packets == 3
    assert values[0] == 0


def test_only_requests_make_a_station_known() -> None:
    others = [
        radiotap() + dot11(kind, STATION, STATION, STATION, RATES) for kind in ("auth", "beacon", "rts")
    ]
    assert outcomes_of(others) == {"elsewhere": 3}
    with loaded() as program:
        assert kernel_rows(program, others) == {}


def test_what_cannot_be_read_and_what_finds_no_room_is_counted() -> None:
    assert outcomes_of([bytes(20), request(RATES)[:20]]) == {"unreadable": 2}
    some = [request(RATES, station=f"02:00:00:00:00:0{number}") for number in range(4)]
    assert outcomes_of(some, max_stations=1)["map_full"] > 0


def test_a_new_station_has_the_time_of_its_first_request() -> None:
    with loaded() as program:
        program.test_run(request(RATES))
        ((_, first),) = program.maps[SAMPLES].items()
        program.test_run(request(RATES))
        ((_, then),) = program.maps[SAMPLES].items()
    assert 0 < Head.unpack(first).first_ns == Head.unpack(then).first_ns
