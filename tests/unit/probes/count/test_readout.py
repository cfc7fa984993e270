"""Counters are added up over CPUs and slots."""

import struct
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import parse_list
from meshlens.probes.count.readout import MISSED, Layout, Totals, cpu_stride, read_counters

LAYOUT = Layout(("a", "b", "never"), ((), (0,), (0, 1)))


def counters(*cpus: Mapping[int, tuple[int, int]], slots: int = len(LAYOUT.matches)) -> bytes:
    """The map's value: for each CPU (packets, bytes) of some slots, reasons for missing counted from -3."""
    parts = []
    for pairs in cpus:
        part = bytearray(cpu_stride(slots))
        for slot, pair in pairs.items():
            struct.pack_into("=QQ", part, 16 * (len(MISSED) + slot), *pair)
        parts.append(bytes(part))
    return b"".join(parts)


def test_a_filter_counts_what_its_slots_count_on_all_cpus() -> None:
    value = counters({1: (1, 60), 2: (10, 1000)}, {}, {2: (5, 300), 0: (7, 7)})
    totals = read_counters(value, LAYOUT)
    assert totals == Totals([(16, 1360), (15, 1300), (0, 0)], dict.fromkeys(MISSED, 0))


def test_frames_missed_are_told_by_reason() -> None:
    value = counters({-3: (1, 60)}, {-1: (2, 120), -3: (1, 60)})
    assert read_counters(value, LAYOUT).missed == {"unreadable": 2, "inconsistent": 0, "unknown_cpu": 2}


def test_shared_memory_is_read_like_bytes() -> None:
    value = counters({1: (1, 60)})
    assert read_counters(memoryview(bytearray(value)), LAYOUT) == read_counters(value, LAYOUT)


def test_counts_beyond_32_bits_are_kept() -> None:
    value = counters({1: (1 << 40, 1 << 60)}, {1: (1, 1)})
    assert read_counters(value, LAYOUT).filters[0] == ((1 << 40) + 1, (1 << 60) + 1)


def test_each_cpu_begins_on_a_cache_line_of_its_own() -> None:
    assert [cpu_stride(slots) for slots in (0, 1, 2, 1989)] == [64, 64, 128, 16 * 1992]


def test_the_layout_of_a_list_names_its_filters_and_who_matches_in_each_slot() -> None:
    layout = Layout.of(compile_list(parse_list("all;len >= 0\narp;arp\n")))
    assert layout.filters == ("all", "arp")
    assert sorted(layout.matches) == [(0,), (0, 1)]


@given(st.lists(st.dictionaries(st.integers(0, 2), st.tuples(st.integers(1, 99), st.integers(1, 9999)))))
def test_whatever_is_counted_where_nothing_is_lost(cpus: list[dict[int, tuple[int, int]]]) -> None:
    totals = read_counters(counters(*cpus), LAYOUT)
    for position, found in enumerate(totals.filters):
        pairs = [pair for cpu in cpus for slot, pair in cpu.items() if position in LAYOUT.matches[slot]]
        assert found == (sum(each[0] for each in pairs), sum(each[1] for each in pairs))
