"""Files of older versions are brought up to date; others are refused with a word on what to do."""

import sqlite3
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.outputs.history.schema import MIGRATIONS, StoreError, open_reader, open_writer


def older(path: Path, version: int) -> None:
    """A file as the meshlens of that version left it, with a row in it."""
    store = sqlite3.connect(path)
    for script in MIGRATIONS[:version]:
        store.executescript(script)
    store.execute(f"PRAGMA application_id = {0x6D6C6869}")
    store.execute(f"PRAGMA user_version = {version}")
    store.execute("INSERT INTO series (kind, interface, name, used) VALUES ('stations', 'eth0', 'aa', 7)")
    store.execute("INSERT INTO steps_10s VALUES (10, 1, 1, 2, 3, 4)")
    store.commit()
    store.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_file_of_any_older_version_keeps_its_rows_and_gets_the_newest_tables(
    tmp_path: Path, version: int
) -> None:
    fresh, old = open_writer(tmp_path / "fresh"), tmp_path / "old"
    older(old, version)
    store = open_writer(old)
    assert store.execute("SELECT * FROM steps_10s").fetchall() == [(10, 1, 1, 2, 3, 4)]
    assert store.execute("SELECT name, label FROM series").fetchall() == [("aa", "")]

    def columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return [
            (table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")
        ]

    assert columns(store) == columns(fresh)
    for connection in (store, fresh):
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        connection.close()


def test_it_keeps_a_write_ahead_log_and_readers_read_while_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    store = open_writer(path)
    assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.execute("BEGIN IMMEDIATE")
    store.execute("INSERT INTO steps_10s VALUES (10, 1, 1, 2, 3, 4)")
    with open_reader(path) as reader:
        assert reader.execute("SELECT count(*) FROM steps_10s").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM series")
    store.execute("COMMIT")
    store.close()


def refusal(path: Path) -> str:
    messages = []
    for use in (open_writer, lambda path: open_reader(path).__enter__()):
        with pytest.raises(StoreError) as caught:
            use(path)
        messages.append(str(caught.value))
    assert len(set(messages)) == 1
    assert "\n" not in messages[0]
    return messages[0]


def test_a_file_of_something_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    assert (
        refusal(path)
        == f"{path} is no history of meshlens (file is not a database): move it away, or name another file"
    )
    assert path.read_text() == "not a database " * 100


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    other.close()
    before = path.read_bytes()
    assert refusal(path) == f"{path} is another program's database: name another file"
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    older(path, len(MIGRATIONS))
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    assert "is of a newer meshlens (version 99" in refusal(path)


def test_a_reader_makes_no_file_and_changes_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no history at"), open_reader(tmp_path / "none.db"):
        pass
    assert not list(tmp_path.iterdir())
    older(tmp_path / "old.db", 1)
    with pytest.raises(StoreError, match="of an older meshlens"), open_reader(tmp_path / "old.db"):
        pass


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=f"cannot use the history {tmp_path}/none/history.db: unable to open"
    ):
        open_writer(tmp_path / "none" / "history.db")
