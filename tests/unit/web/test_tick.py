"""What is made of two readings for those who watch."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from meshlens.probes.rates import rates
from meshlens.probes.reading import ProbeCost, Reading
from meshlens.probes.snapshot import Count
from meshlens.web.tick import Tick, tick
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


def test_slimming_keeps_what_charts_draw() -> None:
    whole = tick_of(BEFORE, NOW)
    slim = whole.slim(12)
    for by in ("bytes", "packets"):
        for interface in ("", *INTERFACES):
            one, other = json.loads(whole.json(interface, 12, by)), json.loads(slim.json(interface, 12, by))
            for table in ("interfaces", "filters", "stations"):
                assert one[table] == other[table]
    assert len(slim.filters) <= 2 * 12 * len(INTERFACES)
