import re
import sys
from dataclasses import replace
from io import StringIO
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from meshlens.outputs.table import build_table, format_table, human
from meshlens.probes.snapshot import Count, Snapshot
from tests.unit.outputs.snapshots import SMALL, snapshots

BEFORE = Snapshot(time_ns=0, counts=(Count("arp", "mesh0", "in", 1, 20),))  # 2 s before SMALL
MANY = Snapshot(
    2_000_000_000,
    tuple(
        Count(name, f"interface{number}", "in", 10**number, 99 * 10**number)
        for name in ("arp", "type=" + "long " * 20 + "END", "%helper")
        for number in range(9)
    ),
)


def cells(text: str) -> dict[str, list[str]]:
    """The rows of a table of short names, by name."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def test_sums_are_exact_and_the_busiest_filter_stands_first() -> None:
    text = format_table(SMALL)
    assert text.splitlines()[0].split() == ["filter", "packets", "bytes", "share"]
    assert text.splitlines()[1].split() == ["arp", "111", "4662", "100.0%"]
    assert text.splitlines()[2].split() == ["icmp6", "7", "700", "15.0%"]
    assert text.splitlines()[3] == "2 of 2 filters · missed 0"


def test_rates_are_those_since_the_snapshot_before() -> None:
    table = cells(format_table(SMALL, BEFORE))
    assert table["filter"] == ["packets", "bytes", "pkt/s", "bit/s", "share"]
    assert table["arp"] == ["111", "4662", "55", "18.6k", "100.0%"]  # (111 - 1) / 2, 8 * (4662 - 20) / 2
    assert table["icmp6"] == ["7", "700", "3.50", "2.80k", "15.0%"]


def test_a_counter_that_began_anew_counts_from_0_and_no_time_means_no_rate() -> None:
    later = replace(BEFORE, time_ns=SMALL.time_ns + 10**9)
    assert cells(format_table(later, SMALL))["arp"][2:4] == ["1", "160"]
    assert "pkt/s" not in format_table(SMALL, SMALL)


def test_columns_show_the_interfaces_in_their_order() -> None:
    assert cells(format_table(SMALL, columns=True))["arp"] == ["11", "100"]
    assert format_table(SMALL, columns=True).split()[:4] == ["filter,", "packets", "mesh0", "bat0"]
    rates = format_table(SMALL, BEFORE, columns=True)
    assert rates.split()[:4] == ["filter,", "packets/s", "mesh0", "bat0"]
    assert cells(rates)["arp"] == ["5", "50"]


def test_interfaces_that_do_not_fit_are_one_column_and_none_is_lost() -> None:
    header, first, *_ = format_table(MANY, columns=True).splitlines()
    more = re.search(r"(\d) more$", header)
    assert more is not None
    shown = header.count("…") + header.count("interface")
    assert shown + int(more[1]) == 9
    least = sum(10**number for number in range(int(more[1])))
    assert first.split()[-1] == human(least)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120])
@settings(max_examples=30, deadline=None)
@given(snapshot=snapshots(), helpers=st.booleans())
def test_no_line_is_wider_than_asked_for_whatever_the_names(
    columns: bool, width: int, snapshot: Snapshot, helpers: bool
) -> None:
    for shown in (snapshot, MANY):
        before = replace(shown, time_ns=-(10**9))
        text = format_table(shown, before, columns=columns, helpers=helpers, width=width)
        assert max(cell_len(line) for line in text.split("\n")) <= width
        assert all(line.isprintable() for line in text.split("\n"))


def test_numbers_too_long_for_the_width_get_units() -> None:
    huge = Snapshot(SMALL.time_ns, (Count("arp", "mesh0", "in", 2**63, 2**63),))
    assert cells(format_table(huge))["arp"] == [str(2**63), str(2**63), "100.0%"]
    assert cells(format_table(huge, width=60))["arp"] == ["9.22E", "9.22E", "100.0%"]


def test_a_name_that_does_not_fit_loses_its_middle() -> None:
    for columns in (False, True):
        assert re.search(r"^type=[long ]+…[long ]+ END ", format_table(MANY, columns=columns), re.MULTILINE)


def test_markup_and_control_characters_of_a_name_are_only_text() -> None:
    text = format_table(Snapshot(0, (Count("[red]x[/red]:smile:\x1b[31m\u202e", "i", "in", 1, 1),)))
    assert "[red]x[/red]:smile:" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_helper_filters_are_shown_only_if_asked_for() -> None:
    assert "%helper" not in format_table(MANY)
    assert "2 of 2 filters" in format_table(MANY)
    assert "%helper" in format_table(MANY, helpers=True)


def test_rows_are_cut_and_the_foot_says_of_how_many() -> None:
    text = format_table(MANY, helpers=True, rows=1)
    assert len(text.splitlines()) == 3
    assert "1 of 3 filters" in text


def test_what_was_missed_is_told_with_its_reasons() -> None:
    text = format_table(replace(SMALL, missed={"map full": 3, "fallback": 4, "other": 0}))
    assert text.splitlines()[-1] == "2 of 2 filters · missed 7 (map full 3, fallback 4)"


def test_an_empty_snapshot_is_a_table_without_rows() -> None:
    for columns in (False, True):
        assert format_table(Snapshot(0, ()), columns=columns).splitlines()[-1] == "0 of 0 filters · missed 0"


def test_the_live_table_has_units_and_keeps_its_width_while_numbers_grow() -> None:
    def render(factor: int) -> list[str]:
        counts = tuple(replace(c, packets=c.packets * factor, bytes=c.bytes * factor) for c in SMALL.counts)
        out = StringIO()
        table = build_table(replace(SMALL, counts=counts), BEFORE)
        Console(file=out, width=80, color_system=None).print(table)
        return out.getvalue().splitlines()

    small, big = render(1), render(10**9)
    assert "111G" in big[1]
    assert len(small[1]) == len(big[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.004, "0.00"),
        (0.5, "0.50"),
        (7, "7"),
        (9.996, "10.0"),
        (99.96, "100"),
        (999, "999"),
        (999.6, "1.00k"),
        (1000, "1.00k"),
        (1234, "1.23k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (12_345_678, "12.3M"),
        (8 * (2**64 - 1), "148E"),
    ],
)
def test_human_keeps_three_digits(value: float, text: str) -> None:
    assert human(value) == text


@settings(deadline=None)
@given(st.floats(0, 9.99e20) | st.integers(0, 10**20))
def test_human_is_at_most_five_wide_and_within_a_hundredth(value: float) -> None:
    text = human(value)
    assert len(text) <= 5
    scale = {prefix: 1000.0**power for power, prefix in enumerate("kMGTPE", 1)}
    number = float(text.rstrip("kMGTPE")) * scale.get(text[-1], 1)
    assert number == pytest.approx(value, rel=0.006, abs=0.005)


def test_what_is_slow_to_import_is_imported_only_for_what_needs_it() -> None:
    code = "import sys, meshlens.outputs; print({'rich', 'pyroute2', 'cypcap'} & set(sys.modules))"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    assert done.stdout == "set()\n"
