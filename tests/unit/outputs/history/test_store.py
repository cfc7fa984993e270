"""What was stored is what was read: after a restart, after a kill, in both levels, within its bounds."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from meshlens.outputs.history.schema import LEVELS, StoreError
from meshlens.outputs.history.store import HistoryStore
from meshlens.outputs.history.tally import Amount, station_name
from meshlens.probes.flows.record import Flow
from meshlens.readings.reading import Reading
from tests.readings import SECOND_NS, START_NS, reading

ROOT = Path(__file__).parents[4]

#: A few things, so that a day takes a second.
SMALL = 3


def small(step: int, *, since: int = 0) -> Reading:
    whole = reading(step, since=since, filters=0)
    return Reading(whole.time_ns, whole.interfaces[:SMALL], whole.stations[:SMALL])


def fill(path: Path, readings: Iterable[Reading], **options: object) -> None:
    store = HistoryStore(path, **options)  # type: ignore[arg-type]
    for each in readings:
        store.write(each)
    store.close()


def sums(path: Path, table: str, kind: str = "interfaces") -> dict[tuple[str, str], Amount]:
    with sqlite3.connect(path) as store:
        rows = store.execute(
            "SELECT interface, name, sum(packets_in), sum(bytes_in), sum(packets_out), sum(bytes_out) "
            f"FROM {table} JOIN series ON series = id WHERE kind = ? GROUP BY series",
            (kind,),
        ).fetchall()
    store.close()
    return {(interface, name): tuple(amount) for interface, name, *amount in rows}


def truth(last: Reading) -> dict[tuple[str, str], Amount]:
    return {
        (each.name, each.name): (
            each.traffic[0].packets, each.traffic[0].bytes, each.traffic[1].packets, each.traffic[1].bytes,
        )
        for each in last.interfaces
    }  # fmt: skip


def test_both_levels_hold_all_that_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    fill(path, (small(step) for step in range(0, 1000, 5)))
    for level in LEVELS:
        assert sums(path, level.table) == truth(small(995))
    stations = small(995).stations
    assert {name: amount[0] for (_, name), amount in sums(path, "steps_5min", "stations").items()} == {
        station_name(each): each.in_packets for each in stations
    }


def test_a_restart_adds_to_what_there_is_and_its_counters_begin_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    fill(path, (small(step) for step in range(100)))
    fill(path, (small(step, since=103) for step in range(103, 200)))
    first, second = truth(small(99)), truth(small(199, since=103))
    added = {key: tuple(map(sum, zip(first[key], second[key], strict=True))) for key in first}
    assert sums(path, "steps_10s") == sums(path, "steps_5min") == added


def test_a_step_holds_what_came_in_its_ten_seconds(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    fill(path, (small(step) for step in range(0, 65, 5)))
    with sqlite3.connect(path) as store:
        rows = store.execute(
            "SELECT time, packets_in FROM steps_10s JOIN series ON series = id WHERE name = 'eth0'"
        ).fetchall()
    store.close()
    start = START_NS // SECOND_NS
    at = {step: truth(small(step))["eth0", "eth0"][0] for step in range(0, 65, 5)}
    assert rows == [(start + step, at[step + 10] - at[step]) for step in range(0, 60, 10)]


def test_a_kill_loses_nothing_but_the_last_step_and_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    program = (
        "import sys\nfrom meshlens.outputs.history.store import HistoryStore\n"
        "from tests.unit.outputs.history.test_store import small\n"
        "store = HistoryStore(sys.argv[1])\n"
        "for step in range(10**6):\n    store.write(small(step))\n    print(step, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if int(line) >= 137:
            break
    process.send_signal(signal.SIGKILL)
    step = int((line, *process.stdout)[-1])
    process.wait(10)
    process.stdout.close()
    kept = sums(path, "steps_10s")
    assert kept == sums(path, "steps_5min")
    # What was read in the middle of a ten-second step or before is there; 11 steps at most are not.
    assert any(kept == truth(small(each)) for each in range(step - 11, step + 2))
    fill(path, (small(each, since=500) for each in range(500, 520)))
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_too_old_is_dropped_level_by_level(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    fill(path, (small(step) for step in range(0, 6000, 10)), keep_s=(600, 3000))
    store = sqlite3.connect(path)
    for level, keep in zip(LEVELS, (600, 3000), strict=True):
        first, last = store.execute(f"SELECT min(time), max(time) FROM {level.table}").fetchone()
        assert keep - level.step_s <= last - first <= keep + 2 * LEVELS[-1].step_s
    store.close()


def test_the_file_stays_within_its_size_the_finest_goes_first(tmp_path: Path) -> None:
    path, bound = tmp_path / "h.db", 1_000_000
    store = HistoryStore(path, max_bytes=bound)
    sizes = []
    for step in range(0, 15_000, 10):
        now = reading(step, filters=0)
        store.write(Reading(now.time_ns, now.interfaces, now.stations[:50]))
        sizes.append(path.stat().st_size)
    store.close()
    assert bound / 2 < max(sizes) < 1.3 * bound
    reader = sqlite3.connect(path)
    fine, coarse = (
        reader.execute(f"SELECT max(time) - min(time) FROM {level.table}").fetchone()[0] for level in LEVELS
    )
    reader.close()
    assert fine < coarse
    assert coarse >= 14_000


def test_series_that_have_no_rows_any_more_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    station = reading(1).stations[0]
    store = HistoryStore(path, keep_s=(600, 1200))
    for number in range(0, 12_000, 10):
        mac = f"02:00:00:00:00:{number // 200:02x}"
        now = START_NS + number * SECOND_NS
        store.write(Reading(now, stations=(replace(station, mac=mac, first_ns=number // 200),)))
    assert len(store._series) < 40
    assert len(store._labels) < 40
    store.close()
    names = sqlite3.connect(path).execute("SELECT count(*) FROM series WHERE kind = 'stations'").fetchone()[0]
    assert names < 40


def test_of_many_flows_the_busiest_are_kept_and_the_others_added_up(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    flow = reading(1).flows[0]
    flows: list[Flow] = [replace(flow, dst=f"192.0.2.{n}", src_bytes=n, dst_bytes=0) for n in range(400)]
    fill(path, [Reading(START_NS), Reading(START_NS + SECOND_NS, flows=tuple(flows))])
    kept = {name: amount for (_, name), amount in sums(path, "steps_10s", "flows").items()}
    assert len(kept) == 251
    assert kept["other"][1] == sum(range(150))
    assert sum(amount[1] for amount in kept.values()) == sum(range(400))


def test_a_full_disk_loses_nothing_if_there_is_room_again_soon(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    store = HistoryStore(path)
    for step in range(50):
        store.write(small(step))
    (pages,) = store._store.execute("PRAGMA page_count").fetchone()
    store._store.execute(f"PRAGMA max_page_count = {pages}")  # "database or disk is full"
    complaints = []
    for step in range(50, 300):
        try:
            store.write(reading(step, filters=0))
        except StoreError as error:
            complaints.append(str(error))
    assert complaints
    assert set(complaints) == {f"cannot use the history {path}: database or disk is full"}
    store._store.execute("PRAGMA max_page_count = 1000000")
    store.write(reading(300, filters=0))
    store.close()
    assert store.lost_steps == 0
    assert sums(path, "steps_10s") == truth(reading(300))


def test_what_could_not_be_written_for_too_long_is_given_up_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HistoryStore(tmp_path / "h.db")

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "_write_step", refuse)
    failures = 0
    for step in range(0, 1000, 10):
        try:
            store.write(small(step))
        except StoreError:
            failures += 1
    assert failures == 98
    assert len(store._pending) <= 62
    assert store.lost_steps >= 35


def test_a_file_that_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    fill(path, (reading(step, filters=20) for step in range(0, 100, 10)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StoreError, match=r"the history .*h\.db is damaged \(.*\): move it away"):
        fill(path, (reading(step, filters=20) for step in range(200, 300, 10)))
