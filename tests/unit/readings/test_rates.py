"""Rates between two readings, held to a world in which what happened in between is written down."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic, Traffic
from meshlens.readings.rates import (
    Casts,
    EthertypeKey,
    FilterKey,
    InterfaceKey,
    Rate,
    Rates,
    TwoWay,
    flow_key,
    rates,
    station_key,
)
from meshlens.readings.reading import Reading
from tests.readings import readings

SECOND = 1_000_000_000
ARP, IPV4 = 0x0806, 0x0800


def interface(packets: int, size: int = 100, broadcast: int = 0, name: str = "eth0") -> InterfaceTraffic:
    """An interface that received so many packets, IPv4 those that were not broadcast."""
    unicast = packets - broadcast
    ethertypes = {IPV4: (unicast, unicast * size), ARP: (broadcast, broadcast * size)}
    used = {each: counters for each, counters in ethertypes.items() if counters[0]}
    traffic = Traffic("in", packets, packets * size, unicast, 0, broadcast, used, ())
    return InterfaceTraffic(name, 1, "02:00:00:00:00:01", up=True, speed_bps=None, traffic=(traffic,))


def station(sent: int, first_ns: int = 1, last_ns: int = 2, mac: str = "02:00:00:00:00:07") -> Station:
    return Station(
        "eth0", mac, "station", first_ns, last_ns, sent, sent * 100, 2 * sent, sent * 50, sent, 0, 0,
        {}, (), (), frozenset(),
    )  # fmt: skip


def flow(packets: int, port: int = 5000, first_ns: int = 1) -> Flow:
    return Flow(
        "eth0", "udp", "10.0.0.1", port, "10.0.0.2", 53, "in", first_ns, first_ns, packets, packets * 100,
        0, 0, 0, 0, "active", (), (), (),
    )  # fmt: skip


def test_a_rate_is_what_was_added_in_a_second() -> None:
    before = Reading(
        0, interfaces=(interface(1000, broadcast=10),), counts=(Count("arp", "eth0", "in", 5, 300),)
    )
    now = Reading(
        2 * SECOND,
        interfaces=(interface(1300, broadcast=30),),
        counts=(Count("arp", "eth0", "in", 9, 540),),
        missed={"flows": {"map_full": 4, "ring_full": 2}},
    )
    found = rates(before, now)
    assert found.seconds == 2
    assert found.interfaces == {InterfaceKey("eth0", "in"): Rate(150, 15_000)}
    assert found.interface_casts == {InterfaceKey("eth0", "in"): Casts(140, 0, 10)}
    assert found.ethertypes == {
        EthertypeKey("eth0", "in", IPV4): Rate(140, 14_000),
        EthertypeKey("eth0", "in", ARP): Rate(10, 1000),
    }
    assert found.filters == {FilterKey("arp", "eth0", "in"): Rate(2, 120)}
    assert found.missed == {"flows": 3}


def test_stations_and_flows_have_a_rate_each_way() -> None:
    found = rates(Reading(0), Reading(SECOND, stations=(station(7),), flows=(flow(3),)))
    assert found.stations[station_key(station(7))] == TwoWay(Rate(7, 700), Rate(14, 350))
    assert found.stations[station_key(station(7))].packets == 21
    assert found.station_casts[station_key(station(7))] == Casts(7, 0, 0)
    assert found.flows[flow_key(flow(3))] == TwoWay(Rate(3, 300), Rate(0, 0))
    assert found.flows[flow_key(flow(3))].bytes == 300


@pytest.mark.parametrize("passed_ns", [0, -SECOND])
def test_without_time_passed_all_rates_are_0(passed_ns: int) -> None:
    now = Reading(SECOND + passed_ns, interfaces=(interface(10),), stations=(station(1),), flows=(flow(1),))
    found = rates(Reading(SECOND), now)
    assert found.seconds == 0
    assert found.interfaces == {InterfaceKey("eth0", "in"): Rate(0, 0)}
    assert all(each.packets == 0 for each in (*found.stations.values(), *found.flows.values()))


def test_what_is_gone_has_no_rate() -> None:
    before = Reading(0, interfaces=(interface(10),), stations=(station(1),), flows=(flow(1),))
    assert rates(before, Reading(SECOND)) == Rates(1.0)


def test_an_interface_counted_anew_counts_from_0_with_all_its_ethertypes() -> None:
    before = Reading(0, interfaces=(interface(1000, broadcast=10), interface(1000, name="eth1")))
    now = Reading(SECOND, interfaces=(interface(50, broadcast=20), interface(1001, name="eth1")))
    found = rates(before, now)
    assert found.interfaces[InterfaceKey("eth0", "in")] == Rate(50, 5000)
    # ARP alone went from 10 to 20, which looks like growth.
    assert found.ethertypes[EthertypeKey("eth0", "in", ARP)] == Rate(20, 2000)
    assert found.ethertypes[EthertypeKey("eth1", "in", IPV4)] == Rate(1, 100)


def test_an_interface_that_comes_back_with_its_counts_makes_no_peak() -> None:
    elsewhere = interface(10, name="eth1")
    back = Reading(SECOND, interfaces=(elsewhere, interface(1000, broadcast=10)))
    later = Reading(2 * SECOND, interfaces=(elsewhere, interface(1001, broadcast=10)))
    key, ipv4 = InterfaceKey("eth0", "in"), EthertypeKey("eth0", "in", IPV4)
    found = [
        rates(before, now) for before, now in ((Reading(0, interfaces=(elsewhere,)), back), (back, later))
    ]
    assert [(each.interfaces[key].packets, each.ethertypes[ipv4].packets) for each in found] == [
        (0, 0),
        (1, 1),
    ]


def test_rates_of_a_busy_gateway_stay_sober_while_an_interface_flaps() -> None:
    """In the made-up readings nothing is faster than 4000 packets a second."""
    for before, now in pairwise(readings(15, first=18)):
        found = rates(before, now)
        assert {key.interface for key in found.interfaces} == set(present_interfaces(now))
        simple = (*found.interfaces.values(), *found.filters.values())
        both_ways = (*found.stations.values(), *found.flows.values())
        assert all(0 <= each.packets < 4000 for each in simple)
        assert all(0 <= each.packets < 4000 for each in both_ways)


def present_interfaces(reading: Reading) -> list[str]:
    return [each.name for each in reading.interfaces]


def test_a_station_that_was_forgotten_and_came_back_counts_from_0() -> None:
    before = Reading(10, stations=(station(5, first_ns=1, last_ns=9),))
    assert [
        rates(before, Reading(10 + SECOND, stations=(now,))).stations[station_key(now)].sent.packets
        for now in (station(8, first_ns=1, last_ns=20), station(8, first_ns=15, last_ns=20))
    ] == [3, 8]


def test_the_same_address_on_two_interfaces_is_two_stations() -> None:
    here = station(5)
    there = replace(here, interface="eth1", in_packets=9)
    found = rates(Reading(0), Reading(SECOND, stations=(here, there)))
    assert [found.stations[station_key(each)].sent.packets for each in (here, there)] == [5, 9]


def test_the_last_packets_of_a_flow_that_ended_are_in_its_rate() -> None:
    before = Reading(0, flows=(flow(10),))
    found = rates(before, Reading(SECOND, flows=(flow(4, first_ns=99),), ended=(flow(13),)))
    assert found.flows == {flow_key(flow(0)): TwoWay(Rate(7, 700), Rate(0, 0))}


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(-3, 2)))
def test_every_packet_of_a_flow_is_in_one_rate_whenever_flows_end(
    earlier: list[int], later: list[int]
) -> None:
    """An event is a packet of flow 0, 1 or 2; a negative one ends flow -1, -2 or -3."""
    ongoing: Counter[int] = Counter(earlier)
    before = Reading(0, flows=tuple(flow(number, port) for port, number in ongoing.items()))
    ended: list[Flow] = []
    for event in later:
        if event >= 0:
            ongoing[event] += 1
        elif number := ongoing.pop(-1 - event, 0):
            ended.append(flow(number, -1 - event))
    flows = tuple(flow(number, port) for port, number in ongoing.items())
    found = rates(before, Reading(SECOND, flows=flows, ended=tuple(ended))).flows
    sent = Counter(event for event in later if event >= 0)
    assert {key.src_port: each.sent.packets for key, each in found.items() if each.packets} == sent


@given(st.lists(st.booleans()), st.lists(st.booleans()))
def test_a_rate_of_a_station_has_what_it_sent_since_it_is_known(
    earlier: list[bool], later: list[bool]
) -> None:
    """An event is a packet of the station (True), or that it is forgotten."""
    known = tell(None, 1, earlier)
    before = Reading(1000, stations=(known,) if known else ())
    now = tell(known, 1001, later)
    found = rates(before, Reading(1000 + SECOND, stations=(now,) if now else ())).stations
    since = later[::-1].index(False) if False in later else len(later)
    expected = {station_key(now): since} if now else {}
    assert {key: each.sent.packets for key, each in found.items()} == expected


def tell(known: Station | None, start_ns: int, events: list[bool]) -> Station | None:
    for time_ns, packet in enumerate(events, start_ns):
        sent = known.in_packets + 1 if known else 1
        known = station(sent, known.first_ns if known else time_ns, time_ns) if packet else None
    return known


@given(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_a_rate_is_never_negative_nor_more_than_the_counter_and_exact_if_it_grew(
    was: tuple[int, int], is_: tuple[int, int]
) -> None:
    """Each pair is packets that are not broadcast, and broadcasts."""
    before = Reading(0, interfaces=(interface(sum(was), broadcast=was[1]),))
    now = Reading(SECOND, interfaces=(interface(sum(is_), broadcast=is_[1]),))
    found = rates(before, now)
    grew = all(each >= earlier for each, earlier in zip(is_, was, strict=True))
    assert found.interfaces[InterfaceKey("eth0", "in")].packets == sum(is_) - (sum(was) if grew else 0)
    by_type = [found.ethertypes.get(EthertypeKey("eth0", "in", each), Rate(0, 0)) for each in (IPV4, ARP)]
    assert [each.packets for each in by_type] == [
        i - (w if grew else 0) for i, w in zip(is_, was, strict=True)
    ]
