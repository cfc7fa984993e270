"""Answers of a history are what the readings say; where nothing was recorded, there is no answer, not 0."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.outputs.history.query import rates_by_step, totals
from meshlens.outputs.history.store import HistoryStore
from meshlens.readings.reading import Reading
from tests.readings import reading, time_of


def amounts(name: str, step: int) -> tuple[int, int, int, int]:
    into, out = next(each.traffic for each in reading(step, filters=0).interfaces if each.name == name)
    return into.packets, into.bytes, out.packets, out.bytes


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes, of which those from 300 to 600 s are missing: the process was not there."""
    path = tmp_path_factory.mktemp("history") / "h.db"
    for span, since in ((range(0, 301, 5), 0), (range(600, 1201, 5), 600)):
        store = HistoryStore(path)
        for step in span:
            now = reading(step, since=since, filters=4)
            store.write(replace(now, stations=now.stations[:20]))
        store.close()
    return path


def test_totals_are_the_difference_of_the_counters_busiest_first(path: Path) -> None:
    got = totals(path, "interfaces", since_ns=time_of(100), until_ns=time_of(200))
    assert (got.since_s * 10**9, got.until_s * 10**9) == (time_of(100), time_of(200))
    assert got.recorded_s == 100
    for each in got.rows:
        truth = tuple(b - a for a, b in zip(amounts(each.name, 100), amounts(each.name, 200), strict=True))
        assert (each.packets_in, each.bytes_in, each.packets_out, each.bytes_out) == truth
    sizes = [each.bytes_in + each.bytes_out for each in got.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == got.things == 6


def test_top_interface_and_match_choose(path: Path) -> None:
    whole = totals(path, "stations", since_ns=time_of(0), until_ns=time_of(1200))
    assert whole.things == 20
    top = totals(path, "stations", since_ns=time_of(0), until_ns=time_of(1200), top=3)
    assert (top.rows, top.things) == (whole.rows[:3], 20)
    there = totals(path, "stations", since_ns=time_of(0), until_ns=time_of(1200), interface="eth0")
    assert there.rows == tuple(each for each in whole.rows if each.interface == "eth0") != ()
    named = totals(path, "stations", since_ns=time_of(0), until_ns=time_of(1200), match="host-11")
    assert [each.label for each in named.rows] == ["host-11 AVM GmbH"]
    mac = whole.rows[5].name
    assert [
        each.name for each in totals(path, "stations", since_ns=0, until_ns=time_of(1200), match=mac).rows
    ] == [mac]


def test_what_was_missed_in_the_span_is_told_with_the_answer(path: Path) -> None:
    got = totals(path, "interfaces", since_ns=time_of(100), until_ns=time_of(200))
    one, two = (reading(step).missed for step in (100, 200))
    assert got.missed["stations: map_full"] == two["stations"]["map_full"] - one["stations"]["map_full"]


def test_every_kind_can_be_asked(path: Path) -> None:
    for kind in ("interfaces", "stations", "filters", "flows"):
        assert totals(path, kind, since_ns=time_of(0), until_ns=time_of(1200)).rows


def test_rates_by_step_are_counters_by_time_and_none_where_nothing_was_recorded(path: Path) -> None:
    got = rates_by_step(
        path, "interfaces", since_ns=time_of(0), until_ns=time_of(900), step_s=100, names=["eth0"]
    )
    assert got.step_s == 100
    assert got.times_ns == tuple(time_of(step) for step in range(0, 900, 100))
    into, out = got.series
    assert [(each.name, each.interface, each.direction) for each in got.series] == [
        ("eth0", "eth0", "in"),
        ("eth0", "eth0", "out"),
    ]
    at = {step: amounts("eth0", step) for step in range(0, 301, 100)}
    for number, step in enumerate((0, 100, 200)):
        assert into.packets_per_s[number] == (at[step + 100][0] - at[step][0]) / 100
        assert out.bytes_per_s[number] == (at[step + 100][3] - at[step][3]) / 100
    assert into.packets_per_s[3:6] == (None, None, None)
    assert all(value for value in into.packets_per_s[6:])


def test_a_thing_that_was_quiet_while_others_were_recorded_has_a_rate_of_0(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    store = HistoryStore(path)
    for step in (*range(0, 41, 10), *range(40, 81, 10)):
        now = reading(min(step, 40), filters=0)
        store.write(Reading(time_of(step), now.interfaces))
    store.close()
    got = rates_by_step(
        path, "interfaces", since_ns=time_of(0), until_ns=time_of(80), step_s=10, names=["eth0"]
    )
    values = got.series[0].packets_per_s
    assert all(values[:4])
    assert values[4:] == (0, 0, 0, 0)


def test_without_names_the_busiest_are_chosen_with_both_directions(path: Path) -> None:
    got = rates_by_step(path, "stations", since_ns=time_of(0), until_ns=time_of(300), step_s=60, top=4)
    most = totals(path, "stations", since_ns=time_of(0), until_ns=time_of(300), top=4)
    assert [each.name for each in got.series[::2]] == [each.name for each in most.rows]
    assert [each.direction for each in got.series] == ["in", "out"] * 4


def test_long_spans_are_answered_from_coarse_steps_and_short_ones_from_fine(path: Path) -> None:
    coarse = rates_by_step(path, "interfaces", since_ns=time_of(0), until_ns=time_of(1200), step_s=301, top=1)
    assert coarse.step_s == 600
    fine = rates_by_step(path, "interfaces", since_ns=time_of(0), until_ns=time_of(1200), step_s=1, top=1)
    assert fine.step_s == 10
    assert len(fine.times_ns) == 120


def test_what_is_older_than_the_fine_steps_is_answered_from_the_coarse_ones(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    store = HistoryStore(path, keep_s=(600, 100_000))
    for step in range(0, 4000, 10):
        now = reading(step, filters=0)
        store.write(Reading(now.time_ns, now.interfaces[:1]))
    store.close()
    old = totals(path, "interfaces", since_ns=time_of(300), until_ns=time_of(600))
    assert old.rows[0].packets_in == amounts("bat0", 600)[0] - amounts("bat0", 300)[0]
    assert (
        rates_by_step(path, "interfaces", since_ns=time_of(0), until_ns=time_of(900), step_s=10).step_s == 300
    )
    assert (
        rates_by_step(path, "interfaces", since_ns=time_of(3800), until_ns=time_of(3900), step_s=10).step_s
        == 10
    )


def test_nothing_recorded_is_an_empty_answer_and_no_file_an_error(path: Path, tmp_path: Path) -> None:
    got = totals(path, "filters", since_ns=time_of(-9000), until_ns=time_of(-8000))
    assert (got.rows, got.things, got.recorded_s) == ((), 0, 0)
    assert (
        rates_by_step(path, "filters", since_ns=time_of(-900), until_ns=time_of(-800), step_s=10).series == ()
    )
    with pytest.raises(UsageError, match="no history at"):
        totals(tmp_path / "none", "filters", since_ns=0, until_ns=1)


def test_names_are_data_not_sql(path: Path) -> None:
    odd = "' OR 1=1 --"
    since, until = time_of(0), time_of(900)
    assert totals(path, "filters", since_ns=since, until_ns=until, match=odd).rows == ()
    got = rates_by_step(path, "filters", since_ns=since, until_ns=until, step_s=10, names=[odd])
    assert got.series == ()


def test_a_span_that_begins_before_everything_begins_with_what_there_is(path: Path) -> None:
    got = rates_by_step(path, "interfaces", since_ns=0, until_ns=time_of(300), step_s=10, top=1)
    assert got.times_ns[0] == time_of(0)
    assert len(got.times_ns) == 30


def test_more_steps_than_anybody_can_look_at_are_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="more than 20000 steps: ask for a shorter span or longer steps"):
        rates_by_step(path, "interfaces", since_ns=time_of(0), until_ns=time_of(900_000), step_s=10)
