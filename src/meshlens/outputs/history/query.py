"""Asks a history: who had how much in a span of time, and what the rates were step by step."""

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshlens.errors import UsageError
from meshlens.outputs.history.schema import LEVELS, Level, open_reader
from meshlens.outputs.history.series import History, HistoryKind, Series

__all__ = ["Amounts", "Totals", "rates_by_step", "totals"]

#: What was added up as "other" is nobody's.
_BUSIEST: Final = "name = 'other', sum(bytes_in + bytes_out) DESC, name"
_SUMS: Final = "sum(packets_in), sum(bytes_in), sum(packets_out), sum(bytes_out)"

#: Sums over a span need no finer steps than this many: those at its ends are whole ones.
_STEPS_IN_A_SPAN: Final = 100
_MAX_STEPS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Amounts:
    """What went in and out of one thing: an interface, a filter, a station, the flows between two ends."""

    name: str
    interface: str
    label: str
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The busiest first. The span is that of whole steps; `recorded_s` of it something was recorded.

    `things` is how many there were, `missed` packets that could not be counted, by "probe: reason".
    """

    since_s: int
    until_s: int
    recorded_s: float
    things: int
    rows: tuple[Amounts, ...]
    missed: dict[str, int]


def totals(
    path: str | os.PathLike[str],
    kind: HistoryKind,
    *,
    since_ns: int,
    until_ns: int,
    interface: str = "",
    match: str = "",
    top: int | None = None,
) -> Totals:
    """Add up what went in and out from `since_ns` to `until_ns`, of things whose name or label has `match`.

    Raises UsageError if there is no file, StoreError if it cannot be read.
    """
    with open_reader(path) as store:
        level = _level(store, since_ns // 10**9, (until_ns - since_ns) / 1e9 / _STEPS_IN_A_SPAN)
        since, until = _whole_steps(level, since_ns, until_ns)
        where = "time >= ? AND time < ? AND kind = ?"
        rows = store.execute(
            f"SELECT name, interface, label, {_SUMS} FROM {level.table} JOIN series ON id = series "
            f"WHERE {where} AND (? IN ('', interface)) AND (instr(name, ?) OR instr(label, ?)) "
            f"GROUP BY series ORDER BY {_BUSIEST}",
            (since, until, kind, interface, match, match),
        ).fetchall()
        extra = (
            f"SELECT name, {_SUMS} FROM {level.table} JOIN series ON id = series WHERE {where} GROUP BY name"
        )
        missed = {name: packets for name, packets, *_ in store.execute(extra, (since, until, "missed"))}
        recorded = [ms for _, ms, *_ in store.execute(extra, (since, until, "recorded"))]
    shown = tuple(Amounts(*row) for row in rows[:top])
    return Totals(since, until, sum(recorded) / 1000, len(rows), shown, missed)


def rates_by_step(
    path: str | os.PathLike[str],
    kind: HistoryKind,
    *,
    since_ns: int,
    until_ns: int,
    step_s: float,
    names: Collection[str] = (),
    top: int = 8,
) -> History:
    """Rates by step of the series `names`, or else of the `top` ones with the most bytes.

    A step is at least `step_s` long, and a whole number of what is stored. Rates are of the time in which
    something was recorded; None where nothing was. Raises as `totals`, and UsageError for too many steps.
    """
    with open_reader(path) as store:
        since_ns = max(since_ns, _oldest(store) * 10**9)
        level = _level(store, since_ns // 10**9, step_s)
        step = -(-max(step_s, level.step_s) // level.step_s) * level.step_s
        since, until = _whole_steps(level._replace(step_s=int(step)), since_ns, until_ns)
        if (until - since) / step > _MAX_STEPS:
            raise UsageError(f"more than {_MAX_STEPS} steps: ask for a shorter span or longer steps")
        chosen = _chosen(store, level, kind, (since, until), names, top)
        recorded = _by_step(store, level, (since, until), int(step), _ids(store, "recorded"))
        rows = _by_step(store, level, (since, until), int(step), list(chosen))
    times = range(since, until, int(step))
    seconds = [sum(row[0] for row in recorded.get(time, {}).values()) / 1000 for time in times]
    series = [
        each
        for number, (name, interface) in chosen.items()
        for each in _series(name, interface, [rows.get(time, {}).get(number) for time in times], seconds)
    ]
    return History(float(step), tuple(time * 10**9 for time in times), tuple(series))


def _level(store: sqlite3.Connection, since_s: int, step_s: float) -> Level:
    """Of those that reach back so far, or as far as any: the coarsest that is fine enough, or the finest."""
    oldest = _oldest(store)
    firsts = [_first(store, level) for level in LEVELS]
    reaching = [
        level
        for level, first in zip(LEVELS, firsts, strict=True)
        if first is not None and first <= max(since_s, oldest + LEVELS[-1].step_s)
    ] or [LEVELS[-1]]
    fine_enough = [level for level in reaching if level.step_s <= step_s]
    return fine_enough[-1] if fine_enough else reaching[0]


def _first(store: sqlite3.Connection, level: Level) -> int | None:
    (first,) = store.execute(f"SELECT min(time) FROM {level.table}").fetchone()
    return None if first is None else int(first)


def _oldest(store: sqlite3.Connection) -> int:
    """Seconds since the epoch; 0 if nothing is there."""
    return min((first for level in LEVELS if (first := _first(store, level)) is not None), default=0)


def _whole_steps(level: Level, since_ns: int, until_ns: int) -> tuple[int, int]:
    """Seconds: the begin of the first step and the end of the last that have a part in the span."""
    step_ns = level.step_s * 10**9
    return since_ns // step_ns * level.step_s, -(-until_ns // step_ns) * level.step_s


def _chosen(
    store: sqlite3.Connection,
    level: Level,
    kind: str,
    span: tuple[int, int],
    names: Collection[str],
    top: int,
) -> dict[int, tuple[str, str]]:
    """Name and interface by the series' number."""
    marks = ", ".join("?" * len(names))
    # An address stands for a station in whatever part it was seen.
    named = f"AND (name IN ({marks}) OR kind = 'stations' AND substr(name, 1, 17) IN ({marks}))"
    wanted, limit = (named, -1) if names else ("", top)
    return {
        number: (name, interface)
        for number, name, interface in store.execute(
            f"SELECT id, name, interface FROM {level.table} JOIN series ON id = series "
            f"WHERE time >= ? AND time < ? AND kind = ? {wanted} "
            f"GROUP BY id ORDER BY {_BUSIEST} LIMIT ?",
            (*span, kind, *names, *names, limit),
        )
    }


