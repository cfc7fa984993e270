"""The made-up readings are what the tests that use them rely on."""

from collections import Counter
from itertools import pairwise

from tests.readings import FILTER_IDS, FILTERS, FLAPPING, GONE, INTERFACES, STATIONS, reading, readings


def test_they_are_the_same_each_time_and_can_begin_anywhere() -> None:
    assert readings(3, first=50) == [reading(50), reading(51), reading(52)]


def test_they_are_as_large_as_they_say() -> None:
    one = reading(1)
    assert len(set(FILTER_IDS)) == FILTERS
    assert len(one.counts) == FILTERS * len(INTERFACES) * 2
    assert len({(each.interface, each.mac) for each in one.stations}) == STATIONS
    assert len(one.flows) > 100


def test_counters_never_shrink_and_those_of_interfaces_that_are_there_grow() -> None:
    for before, after in pairwise(readings(40)):
        for one, two in zip(before.counts, after.counts, strict=True):
            assert (one.filter, one.interface, one.direction) == (two.filter, two.interface, two.direction)
            assert one.packets <= two.packets
            assert one.bytes <= two.bytes
        was = {each.name: each.traffic for each in before.interfaces}
        for each in after.interfaces:
            assert all(
                one.packets < two.packets
                for one, two in zip(was.get(each.name, ()), each.traffic, strict=False)
            )


def test_one_interface_goes_and_returns_as_another_and_its_counts_go_on() -> None:
    def names(step: int) -> dict[str, int]:
        return {each.name: each.index for each in reading(step).interfaces}

    assert all(FLAPPING not in names(step) for step in GONE)
    assert names(GONE.start - 1)[FLAPPING] != names(GONE.stop)[FLAPPING]
    assert reading(GONE[0]).stations != reading(GONE[1]).stations
    counted = {
        each: sum(c.packets for c in reading(each).counts if c.interface == FLAPPING) for each in (19, 29, 30)
    }
    assert counted[19] == counted[29] < counted[30]


def test_a_flow_ends_once_and_has_lost_nothing() -> None:
    ended: Counter[tuple[str, int, int]] = Counter()
    going: dict[tuple[str, int, int], int] = {}
    for each in readings(70):
        for flow in each.ended:
            key = flow.src, flow.src_port, flow.first_ns
            ended[key] += 1
            assert flow.packets >= going.pop(key, 0)
        now = {(flow.src, flow.src_port, flow.first_ns): flow.packets for flow in each.flows}
        assert going.keys() <= now.keys()
        going = now
    assert ended
    assert set(ended.values()) == {1}


def test_a_restarted_process_counts_from_zero() -> None:
    fresh, old = reading(60, since=60), reading(60)
    assert all(each.packets == 0 for each in fresh.counts)
    assert sum(each.packets for each in old.counts) > 0
