"""The SQLite file of a history: its tables, and how a file of an older meshlens is brought up to date.

`series` names what was counted. A table a level holds what was added in each step of so many seconds; rows of
zeros are left out. Nothing is rolled up later: every step is added to the row of its longer step at once, in
the same transaction, so that a kill leaves both levels complete and equal.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from meshlens.errors import MeshlensError, UsageError

__all__ = ["LEVELS", "MIGRATIONS", "Level", "StoreError", "open_reader", "open_writer", "troubles"]


class StoreError(MeshlensError):
    """The file of a history cannot be used."""


class Level(NamedTuple):
    """A resolution: the table of its steps, the seconds a step, and for how many seconds steps are kept."""

    table: str
    step_s: int
    keep_s: int


#: From fine to coarse; each step is a multiple of the one before. How long is the default.
LEVELS: Final = (Level("steps_10s", 10, 86_400), Level("steps_5min", 300, 90 * 86_400))

#: PRAGMA application_id: "mlhi". Tells the file from other databases.
_APPLICATION: Final = 0x6D6C6869

_STEPS: Final = """
CREATE TABLE {} (
    time INTEGER NOT NULL,          -- seconds since the epoch at which the step began
    series INTEGER NOT NULL,
    packets_in INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    packets_out INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    PRIMARY KEY (time, series)
) WITHOUT ROWID;
"""

#: Script n makes version n + 1 (PRAGMA user_version) of version n; an empty file is version 0.
MIGRATIONS: Final = (
    """
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        interface TEXT NOT NULL,
        name TEXT NOT NULL,
        used INTEGER NOT NULL,      -- seconds since the epoch at which it last had a row, to the hour
        UNIQUE (kind, interface, name)
    );
    """
    + _STEPS.format("steps_10s")
    + _STEPS.format("steps_5min"),
    # What a person calls it: a station's name and vendor.
    "ALTER TABLE series ADD COLUMN label TEXT NOT NULL DEFAULT '';",
)


def open_writer(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open the file, make it or bring it up to date. May be used from any thread, by one at a time.

    Raises StoreError if it is something else, damaged, of a newer meshlens, or cannot be written.
    """
    with troubles(path):
        store = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            version = _version(store, path)
            store.execute("PRAGMA journal_mode = WAL")
            store.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a power cut may take the last steps, never the file
            store.execute("PRAGMA journal_size_limit = 8388608")
            store.execute("PRAGMA cache_size = -2048")
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                store.executescript(
                    f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {_APPLICATION};"
                    f" PRAGMA user_version = {number}; COMMIT;"
                )
        except BaseException:
            store.close()
            raise
        return store


@contextmanager
def open_reader(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """The file to be asked, also while another process writes. Raises UsageError if there is none."""
    if not Path(path).exists():
        raise UsageError(
            f"no history at {path}: 'meshlens serve' keeps one if its configuration has [history]"
        )
    with troubles(path):
        store = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            version = _version(store, path)
            if version < len(MIGRATIONS):
                raise StoreError(f"{path} is of an older meshlens: start 'meshlens serve' with it once")
            yield store
        finally:
            store.close()


@contextmanager
def troubles(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say what is wrong with the file, instead of what SQLite says."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot use the history {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the history {path} is damaged ({error}): move it away, a new one is begun"
        ) from error


def _version(store: sqlite3.Connection, path: str | os.PathLike[str]) -> int:
    try:
        (application,) = store.execute("PRAGMA application_id").fetchone()
        (version,) = store.execute("PRAGMA user_version").fetchone()
        (tables,) = store.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} is no history of meshlens ({error}): move it away, or name another file"
        ) from error
    if tables and application != _APPLICATION:
        raise StoreError(f"{path} is another program's database: name another file")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} is of a newer meshlens (version {version}, known are {len(MIGRATIONS)}): "
            "update meshlens, or name another file"
        )
    return int(version)
