"""What stands around the lines of `meshlens top`: head, tabs, caption, details."""

from datetime import UTC, datetime
from typing import Any, Final

from rich.cells import set_cell_size
from rich.style import Style
from rich.text import Text

from meshlens.cli.top_pages import Pages, missed
from meshlens.outputs.details import DETAILS
from meshlens.outputs.text import bars, human, printable

__all__ = ["caption", "details", "head", "tabs"]

_LABEL_WIDTH: Final = 10
_LABEL: Final = Style(dim=True)
_ALARM: Final = Style(bold=True, color="red")


def head(pages: Pages) -> Text:
    """When this was, what was missed, and whether it is frozen."""
    time = datetime.fromtimestamp(pages.reading.time_ns / 1e9, UTC).strftime("%H:%M:%S UTC")
    text = Text("meshlens top · ", no_wrap=True, overflow="ellipsis")
    if pages.frozen:
        text.append(" FROZEN ", Style(reverse=True))
        text.append(" ")
    text.append(f"{time} · ")
    lost = missed(pages.reading)
    text.append(printable(lost), "" if lost == "missed 0" else _ALARM)
    return text


def tabs(pages: Pages) -> Text:
    """The pages with their keys and how many lines they have; a click leads there."""
    text = Text(no_wrap=True)
    for tab, page in enumerate(pages.pages):
        style = Style(reverse=tab == pages.tab, bold=True, meta={"@click": f"app.tab({tab})"})
        text.append(f" {tab + 1} {page.sheet.title} {pages.total(tab)} ", style)
    return text


def caption(pages: Pages, shown: int) -> Text:
    """Which lines of the page are shown, and in which order."""
    page = pages.page
    column = page.sheet.columns[page.sort]
    arrow = "▼" if column.is_number != page.reverse else "▲"
    said = (
        f"{shown} of {pages.total(pages.tab)} {page.sheet.title}",
        page.of,
        page.search and f"with {page.search!r}",
        f"by {column.heading} {arrow}",
    )
    return Text(printable(" · ".join(filter(None, said))), _LABEL, no_wrap=True, overflow="ellipsis")


def details(pages: Pages, line: Any, width: int) -> Text:
    """What is known of the thing, and a picture of its rate."""
    room = max(1, width - _LABEL_WIDTH - 1)
    first, *others = DETAILS[pages.page.sheet.title](line)
    text = Text(no_wrap=True)
    for label, said in (first, ("rate", _rate(pages.speeds(line), room)), *others):
        text.append(f"{label:>{_LABEL_WIDTH}} ", _LABEL)
        text.append(set_cell_size(printable(said), room).rstrip() + "\n")
    text.rstrip()
    return text


def _rate(speeds: list[float], width: int) -> str:
    """A bar a reading, the latest on the right, and how high the highest is."""
    scale = f"▏{human(8 * max(speeds, default=0))}bit/s"
    return bars(speeds[-max(1, width - len(scale)) :]) + scale
