"""A sheet: lines about things of one kind, in columns that make do with any width.

What a sheet says is independent of where it is shown: on a full screen, as a plain table, in JSON.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from meshlens.outputs.text import elide, human
from meshlens.readings.rates import Rates
from meshlens.readings.reading import Reading

__all__ = ["GAP", "Column", "Sheet", "arrange", "cells", "fit", "headings", "name", "number"]

#: Cells of the terminal between two columns.
GAP = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A heading and what stands below it for each line.

    `width` cells are the least that it takes, `most` the most that are of use. Where room is short, columns
    of the highest `level` are left out first. `text` makes of a value what is shown.
    """

    heading: str
    value: Callable[[T], Any]
    text: Callable[[Any], str]
    width: int
    most: int
    level: int
    is_number: bool
    cut: Callable[[str, int], str] = elide


def number(
    heading: str,
    value: Callable[[T], float],
    text: Callable[[Any], str] = human,
    *,
    width: int = 5,
    level: int = 0,
) -> Column[T]:
    """A column of numbers, aligned right, the largest first when sorted; `human` takes 5 cells."""
    width = max(len(heading), width)
    return Column(heading, value, text, width, width, level, is_number=True)


def name(
    heading: str,
    value: Callable[[T], str],
    width: int,
    most: int = 0,
    *,
    cut: Callable[[str, int], str] = elide,
    level: int = 0,
) -> Column[T]:
    """A column of names, aligned left, from A to Z when sorted."""
    return Column(heading, value, str, width, max(width, most), level, is_number=False, cut=cut)


@dataclass(frozen=True, slots=True)
class Sheet(Generic[T]):
    """What is said of all things of one kind.

    `key` (hashable, with an order) tells lines apart, from one reading to the next as well; `words` is what
    a search looks at; `speed` the bytes per second, both ways; `columns[sort]` is what the lines are sorted
    by at first.
    """

    title: str
    lines: Callable[[Reading, Rates], list[T]]
    columns: tuple[Column[T], ...]
    sort: int
    key: Callable[[T], Any]
    words: Callable[[T], Iterable[str]]
    speed: Callable[[T], float]


def arrange(
    sheet: Sheet[T], lines: Iterable[T], sort: int | None = None, *, reverse: bool = False, search: str = ""
) -> list[T]:
    """The lines that have each word of `search` in them, sorted by a column: the largest number first, names
    from A to Z; lines that are equal there keep their order by key.
    """
    wanted = search.casefold().split()
    found = [line for line in lines if _has(sheet, line, wanted)] if wanted else list(lines)
    column = sheet.columns[sheet.sort if sort is None else sort]
    found.sort(key=sheet.key)
    found.sort(key=lambda line: _order(column.value(line)), reverse=column.is_number != reverse)
    return found


def fit(columns: Sequence[Column[T]], width: int) -> list[tuple[int, int]]:
    """The positions of the columns that are shown, and the width of each; a too narrow terminal cuts."""
    shown = list(range(len(columns)))
    for level in sorted({column.level for column in columns if column.level}, reverse=True):
        if _least(columns, shown) <= width:
            break
        shown = [each for each in shown if columns[each].level != level]
    room = width - _least(columns, shown)
    widths = {each: columns[each].width for each in shown}
    while growing := [each for each in shown if widths[each] < columns[each].most]:
        if room < 1:
            break
        for each in growing[:room]:
            widths[each] += 1
        room -= len(growing[:room])
    return list(widths.items())


def headings(columns: Sequence[Column[T]], fitted: Iterable[tuple[int, int]]) -> list[str]:
    """The headings, each as wide as its column."""
    return [_aligned(columns[each], columns[each].heading, width) for each, width in fitted]


def cells(columns: Sequence[Column[T]], line: T, fitted: Iterable[tuple[int, int]]) -> list[str]:
    """What a line says, each cell as wide as its column; nothing in it steers the terminal."""
    return [
        _aligned(columns[each], columns[each].text(columns[each].value(line)), width)
        for each, width in fitted
    ]


def _aligned(column: Column[T], text: str, width: int) -> str:
    from rich.cells import cell_len

    text = column.cut(text, width)
    padding = " " * (width - cell_len(text))
    return padding + text if column.is_number else text + padding


def _least(columns: Sequence[Column[T]], shown: Sequence[int]) -> int:
    return sum(columns[each].width for each in shown) + GAP * (len(shown) - 1)


def _order(value: float | str) -> float | str:
    return value.casefold() if isinstance(value, str) else value


def _has(sheet: Sheet[T], line: T, wanted: Iterable[str]) -> bool:
    text = "\n".join(sheet.words(line)).casefold()
    return all(word in text for word in wanted)
