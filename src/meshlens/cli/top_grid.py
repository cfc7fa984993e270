"""The table of `meshlens top`: it draws only the lines that are seen, however many there are."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from meshlens.cli.top_pages import Page
from meshlens.outputs.sheet import GAP, cells, fit, headings

__all__ = ["Grid"]

_HEADING = Style(bold=True)
_SORTED = Style(bold=True, reverse=True)
_CURSOR = Style(reverse=True)
_QUIET = Style(dim=True)


@dataclass(slots=True)
class Cursor:
    """Where the cursor of a page is. On the first line it stays there; else it follows the thing it is on."""

    position: int = 0
    key: Hashable = None
    top: int = 0


class Grid(Widget, can_focus=True):
    """The lines of a page, below their headings, with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1_000_000_000)", "First", show=False),
        Binding("end,G", "move(1_000_000_000)", "Last", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line."""

    class HeadingChosen(Message):
        """Somebody clicked on the heading of a column."""

        def __init__(self, column: int) -> None:
            super().__init__()
            self.column = column

    class LineChosen(Message):
        """Somebody clicked on the line that the cursor is on."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._lines: list[Any] = []
        self._cursors: dict[str, Cursor] = {}
        self._message = ""

    @property
    def line(self) -> Any | None:
        """What the cursor is on; None if there are no lines."""
        return self._lines[self._cursor.position] if self._lines else None

    def show(self, page: Page, lines: list[Any], message: str = "") -> None:
        """Show these lines; `message` instead if there are none."""
        self._page, self._lines, self._message = page, lines, message
        cursor, key = self._cursor, page.sheet.key
        if cursor.key is not None:
            found = (position for position, line in enumerate(lines) if key(line) == cursor.key)
            cursor.position = next(found, cursor.position)
        cursor.position = max(0, min(cursor.position, len(lines) - 1))
        self._scroll()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        if not self._lines:
            return
        cursor = self._cursor
        cursor.position = max(0, min(cursor.position + by, len(self._lines) - 1))
        cursor.key = self._page.sheet.key(self.line) if cursor.position else None
        self._scroll()
        self.post_message(self.Moved())

    def action_page(self, by: int) -> None:
        """Move the cursor by what is seen at once."""
        self.action_move(by * max(1, self._room - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.action_move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.action_move(-1)

    def on_click(self, event: events.Click) -> None:
        """On a heading: sort; on a line: go there; on the line of the cursor: as Enter."""
        if event.y == 0:
            self._click_heading(event.x)
            return
        position = self._cursor.top + event.y - 1
        if position == self._cursor.position:
            self.post_message(self.LineChosen())
        elif position < len(self._lines):
            self.action_move(position - self._cursor.position)

    def on_resize(self) -> None:
        self._scroll()

    def render_line(self, y: int) -> Strip:
        """The headings, a line, or nothing."""
        fitted = fit(self._page.sheet.columns, self.size.width)
        position = self._cursor.top + y - 1
        if y == 0:
            shown = headings(self._page.sheet.columns, fitted)
            segments = _joined(
                shown, [_SORTED if each == self._page.sort else _HEADING for each, _ in fitted]
            )
        elif position < len(self._lines):
            line = self._lines[position]
            shown = cells(self._page.sheet.columns, line, fitted)
            text = (" " * GAP).join(shown).ljust(self.size.width)
            style = _CURSOR if position == self._cursor.position else self._style(line)
            segments = [Segment(text, style)]
        else:
            segments = [Segment(self._message if y == 2 and not self._lines else "")]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    @property
    def _cursor(self) -> Cursor:
        return self._cursors.setdefault(self._page.sheet.title, Cursor())

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    def _scroll(self) -> None:
        """Let the cursor be seen, and no more room below the last line than must be."""
        cursor = self._cursor
        cursor.top = min(cursor.top, cursor.position, max(0, len(self._lines) - self._room))
        cursor.top = max(cursor.top, cursor.position - self._room + 1)
        self.refresh()

    def _style(self, line: Any) -> Style | None:
        return None if self._page.sheet.speed(line) else _QUIET

    def _click_heading(self, x: int) -> None:
        left = 0
        for column, width in fit(self._page.sheet.columns, self.size.width):
            if left <= x < left + width:
                self.post_message(self.HeadingChosen(column))
            left += width + GAP


def _joined(shown: list[str], styles: list[Style]) -> list[Segment]:
    gap = Segment(" " * GAP)
    segments = [
        each for text, style in zip(shown, styles, strict=True) for each in (Segment(text, style), gap)
    ]
    return segments[:-1]
