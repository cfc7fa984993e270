"""Sheets of things made up: columns that fit, lines in order, words found."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from meshlens.outputs.sheet import GAP, Sheet, arrange, cells, fit, headings, name, number


class Thing(NamedTuple):
    label: str
    size: int


THINGS = [Thing("beta", 5), Thing("Alpha", 70), Thing("gamma ray", 5), Thing("delta", 1000)]
SHEET: Sheet[Thing] = Sheet(
    "things",
    lambda reading, rates: THINGS,
    (
        name("label", lambda thing: thing.label, 6, 30),
        number("size", lambda thing: thing.size),
        number("double", lambda thing: 2 * thing.size, level=1),
        name("again", lambda thing: thing.label, 6, level=2),
    ),
    sort=1,
    key=lambda thing: thing.label,
    words=lambda thing: (thing.label, str(thing.size)),
    speed=lambda thing: float(thing.size),
)


def labels(lines: list[Thing]) -> list[str]:
    return [line.label for line in lines]


def test_numbers_are_sorted_from_the_largest_and_names_from_a_to_z() -> None:
    assert labels(arrange(SHEET, THINGS)) == ["delta", "Alpha", "beta", "gamma ray"]
    assert labels(arrange(SHEET, THINGS, 0)) == ["Alpha", "beta", "delta", "gamma ray"]
    assert labels(arrange(SHEET, THINGS, 0, reverse=True)) == ["gamma ray", "delta", "beta", "Alpha"]


def test_equal_lines_keep_one_order_whatever_order_they_come_in() -> None:
    assert arrange(SHEET, THINGS[::-1]) == arrange(SHEET, THINGS)


def test_a_search_finds_lines_that_have_all_words_anywhere_in_any_case() -> None:
    assert labels(arrange(SHEET, THINGS, search="A 5")) == ["beta", "gamma ray"]
    assert labels(arrange(SHEET, THINGS, search="ray gam")) == ["gamma ray"]
    assert arrange(SHEET, THINGS, search="beta 70") == []


@given(st.integers(0, 200))
def test_columns_take_no_more_than_there_is_and_those_of_the_highest_level_go_first(width: int) -> None:
    fitted = fit(SHEET.columns, width)
    shown = [column for column, _ in fitted]
    assert shown[:2] == [0, 1]
    taken = sum(each for _, each in fitted) + GAP * (len(fitted) - 1)
    assert taken <= max(width, 12)
    assert (3 in shown) <= (2 in shown)
    if width >= 26:
        assert shown == [0, 1, 2, 3]
        assert taken == min(width, 50)


def test_numbers_are_aligned_right_and_names_left_and_cut() -> None:
    fitted = [(0, 6), (1, 5)]
    assert headings(SHEET.columns, fitted) == ["label ", " size"]
    assert cells(SHEET.columns, Thing("gamma ray", 12345), fitted) == ["g… ray", "12.3k"]


@given(st.text())
def test_no_name_steers_the_terminal_or_moves_a_column(hostile: str) -> None:
    from rich.cells import cell_len

    (cell,) = cells(SHEET.columns, Thing(hostile, 0), [(0, 10)])
    assert cell.isprintable()
    assert cell_len(cell) == 10
