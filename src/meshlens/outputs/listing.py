"""The sheets as plain text, one below the other: for terminals without a full screen, for pipes."""

from collections.abc import Iterator, Sequence
from typing import Any

from meshlens.outputs.sheet import GAP, Sheet, arrange, cells, fit, headings
from meshlens.outputs.sheets import SHEETS
from meshlens.readings.rates import Rates
from meshlens.readings.reading import Reading

__all__ = ["listing", "share_rows"]

#: Of each sheet: a heading with the columns' names, what it has in all, and the empty line between.
_FRAME_ROWS = 3


def listing(reading: Reading, rates: Rates, *, width: int, rows: int | None = None) -> list[str]:
    """The lines of all sheets that have any, the busiest things first.

    `rows`: how many lines there may be in all; without it everything is listed.
    """
    sheets = [(sheet, lines) for sheet in SHEETS if (lines := sheet.lines(reading, rates))]
    if rows is not None:  # a line of each at least, so the last ones go where there is no room
        del sheets[max(1, (rows + 1) // (_FRAME_ROWS + 1)) :]
    room = None if rows is None else rows - _FRAME_ROWS * len(sheets) + 1
    shares = share_rows([len(lines) for _, lines in sheets], room)
    listed = [
        text
        for (sheet, lines), share in zip(sheets, shares, strict=True)
        for text in (*_sheet(sheet, lines, share, width), "")
    ]
    return listed[:-1]


def share_rows(wanted: Sequence[int], room: int | None) -> list[int]:
    """Share rows between lists: who wants less than an even share leaves the rest to others; 1 at least."""
    if room is None:
        return list(wanted)
    shares = [0] * len(wanted)
    for place, position in enumerate(sorted(range(len(wanted)), key=lambda each: wanted[each])):
        even = max(1, room // (len(wanted) - place))
        shares[position] = min(wanted[position], even)
        room -= shares[position]
    return shares


def _sheet(sheet: Sheet[Any], lines: list[Any], share: int, width: int) -> Iterator[str]:
    fitted = fit(sheet.columns, width)
    shown = arrange(sheet, lines)[:share]
    yield f"{sheet.title}: {len(shown)} of {len(lines)}, by {sheet.columns[sheet.sort].heading}"
    yield (" " * GAP).join(headings(sheet.columns, fitted)).rstrip()
    for line in shown:
        yield (" " * GAP).join(cells(sheet.columns, line, fitted)).rstrip()
