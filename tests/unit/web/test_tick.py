"""What is made of two readings for those who watch."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.probes.cost import ProbeCost
from meshlens.probes.snapshot import Count
from meshlens.readings.rates import rates
from meshlens.readings.reading import Reading
from meshlens.web.past import PAST_TOP, Past
from meshlens.web.tick import By, Tick, tick
from tests.readings import FILTERS, INTERFACES, STATIONS, reading

BEFORE, NOW = reading(40), reading(44)


def tick_of(before: Reading, now: Reading) -> Tick:
    return tick(before, now, rates(before, now))


def test_a_rate_is_what_was_added_by_second() -> None:
    event = json.loads(tick_of(BEFORE, NOW).json())
    row = next(each for each in event["interfaces"] if each["name"] == "eth0")
    was, now = (
        {way.direction: way for each in state.interfaces if each.name == "eth0" for way in each.traffic}
        for state in (BEFORE, NOW)
    )
    for way in was:
        packets, size = now[way].packets - was[way].packets, now[way].bytes - was[way].bytes
        assert row[way] == [packets / 4, size / 4]


@given(st.lists(st.integers(0, 10**12), min_size=3, max_size=12), st.integers(1, 5))
def test_the_top_are_those_with_the_most_and_no_other(amounts: list[int], top: int) -> None:
    counts = tuple(Count(f"f{at}", "eth0", "in", 7, amount) for at, amount in enumerate(amounts))
    event = json.loads(tick_of(Reading(0), Reading(10**9, counts=counts)).json(top=top))
    assert [row["in"][1] for row in event["filters"]] == sorted(amounts, reverse=True)[:top]


def test_an_event_of_hundreds_of_stations_and_filters_stays_small() -> None:
    whole = tick_of(BEFORE, NOW)
    assert len(whole.filters) > FILTERS
    assert sum(whole.stations_known.values()) == STATIONS
    assert len(whole.json()) < 16_000


def test_the_numbers_of_stations_and_flows_are_those_of_the_interface_that_is_watched() -> None:
    whole = tick_of(BEFORE, NOW)
    of_one = [json.loads(whole.json(name))["stations_known"] for name in INTERFACES]
    assert sum(of_one) == json.loads(whole.json())["stations_known"] == STATIONS
    assert json.loads(whole.json("eth0"))["flows_going_on"] == sum(
        each.interface == "eth0" for each in NOW.flows
    )


def test_what_had_no_packet_is_left_out() -> None:
    still = tick_of(NOW, replace(NOW, time_ns=NOW.time_ns + 10**9))
    assert (still.filters, still.stations, still.ethertypes) == ((), (), ())
    assert len(still.interfaces) == len(NOW.interfaces)


def test_a_direction_that_is_not_known_counts_as_in() -> None:
    made = tick_of(Reading(0), Reading(10**9, counts=(Count("arp", "eth0", None, 5, 300),)))
    assert made.filters[0]["in"] == (5, 300)
    assert made.filters[0]["out"] == (0, 0)


def cost(runs: int, time_ns: int, interface: str = "eth0") -> ProbeCost:
    return ProbeCost("flows", interface, "in", 600, 4096, runs, time_ns)


def test_the_cost_of_a_probe_is_that_of_all_its_programs_since_the_reading_before() -> None:
    before = Reading(0, costs=(cost(1000, 50_000), cost(10, 1_000, "eth1")))
    now = Reading(2 * 10**9, costs=(cost(3000, 150_000), cost(1010, 101_000, "eth1")))
    assert tick_of(before, now).costs == (
        {"probe": "flows", "programs": 2, "memory_bytes": 8192, "ns_per_run": 66.7, "cores": 0.0001},
    )


def test_a_program_that_was_loaded_anew_costs_from_0_on() -> None:
    (row,) = tick_of(Reading(0, costs=(cost(1000, 50_000),)), Reading(10**9, costs=(cost(10, 700),))).costs
    assert row["ns_per_run"] == 70


def test_a_program_that_did_not_run_costs_nothing() -> None:
    (row,) = tick_of(Reading(0, costs=(cost(9, 700),)), Reading(10**9, costs=(cost(9, 700),))).costs
    assert (row["ns_per_run"], row["cores"]) == (None, 0)


def test_a_cost_that_is_not_measured_is_none() -> None:
    (row,) = tick_of(Reading(0, costs=(cost(0, 0),)), Reading(10**9, costs=(cost(0, 0),))).costs
    assert (row["ns_per_run"], row["cores"]) == (None, None)


def test_no_time_between_two_readings_is_no_error() -> None:
    event = json.loads(tick_of(NOW, NOW).json())
    assert event["seconds"] == 0
    assert all(row["in"] == [0, 0] for row in event["interfaces"])


@pytest.mark.parametrize("by", ["bytes", "packets"])
@pytest.mark.parametrize("interface", ["", *INTERFACES])
def test_the_past_holds_what_charts_draw(interface: str, by: By) -> None:
    whole, past = tick_of(BEFORE, NOW), Past()
    past.add(whole)
    (kept,) = past.events(interface, by)
    event = json.loads(whole.json(interface, PAST_TOP, by))
    for name in ("time", "seconds", "interfaces"):
        assert kept[name] == event[name]
    for name in ("filters", "stations"):  # in the same order, but for those that rounding made equal
        place = ["packets", "bytes"].index(by)
        sums = [[row["in"][place] + row["out"][place] for row in each[name]] for each in (kept, event)]
        assert sums[0] == pytest.approx(sums[1], abs=0.2)
        assert {row["interface"] for row in kept[name]} <= ({interface} if interface else set(INTERFACES))


def test_tables_need_no_extra() -> None:
    """`meshlens top --json` has them, too."""
    code = "import sys, meshlens.web.tables; print({'starlette', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_past_is_small_and_bounded() -> None:
    past = Past(5)
    for at in range(7):
        past.add(tick_of(BEFORE, replace(NOW, time_ns=NOW.time_ns + at)))
    assert [event["time"] for event in past.events("", "bytes")] == [
        (NOW.time_ns + at) / 1e9 for at in range(2, 7)
    ]
    assert sum(len(packed) for _, packed in past._packed) < 5 * 12_000
    assert past.knows(NOW.time_ns + 6)
    assert not past.knows(NOW.time_ns)
    assert len(past.events("", "bytes", NOW.time_ns + 4)) == 2
    past.add(tick_of(BEFORE, replace(NOW, time_ns=NOW.time_ns + 3)))  # the clock was set back
    assert not past.knows(NOW.time_ns + 6)
    assert len(past.events("", "bytes")) == 2