def _ids(store: sqlite3.Connection, kind: str) -> list[int]:
    return [number for (number,) in store.execute("SELECT id FROM series WHERE kind = ?", (kind,))]


def _by_step(
    store: sqlite3.Connection, level: Level, span: tuple[int, int], step: int, ids: Sequence[int]
) -> dict[int, dict[int, tuple[int, ...]]]:
    """By the step's begin and the series' number, what went in and out."""
    found: dict[int, dict[int, tuple[int, ...]]] = {}
    marks = ", ".join("?" * len(ids))
    for time, number, *amount in store.execute(
        f"SELECT time / ? * ? AS step, series, {_SUMS} FROM {level.table} "
        f"WHERE time >= ? AND time < ? AND series IN ({marks}) GROUP BY step, series",
        (step, step, *span, *ids),
    ):
        found.setdefault(time, {})[number] = tuple(amount)
    return found


def _series(
    name: str, interface: str, amounts: Sequence[tuple[int, ...] | None], seconds: Sequence[float]
) -> Iterator[Series]:
    """Both directions of a thing. Where time was recorded and nothing came, the rate is 0."""

    def rates(column: int) -> tuple[float | None, ...]:
        return tuple(
            ((amount[column] if amount else 0) / passed) if passed else None
            for amount, passed in zip(amounts, seconds, strict=True)
        )

    yield Series(name, interface, "in", rates(0), rates(1))
    yield Series(name, interface, "out", rates(2), rates(3))
