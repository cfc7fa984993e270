"""Minstrel's numbering: each rate has one place, and each place one rate."""

from meshlens.wifi.minstrel.groups import GROUPS, duration_ns, index_of, rate_at, split
from meshlens.wifi.minstrel.throughput import ONE, Conditions

PLACES = {"ht": 8, "vht": 10, "legacy": 8}
EACH = [(group, place) for group, kind in enumerate(GROUPS) for place in range(PLACES[kind.phy])]


def test_there_are_as_many_groups_as_in_the_kernel() -> None:
    assert len(GROUPS) == 4 * 4 + 2 + 4 * 6
    assert [number for number, group in enumerate(GROUPS) if group.phy == "legacy"] == [16, 17]
    assert [number for number, group in enumerate(GROUPS) if group.cck] == [16]


def test_rates_stand_where_the_kernel_has_them() -> None:
    expected = {
        (0, 7): "ht 7", (1, 7): "ht 15", (4, 0): "ht 0 short", (11, 0): "ht 24 40 MHz", (16, 3): "11",
        (16, 7): "11 short", (17, 7): "54", (18, 9): "vht 9x1", (41, 9): "vht 9x4 80 MHz short",
    }  # fmt: skip
    assert {each: str(rate_at(*each)) for each in expected} == expected


def test_no_rate_stands_twice() -> None:
    assert len({rate_at(*each) for each in EACH}) == len(EACH)


def test_a_number_is_a_group_and_a_place() -> None:
    assert [split(index_of(*each)) for each in EACH] == EACH


def test_faster_rates_take_less_time() -> None:
    for group, place in EACH:
        if place and not (GROUPS[group].cck and place == 4):
            assert duration_ns(group, place) < duration_ns(group, place - 1), rate_at(group, place)


def test_what_is_never_tried_has_no_throughput_and_certainty_counts_as_nine_tenths() -> None:
    conditions = Conditions(108, 60, ONE, index_of(0, 7))
    for each in EACH:
        assert conditions.throughput(*each, 0) == conditions.throughput(*each, ONE // 10 - 1) == 0
        assert conditions.throughput(*each, ONE) == conditions.throughput(*each, ONE * 9 // 10)


def test_before_the_first_ampdu_its_length_is_guessed_by_the_best_rate() -> None:
    slow, fast = Conditions(108, 60, 0, index_of(0, 0)), Conditions(108, 60, 0, index_of(3, 7))
    assert slow.throughput(0, 7, ONE) < fast.throughput(0, 7, ONE)
    legacy = Conditions(108, 60, 0, index_of(16, 0))
    assert legacy.throughput(0, 7, ONE) == Conditions(108, 60, ONE, 0).throughput(0, 7, ONE)
