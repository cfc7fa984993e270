"""The table for people: the busiest filter first, what was missed at its foot."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING

from meshlens.outputs.text import elide, human, printable
from meshlens.probes.snapshot import Count, Snapshot

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["build_table", "format_table", "human"]

WIDTH = 80
GAP = 2  # between columns
NAME_MIN_WIDTH = 20
INTERFACE_MAX_WIDTH = 10


@dataclass(slots=True)
class Sum:
    """One filter's counts, both directions and all interfaces together; by interface the packets only."""

    packets: int = 0
    bytes: int = 0
    by_interface: dict[str, int] = field(default_factory=dict)

    def add(self, count: Count) -> None:
        """Add one count."""
        self.packets += count.packets
        self.bytes += count.bytes
        self.by_interface[count.interface] = self.by_interface.get(count.interface, 0) + count.packets


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and a cell for each filter that is shown, to be aligned right."""

    heading: str
    cells: list[str]

    @property
    def width(self) -> int:
        """Characters that the column takes, with the gap to its left."""
        return GAP + max(len(text) for text in (self.heading, *self.cells))


def build_table(
    snapshot: Snapshot,
    previous: Snapshot | None = None,
    *,
    columns: bool = False,
    helpers: bool = False,
    rows: int | None = None,
    width: int = WIDTH,
    exact: bool = False,
) -> "Group":
    """Build what rich shows as a table, at most `width` wide: filter, packets, bytes, rates, share.

    The share is that of the busiest filter's bytes: filters overlap, so that their sum says nothing.
    Rates are those since `previous`; without it there are none. `columns`: the packets of each interface
    instead, a second if there is a `previous`; interfaces that do not fit are summed. `helpers`: the filters
    whose name begins with '%' too. `rows`: the first so many. `exact`: packets and bytes to the last digit,
    if that leaves room for names.
    """
    from rich.cells import cell_len  # rich takes 60 ms that only a table is worth
    from rich.console import Group
    from rich.text import Text

    sums = _sum(snapshot, helpers=helpers)
    before = _sum(previous, helpers=helpers) if previous else {}
    seconds = (snapshot.time_ns - previous.time_ns) / 1e9 if previous else 0.0
    shown = dict(sorted(sums.items(), key=lambda item: -item[1].bytes)[:rows])
    pairs = [(now, before.get(name, Sum())) for name, now in shown.items()]
    heading = "filter"
    if columns:
        heading += ", packets/s" if seconds > 0 else ", packets"
        made = _interface_columns(pairs, seconds, width)
    else:
        most_bytes = max((each.bytes for each in sums.values()), default=0)
        made = _sum_columns(pairs, seconds, most_bytes, str if exact else human)
        if sum(column.width for column in made) > width - NAME_MIN_WIDTH:
            made = _sum_columns(pairs, seconds, most_bytes, human)
    foot = f"{len(shown)} of {len(sums)} filters · {_missed(snapshot)}"
    # As wide as the longest name of all, so that nothing moves when other filters come to be shown.
    name_width = max(cell_len(printable(text)) for text in (heading, *sums))
    room = width - sum(column.width for column in made)
    return Group(_grid(heading, shown, made, max(1, min(name_width, room))), Text(foot))


def format_table(
    snapshot: Snapshot,
    previous: Snapshot | None = None,
    *,
    columns: bool = False,
    helpers: bool = False,
    rows: int | None = None,
    width: int = WIDTH,
) -> str:
    """Return the table as plain text, numbers to the last digit; arguments as for `build_table`."""
    from rich.console import Console

    table = build_table(
        snapshot, previous, columns=columns, helpers=helpers, rows=rows, width=width, exact=True
    )
    text = StringIO()
    Console(file=text, width=width, color_system=None, force_terminal=False).print(table)
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _sum(snapshot: Snapshot, *, helpers: bool) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for count in snapshot.counts:
        if helpers or not count.filter.startswith("%"):
            sums.setdefault(count.filter, Sum()).add(count)
    return sums


def _sum_columns(
    pairs: list[tuple[Sum, Sum]], seconds: float, most_bytes: int, number: Callable[[int], str]
) -> list[Column]:
    made = [
        Column("packets", [number(now.packets) for now, _ in pairs]),
        Column("bytes", [number(now.bytes) for now, _ in pairs]),
    ]
    if seconds > 0:
        made += [
            Column("pkt/s", [_rate(now.packets, was.packets, seconds) for now, was in pairs]),
            Column("bit/s", [_rate(8 * now.bytes, 8 * was.bytes, seconds) for now, was in pairs]),
        ]
    return [*made, Column("share", [f"{100 * now.bytes / (most_bytes or 1):.1f}%" for now, _ in pairs])]


def _interface_columns(pairs: list[tuple[Sum, Sum]], seconds: float, width: int) -> list[Column]:
    """Return a column for each of the busiest interfaces, as many as fit, and one for all others together."""

    def column(heading: str, interfaces: Iterable[str]) -> Column:
        chosen = list(interfaces)
        cells = []
        for now, was in pairs:
            packets, before = (sum(entry.by_interface.get(i, 0) for i in chosen) for entry in (now, was))
            cells.append(_rate(packets, before, seconds) if seconds > 0 else human(packets))
        return Column(heading, cells)

    packets: dict[str, int] = {}
    for now, _ in pairs:
        for interface, number in now.by_interface.items():
            packets[interface] = packets.get(interface, 0) + number
    room = width - NAME_MIN_WIDTH
    made: dict[str, Column] = {}
    for interface in sorted(packets, key=lambda interface: -packets[interface]):
        candidate = column(elide(interface, INTERFACE_MAX_WIDTH), [interface])
        others = column(f"{len(packets) - len(made)} more", ())
        if candidate.width + others.width > room:
            break
        room -= candidate.width
        made[interface] = candidate
    shown = [made[interface] for interface in packets if interface in made]
    rest = [interface for interface in packets if interface not in made]
    return [*shown, column(f"{len(rest)} more", rest)] if rest else shown


def _grid(heading: str, shown: dict[str, Sum], made: list[Column], name_width: int) -> "Table":
    """Names on the left, cut to `name_width`; filters without packets are dim."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column(heading, width=name_width, no_wrap=True)
    for column in made:
        table.add_column(column.heading, justify="right", no_wrap=True, width=column.width - GAP)
    for index, (name, now) in enumerate(shown.items()):
        cells = (column.cells[index] for column in made)
        table.add_row(Text(elide(name, name_width)), *cells, style=None if now.packets else "dim")
    return table


def _rate(now: int, before: int, seconds: float) -> str:
    """Per second; a counter that began anew since then counts from 0."""
    return human((now - before if now >= before else now) / seconds)


def _missed(snapshot: Snapshot) -> str:
    reasons = ", ".join(f"{reason} {frames}" for reason, frames in snapshot.missed.items() if frames)
    return f"missed {sum(snapshot.missed.values())}" + (f" ({reasons})" if reasons else "")
