"""Writes a history: what was added in each step, kept the longer the coarser, bounded in size."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from meshlens.outputs.history.schema import LEVELS, Level, StoreError, open_writer, troubles
from meshlens.outputs.history.tally import NOTHING, Amount, Key, Tally, plus, station_name
from meshlens.readings.reading import Reading

__all__ = ["DEFAULT_MAX_BYTES", "HistoryStore"]

DEFAULT_MAX_BYTES: Final = 512 << 20

#: Of the flows and stations of a step, so many are kept by name; the others are added up as "other".
_BUSIEST: Final = {"flows": 250, "stations": 1000}
#: Steps that could not be written are kept for later; more than this would be a memory leak.
_MAX_PENDING: Final = 60
_HOUR_S: Final = 3600
_SERIES_KNOWN: Final = 20_000

_ADD: Final = """
INSERT INTO {} VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    packets_in = packets_in + excluded.packets_in, bytes_in = bytes_in + excluded.bytes_in,
    packets_out = packets_out + excluded.packets_out, bytes_out = bytes_out + excluded.bytes_out
"""
_SERIES: Final = """
INSERT INTO series (kind, interface, name, used, label) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    used = max(used, excluded.used), label = iif(excluded.label = '', label, excluded.label)
RETURNING id
"""


class HistoryStore:
    """A file that readings are added to, from one thread at a time.

    A step is written when the first reading of the next comes, and by `close()`: a kill loses no more than
    the step at which it comes. `keep_s` are seconds for each of the LEVELS.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_s: Iterable[int] = (),
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.path, self.max_bytes = path, max_bytes
        self.levels = [
            level._replace(keep_s=keep) for level, keep in zip(LEVELS, keep_s, strict=True)
        ] if keep_s else list(LEVELS)  # fmt: skip
        self.lost_steps = 0
        """Steps that were given up because the file could not be written for too long."""
        self._tally = Tally()
        self._pending: dict[int, dict[Key, Amount]] = {}
        self._labels: dict[Key, str] = {}
        self._series: dict[Key, tuple[int, int, str]] = {}
        self._before_ns = self._pruned = 0
        self._store = open_writer(path)

    def write(self, reading: Reading) -> None:
        """Add what is new since the reading before. Raises StoreError if a step cannot be written now."""
        middle_ns = (self._before_ns + reading.time_ns) // 2 if self._before_ns else reading.time_ns
        self._before_ns = reading.time_ns
        step_s = self.levels[0].step_s
        step = middle_ns // 10**9 // step_s * step_s
        sums = self._pending.setdefault(step, {})
        for key, amount in self._tally.added(reading).items():
            sums[key] = plus(sums.get(key, NOTHING), amount)
        self._labels |= {
            Key("stations", each.interface, station_name(each)): " ".join(
                filter(None, (each.name, each.vendor))
            )
            for each in reading.stations
        }
        if len(self._pending) > 1:
            self._write([each for each in self._pending if each != step])

    def begin_at(self, reading: Reading) -> None:
        """Count from this reading on: what it holds is known already."""
        self._tally.begin_at(reading)

    def close(self) -> None:
        """Write what there is, and close the file."""
        try:
            self._write(list(self._pending))
        finally:
            self._store.close()

    def _write(self, steps: list[int]) -> None:
        try:
            with troubles(self.path):
                self._store.execute("BEGIN IMMEDIATE")
                try:
                    for step in steps:
                        self._write_step(step, _busiest(self._pending[step]))
                    self._prune(max(steps, default=0))
                except BaseException:
                    with suppress(Exception):  # a full disk has ended the transaction already
                        self._store.execute("ROLLBACK")
                    self._series.clear()  # ids that were given out are no more
                    raise
                self._store.execute("COMMIT")
        except StoreError:
            for step in sorted(steps)[:-_MAX_PENDING]:
                self.lost_steps += 1
                del self._pending[step]
            raise
        for step in steps:
            del self._pending[step]

    def _write_step(self, step: int, sums: dict[Key, Amount]) -> None:
        rows = [(self._series_id(key, step), *amount) for key, amount in sums.items()]
        for level in self.levels:
            time = step // level.step_s * level.step_s
            self._store.executemany(_ADD.format(level.table), [(time, *row) for row in rows])

    def _series_id(self, key: Key, step: int) -> int:
        """The number of a series, which is made or brought up to date where needed."""
        used, label = step // _HOUR_S * _HOUR_S, self._labels.get(key, "")
        known = self._series.get(key)
        if known and known[1] >= used and known[2] == label:
            return known[0]
        (number,) = self._store.execute(
            _SERIES,
            (*key, used, label),
        ).fetchone()
        if len(self._series) >= _SERIES_KNOWN:
            self._series.clear()
        self._series[key] = number, used, label
        return int(number)

    def _prune(self, now_s: int) -> None:
        """Once a longest step: drop what is too old, then the oldest if the file is too large."""
        turn = now_s // self.levels[-1].step_s
        if turn == self._pruned:
            return
        self._pruned = turn
        for level in self.levels:
            self._store.execute(f"DELETE FROM {level.table} WHERE time < ?", (now_s - level.keep_s,))
        while self._used_bytes() > self.max_bytes and self._drop_oldest():
            pass
        horizon = now_s - self.levels[-1].keep_s - _HOUR_S
        self._store.execute("DELETE FROM series WHERE used < ?", (horizon,))
        # What has had no row for an hour is looked up again: most flows and many phones are seen once only.
        self._series = {key: known for key, known in self._series.items() if known[1] >= now_s - 2 * _HOUR_S}
        self._labels = {key: label for key, label in self._labels.items() if key in self._series}

    def _used_bytes(self) -> int:
        """Pages in use: freed ones are used again before the file grows."""
        pages, free, size = (
            self._store.execute(f"PRAGMA {each}").fetchone()[0]
            for each in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _drop_oldest(self) -> bool:
        """Drop the oldest tenth of the finest level of which there is more than an hour."""
        for level in self.levels:
            first, last = self._span(level)
            if last - first > _HOUR_S:
                cut = first + max(level.step_s, (last - first) // 10)
                self._store.execute(f"DELETE FROM {level.table} WHERE time < ?", (cut,))
                return True
        return False

    def _span(self, level: Level) -> tuple[int, int]:
        first, last = self._store.execute(f"SELECT min(time), max(time) FROM {level.table}").fetchone()
        return first or 0, last or 0


def _busiest(sums: dict[Key, Amount]) -> dict[Key, Amount]:
    """All but flows and stations as they are; of these the busiest, the others added up by interface."""
    kept = {key: amount for key, amount in sums.items() if key.kind not in _BUSIEST}
    for kind, number in _BUSIEST.items():
        own = [(key, amount) for key, amount in sums.items() if key.kind == kind]
        own.sort(key=lambda each: each[1][1] + each[1][3], reverse=True)
        kept |= own[:number]
        for key, amount in own[number:]:
            other = Key(kind, key.interface, "other")
            kept[other] = plus(kept.get(other, NOTHING), amount)
    return kept
