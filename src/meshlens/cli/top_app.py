"""`meshlens top` on a full screen, by textual."""

import asyncio
import signal
import threading
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from meshlens.cli import top_texts
from meshlens.cli.errors import Terminated
from meshlens.cli.top_grid import Grid
from meshlens.cli.top_pages import Pages
from meshlens.cli.top_source import Source
from meshlens.outputs.sheets import SHEETS
from meshlens.outputs.text import printable
from meshlens.readings.reading import Reading

__all__ = ["TopApp"]

HELP: Final = """\
1 to 6, Tab    interfaces, stations, flows, filters, wifi, air
↑ ↓ PgUp PgDn  move; below the first line the cursor follows its thing
Enter          drill: from an interface to its stations, from a station
               to its flows
Esc            undo: the search, then the drilling
/              search: lines that have all the words you type
s S            sort by the next column, by the one before
r              sort the other way round
Space          freeze: nothing moves, counting goes on
d              details on or off
q Ctrl-C       quit

Rates are those of the last interval, bytes those of whole frames on the
wire. A station has "sent" what came from its address. "missed" are
packets that could not be counted, by probe and reason.
A click on a heading sorts, on a line goes there, once more drills."""


class Help(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,h,q,enter", "dismiss", "Close")]
    CSS = """
    Help { align: center middle; }
    Help Static { width: 78; max-width: 100%; height: auto; max-height: 100%; border: round; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(Text(HELP), id="help")


class TopApp(App[None]):
    """Shows pages; a thread beside it asks the source for readings."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head, #tabs, #page { height: 1; }
    #tabs { background: $panel; link-style: not underline; link-color: $text; }
    Grid { height: 1fr; }
    #details { height: auto; max-height: 50%; border-top: solid $panel; }
    #search { height: 1; border: none; padding: 0; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "turn(1)", "Next", key_display="Tab", priority=True),
        Binding("shift+tab", "turn(-1)", "Before", show=False, priority=True),
        Binding("right", "turn(1)", "Next", show=False),
        Binding("left", "turn(-1)", "Before", show=False),
        *(Binding(str(number), f"tab({number - 1})", show=False) for number in range(1, len(SHEETS) + 1)),
        Binding("enter", "drill", "Drill", key_display="⏎"),
        Binding("escape,backspace", "undo", "Back", key_display="Esc"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort by the one before", show=False),
        Binding("r", "reverse", "Reverse", show=False),
        Binding("space,f", "freeze", "Freeze", key_display="Spc"),
        Binding("d", "details", "Details"),
        Binding("question_mark,h", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True),
    ]

    class Told(Message):
        """The source has told how things stand."""

        def __init__(self, reading: Reading) -> None:
            super().__init__()
            self.reading = reading

    class Failed(Message):
        """The source can tell no more."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self, source: Source, pages: Pages, interval_s: float) -> None:
        super().__init__()
        self.pages = pages
        self.ended_by: BaseException | None = None
        """What ended the application, if it was not its user."""
        self._source, self._interval_s = source, interval_s
        self._reader = threading.Thread(target=self._read_on, name="top-reader", daemon=True)
        self._over = threading.Event()

    def compose(self) -> ComposeResult:
        """Head, tabs, what the page shows, its lines, details, keys."""
        yield Static(id="head")
        yield Static(id="tabs")
        yield Static(id="page")
        yield Grid(self.pages.page)
        yield Static(id="details")
        yield Input(id="search", placeholder="words to search for; Enter keeps them, Esc drops them")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to read."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._end, Terminated())
        self.query_one(Grid).focus()
        self._show()
        self._reader.start()

    def end_reading(self) -> None:
        """Wait until the source is not asked any more."""
        self._over.set()
        self._source.wake()
        if self._reader.is_alive():
            self._reader.join()

    def action_tab(self, tab: int) -> None:
        """Look at another page."""
        self.pages.tab = tab % len(self.pages.pages)
        self._end_search()

    def action_turn(self, by: int) -> None:
        self.action_tab(self.pages.tab + by)

    def action_drill(self) -> None:
        """Go to what belongs to the line of the cursor."""
        line = self.query_one(Grid).line
        if line is not None and (why_not := self.pages.drill(line)):
            self._notify(why_not)
        self._show()

    def action_undo(self) -> None:
        """Undo the search, be it while it is typed or later; else the drilling."""
        typing = self.query_one(Input).display
        self.pages.back()
        if typing:
            self._end_search()
        self._show()

    def action_sort(self, by: int) -> None:
        self.pages.sort_by(self.pages.page.sort + by)
        self._show()

    def action_reverse(self) -> None:
        self.pages.sort_by(self.pages.page.sort)
        self._show()

    def action_freeze(self) -> None:
        self.pages.freeze()
        self._show()

    def action_details(self) -> None:
        details = self.query_one("#details")
        details.display = not details.display

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_search(self) -> None:
        """Let words be typed; the lines follow."""
        search = self.query_one(Input)
        search.value, search.display = self.pages.page.search, True
        search.focus()

    def action_interrupt(self) -> None:
        self._end(KeyboardInterrupt())

    def on_input_changed(self, event: Input.Changed) -> None:
        self.pages.page.search = event.value
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._end_search()

    def on_grid_moved(self) -> None:
        self._show_details()

    def on_grid_line_chosen(self) -> None:
        self.action_drill()

    def on_grid_heading_chosen(self, event: Grid.HeadingChosen) -> None:
        self.pages.sort_by(event.column)
        self._show()

    def on_top_app_told(self, message: Told) -> None:
        self.pages.take(message.reading)
        if not self.pages.frozen:
            self._show()

    def on_top_app_failed(self, message: Failed) -> None:
        self._end(message.error)

    def _read_on(self) -> None:
        try:
            while not self._over.is_set():
                self._source.wait(self._interval_s)
                self.post_message(self.Told(self._source.read()))
        except Exception as error:  # noqa: BLE001 - raised again where the command can explain it
            self.post_message(self.Failed(error))

    def _end(self, error: BaseException) -> None:
        self.ended_by = error
        self.exit()

    def _end_search(self) -> None:
        self.query_one(Input).display = False
        self.query_one(Grid).focus()
        self._show()

    def _show(self) -> None:
        pages = self.pages
        self.query_one("#head", Static).update(top_texts.head(pages))
        self.query_one("#tabs", Static).update(top_texts.tabs(pages))
        lines = pages.lines()
        self.query_one("#page", Static).update(top_texts.caption(pages, len(lines)))
        self.query_one(Grid).show(pages.page, lines, pages.nothing())
        self._show_details()

    def _show_details(self) -> None:
        line = self.query_one(Grid).line
        text = Text() if line is None else top_texts.details(self.pages, line, self.size.width)
        self.query_one("#details", Static).update(text)

    def _notify(self, message: str) -> None:
        self.notify(printable(message), markup=False, timeout=5)
