"""What was added between readings adds up to what was counted, whatever came, went, or began anew."""

from collections.abc import Iterable
from dataclasses import replace

from meshlens.outputs.history.tally import NOTHING, Amount, Key, Tally, flow_name, plus, station_name
from meshlens.readings.reading import Reading
from tests.readings import FLAPPING, GONE, SECOND_NS, reading, readings

SECOND = reading(1).time_ns - reading(0).time_ns


def sums(readings: Iterable[Reading], tally: Tally | None = None) -> dict[Key, Amount]:
    tally = tally or Tally()
    whole: dict[Key, Amount] = {}
    for each in readings:
        for key, amount in tally.added(each).items():
            whole[key] = plus(whole.get(key, NOTHING), amount)
    return whole


def test_it_adds_up_to_the_last_counters_also_where_an_interface_was_away() -> None:
    added, last = sums(readings(40)), reading(39)
    assert set(GONE) < set(range(40))
    for interface in last.interfaces:
        into, out = interface.traffic
        assert added[Key("interfaces", interface.name, interface.name)] == (
            into.packets, into.bytes, out.packets, out.bytes,
        )  # fmt: skip
    assert FLAPPING in {each.name for each in last.interfaces}
    for station in last.stations:
        counted = station.in_packets, station.in_bytes, station.out_packets, station.out_bytes
        assert added[Key("stations", station.interface, station_name(station))] == counted
    by_filter: dict[Key, Amount] = {}
    for count in last.counts:
        pair = count.packets, count.bytes
        amount = (*pair, 0, 0) if count.direction == "in" else (0, 0, *pair)
        key = Key("filters", count.interface, count.filter)
        by_filter[key] = plus(by_filter.get(key, NOTHING), amount)
    assert {key: amount for key, amount in added.items() if key.kind == "filters"} == {
        key: amount for key, amount in by_filter.items() if any(amount)
    }


def test_flows_are_added_up_by_ends_and_port_also_those_that_ended() -> None:
    many = readings(60, filters=0)
    truth: dict[Key, Amount] = {}
    for flow in [flow for each in many for flow in each.ended] + list(many[-1].flows):
        key = Key("flows", flow.interface, flow_name(flow))
        amount = flow.src_packets, flow.src_bytes, flow.dst_packets, flow.dst_bytes
        truth[key] = plus(truth.get(key, NOTHING), amount)
    assert {key: amount for key, amount in sums(many).items() if key.kind == "flows"} == truth


def test_counters_that_begin_anew_count_from_zero_and_are_never_negative() -> None:
    restarted = [*readings(10, filters=9), *readings(10, first=20, since=20, filters=9)]
    added = sums(restarted)
    assert all(number >= 0 for amount in added.values() for number in amount)
    station = reading(9).stations[0]
    again = restarted[-1].stations[0]
    assert (
        added[Key("stations", station.interface, station_name(station))][0]
        == station.in_packets + again.in_packets
    )


def test_a_station_that_was_forgotten_counts_from_zero_though_it_has_more_now() -> None:
    one = reading(5)
    first = replace(one.stations[0], in_packets=5, first_ns=1)
    again = replace(first, in_packets=50, first_ns=2)
    added = sums([replace(one, stations=(each,)) for each in (first, again)])
    assert added[Key("stations", first.interface, station_name(first))][0] == 55


def test_a_station_that_was_out_of_sight_for_a_moment_is_not_counted_twice() -> None:
    one, two, three = readings(3)
    first = one.stations[0]
    added = sums([one, replace(two, stations=()), three])
    assert added[Key("stations", first.interface, station_name(first))][0] == three.stations[0].in_packets


def test_memory_is_bounded_by_what_there_was_in_the_last_hour() -> None:
    tally = Tally()
    station, start = reading(1).stations[0], reading(0).time_ns
    for number in range(300):
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        now = replace(station, mac=mac)
        tally.added(Reading(start + number * 60 * SECOND_NS, stations=(now,)))
    assert len(tally._known) <= 66


def test_time_that_was_recorded_and_packets_that_were_missed_are_kept() -> None:
    added = sums(readings(11, filters=0))
    assert added[Key("recorded", "", "")] == (10_000, 0, 0, 0)
    missed = reading(10).missed["stations"]["map_full"]
    assert added[Key("missed", "", "stations: map_full")] == (missed, 0, 0, 0)


def test_a_clock_that_is_set_back_adds_no_time_and_loses_no_packets() -> None:
    three = [reading(10), reading(11), replace(reading(12), time_ns=reading(5).time_ns)]
    added = sums(three)
    assert added[Key("recorded", "", "")] == (1000, 0, 0, 0)
    assert added[Key("interfaces", "eth0", "eth0")][0] == reading(12).interfaces[2].traffic[0].packets


def test_a_process_that_takes_over_counts_from_its_first_reading_on() -> None:
    tally = Tally()
    tally.added(reading(9))
    tally.begin_at(reading(20, since=10))
    added = sums([reading(21, since=10)], tally)
    key = Key("interfaces", "eth0", "eth0")
    was, now = (reading(step, since=10).interfaces[2].traffic[0].packets for step in (20, 21))
    assert added[key][0] == now - was
    filters = {key: amount for key, amount in added.items() if key.kind == "filters"}
    whole = {key: amount for key, amount in sums([reading(21, since=10)]).items() if key.kind == "filters"}
    assert filters
    assert all(amount[0] + amount[2] < whole[key][0] + whole[key][2] for key, amount in filters.items())
