"""The ticks of the last minutes: of each only what charts need, packed, since there are many."""

import json
import zlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Final

from meshlens.web.tables import Row
from meshlens.web.tick import BYS, By, Tick, of_interface, rounded, top_rows

__all__ = ["PAST_TOP", "Past"]

#: Of each interface so many filters and stations are kept, by packets and by bytes.
PAST_TOP: Final = 12
_LENGTH: Final = 180
_TABLES: Final = ("filters", "stations")


class Past:
    """Takes ticks in order, forgets the oldest; some kilobytes each, where the rows would be hundreds."""

    def __init__(self, length: int = _LENGTH) -> None:
        self._packed: deque[tuple[int, bytes]] = deque(maxlen=length)

    def add(self, tick: Tick) -> None:
        """Keep what charts need of a tick."""
        while self._packed and self._packed[-1][0] >= tick.time_ns:
            self._packed.pop()  # the clock was set back
        tables = {"interfaces": tick.interfaces}
        tables |= {name: tuple(_top_of_each(getattr(tick, name))) for name in _TABLES}
        event = {name: [rounded(row) for row in rows] for name, rows in tables.items()}
        text = json.dumps({"time": tick.time_ns / 1e9, "seconds": round(tick.seconds, 3), **event})
        self._packed.append((tick.time_ns, zlib.compress(text.encode(), 1)))

    def events(self, interface: str, by: By, after_ns: int = 0) -> list[Row]:
        """Ticks after `after_ns` with the top filters and stations, of one interface if it is named."""
        known = tuple(self._packed)  # other threads may ask while ticks come
        events = [json.loads(zlib.decompress(packed)) for time_ns, packed in known if time_ns > after_ns]
        for event in events:
            for name in _TABLES:
                event[name] = top_rows(of_interface(event[name], interface), PAST_TOP, by)
        return events

    def knows(self, time_ns: int) -> bool:
        """Whether there is a tick of this time."""
        return any(known == time_ns for known, _ in tuple(self._packed))


def _top_of_each(rows: Iterable[Row]) -> Iterator[Row]:
    """Of each interface the top rows by either rate, none twice."""
    by_interface: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_interface[row["interface"]].append(row)
    for of_one in by_interface.values():
        yield from {id(row): row for by in BYS for row in top_rows(of_one, PAST_TOP, by)}.values()
