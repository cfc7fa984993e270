"""What `meshlens top` shows, independent of how: pages of lines, sorted, searched, frozen, drilled into."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from meshlens.outputs.sheet import Sheet, arrange
from meshlens.outputs.sheets import FLOWS, SHEETS, STATIONS, FlowLine, InterfaceLine, StationLine
from meshlens.probes.stations.neighbours import link_local_of
from meshlens.readings.rates import Rates, rates
from meshlens.readings.reading import Reading

__all__ = ["Addresses", "Page", "Pages", "missed"]

#: The IP addresses of MAC addresses.
Addresses = Callable[[], Mapping[str, set[str]]]

#: Moments for which the speed of a thing is remembered, and of how many things.
_MOMENTS: Final = 100
_REMEMBERED: Final = 300


@dataclass(slots=True)
class Page:
    """A sheet as it is looked at now.

    If it was drilled into: `keep` picks what belongs to the thing above, `of` says what that is, and
    `came_from` is the tab it is on.
    """

    sheet: Sheet[Any]
    sort: int
    reverse: bool = False
    search: str = ""
    of: str = ""
    came_from: int = 0
    keep: Callable[[Iterable[Any]], list[Any]] | None = None

    def arranged(self, lines: Iterable[Any]) -> list[Any]:
        """Those of the lines that are wanted, in the order wanted."""
        kept = lines if self.keep is None else self.keep(lines)
        return arrange(self.sheet, kept, self.sort, reverse=self.reverse, search=self.search)


class Pages:
    """A page for each sheet; one of them, `tab`, is looked at. `take()` gives them the next reading.

    `absent`: by the title of a sheet, why there is nothing on it.
    """

    def __init__(self, addresses: Addresses = dict, absent: Mapping[str, str] | None = None) -> None:
        self.pages = [Page(sheet, sheet.sort) for sheet in SHEETS]
        self.tab = 0
        self.frozen = False
        self.reading, self.rates = Reading(0), Rates()
        self._latest: tuple[Reading, Rates, list[list[Any]]] | None = None
        self._addresses, self._absent = addresses, absent or {}
        self._speeds: list[deque[dict[Hashable, float]]] = [deque(maxlen=_MOMENTS) for _ in SHEETS]
        self._lines: list[list[Any]] = [[] for _ in SHEETS]

    @property
    def page(self) -> Page:
        """The page that is looked at."""
        return self.pages[self.tab]

    def take(self, reading: Reading) -> None:
        """Go on to the next reading. While frozen it is only remembered."""
        before = self._latest[0] if self._latest else reading
        speed = rates(before, reading)
        lines = [sheet.lines(reading, speed) for sheet in SHEETS]
        self._latest = reading, speed, lines
        for sheet, of_sheet, speeds in zip(SHEETS, lines, self._speeds, strict=True):
            speeds.append(_speeds(sheet, of_sheet))
        if not self.frozen:
            self._show_latest()

    def freeze(self) -> None:
        """Let nothing move, or go on."""
        self.frozen = not self.frozen
        if not self.frozen:
            self._show_latest()

    def lines(self) -> list[Any]:
        """The lines of the page that is looked at."""
        return self.page.arranged(self._lines[self.tab])

    def total(self, tab: int) -> int:
        """How many lines a page has when nothing is left out."""
        return len(self._lines[tab])

    def nothing(self) -> str:
        """Why there is no line on the page."""
        if self.page.search:
            return "nothing has all these words"
        return self._absent.get(self.page.sheet.title, "nothing seen yet")

    def speeds(self, line: Any) -> list[float]:
        """Bytes per second of the thing, the latest last; 0 where it was not there or not among the fast."""
        key = self.page.sheet.key(line)
        return [moment.get(key, 0.0) for moment in self._speeds[self.tab]]

    def sort_by(self, column: int) -> None:
        """Sort by a column; by the same again: the other way round."""
        page = self.page
        column %= len(page.sheet.columns)
        page.reverse = not page.reverse if column == page.sort else False
        page.sort = column

    def drill(self, line: Any) -> str:
        """Go from an interface to its stations, from a station to its flows.

        Returns why that is not possible, else "".
        """
        match line:
            case InterfaceLine():
                name = line.interface.name
                self._enter(SHEETS.index(STATIONS), f"on {name}", _on(name))
            case StationLine():
                mac = line.station.mac
                known = self._addresses_of(mac)
                who = line.station.name or mac
                self._enter(SHEETS.index(FLOWS), f"of {who}", _of({link_local_of(mac), *known}))
                if not known:
                    return f"no IP address of {mac} is in this machine's neighbour tables"
            case _:
                return f"there is nothing behind {self.page.sheet.title}: d shows details"
        return ""

    def back(self) -> bool:
        """Undo the last of these that was done: search, drilling. False if there is nothing to undo."""
        page = self.page
        if page.search:
            page.search = ""
        elif page.keep:
            page.of, page.keep = "", None
            self.tab = page.came_from
        else:
            return False
        return True

    def _addresses_of(self, mac: str) -> set[str]:
        """None if the tables change faster than they can be read."""
        with suppress(OSError):
            return self._addresses().get(mac, set())
        return set()

    def _enter(self, tab: int, of: str, keep: Callable[[Iterable[Any]], list[Any]]) -> None:
        page = self.pages[tab]
        page.of, page.keep, page.search, page.came_from = of, keep, "", self.tab
        self.tab = tab

    def _show_latest(self) -> None:
        if self._latest:
            self.reading, self.rates, self._lines = self._latest


def missed(reading: Reading) -> str:
    """What could not be counted, with the reasons: by probe and the reason's name."""
    reasons = [
        f"{probe} {reason} {packets}"
        for probe, each in reading.missed.items()
        for reason, packets in each.items()
        if packets
    ]
    total = sum(sum(each.values()) for each in reading.missed.values())
    return f"missed {total}" + (f" ({', '.join(reasons)})" if reasons else "")


def _on(interface: str) -> Callable[[Iterable[StationLine]], list[StationLine]]:
    return lambda lines: [line for line in lines if line.station.interface == interface]


def _of(addresses: set[str]) -> Callable[[Iterable[FlowLine]], list[FlowLine]]:
    return lambda lines: [line for line in lines if {line.flow.src, line.flow.dst} & addresses]


def _speeds(sheet: Sheet[Any], lines: Iterable[Any]) -> dict[Hashable, float]:
    """Of the fastest lines only, so that memory stays bounded whatever comes."""
    found = [(speed, sheet.key(line)) for line in lines if (speed := sheet.speed(line))]
    if len(found) > _REMEMBERED:
        found = sorted(found, key=lambda pair: -pair[0])[:_REMEMBERED]
    return {key: speed for speed, key in found}
