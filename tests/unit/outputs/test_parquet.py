"""A file an hour, with all that was in it; what a killed process leaves is converted by the next."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from meshlens.errors import MeshlensError, UsageError
from meshlens.outputs import parquet
from meshlens.outputs.parquet import ParquetHours, convert
from meshlens.readings.reading import Reading
from tests.readings import reading, time_of

pq = pytest.importorskip("pyarrow.parquet")

HOUR_S = 3600


def at(step: int, seconds: int) -> Reading:
    """A reading as of another time."""
    return replace(reading(step, filters=0), time_ns=time_of(seconds))


def rows(path: Path) -> list[dict[str, object]]:
    return list(pq.read_table(path).to_pylist())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_finished_hours_are_files_and_the_hour_that_goes_on_is_hidden(tmp_path: Path) -> None:
    sink = ParquetHours(tmp_path)
    many = [at(step, 3590 + step) for step in range(30)]
    for each in many:
        sink.write(each)
    sink.close()
    assert names(tmp_path) == [
        ".flows-2026-11-23T11.jsonl", "flows-2026-11-23T10.parquet", "stations-2026-11-23T10.parquet",
    ]  # fmt: skip
    first = [flow for each in many for flow in each.ended if each.time_ns < time_of(HOUR_S)]
    got = rows(tmp_path / "flows-2026-11-23T10.parquet")
    for row, flow in zip(got, first, strict=True):
        assert {
            key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
        } == asdict(flow)


def test_stations_are_sampled_with_what_tells_their_kind(tmp_path: Path) -> None:
    sink = ParquetHours(tmp_path, stations_s=60)
    for seconds in range(0, 181, 5):
        sink.write(at(seconds // 5, seconds))
    sink.close()
    got = rows(convert(tmp_path / ".stations-2026-11-23T10.jsonl"))
    assert sorted({row["time_ns"] for row in got}) == [time_of(each) for each in (0, 60, 120, 180)]  # type: ignore[type-var]
    assert len(got) == 4 * 200
    told = reading(36).stations[1]
    row = got[3 * 200 + 1]
    assert told.dhcp
    assert told.syn
    assert (row["mac"], row["in_bytes"], row["hostname"]) == (told.mac, told.in_bytes, "host-1")
    assert row["dhcp_requested"] == list(told.dhcp.requested)
    assert (row["syn_ttl"], row["syn_options"]) == (64, list(told.syn.options))
    assert dict(row["protocols"]) == told.protocols  # type: ignore[call-overload]
    assert row["seen"] == ["dad", "mdns"]
    assert got[3 * 200]["dhcp_options"] is None


def test_what_a_kill_leaves_is_converted_by_the_next_process_without_the_line_cut_off(tmp_path: Path) -> None:
    sink = ParquetHours(tmp_path)
    for step in range(12):
        sink.write(at(step, step))
    sink.close()
    spool = tmp_path / ".flows-2026-11-23T10.jsonl"
    spool.write_text(spool.read_text()[:-20])
    flows = [flow for step in range(12) for flow in reading(step, filters=0).ended]
    later = ParquetHours(tmp_path)
    later.write(at(20, 100))  # still in the same hour
    later.write(at(40, HOUR_S))
    later.close()
    got = rows(tmp_path / "flows-2026-11-23T10.parquet")
    assert [row["first_ns"] for row in got] == [
        flow.first_ns for flow in flows[:-1] + list(reading(20, filters=0).ended)
    ]
    assert not spool.exists()


def test_leftovers_of_long_ago_are_converted_at_the_start(tmp_path: Path) -> None:
    first = ParquetHours(tmp_path)
    first.write(at(5, 0))
    first.close()
    later = ParquetHours(tmp_path)
    later.write(at(6, 5 * HOUR_S))
    later.close()
    assert {"flows-2026-11-23T10.parquet", "stations-2026-11-23T10.parquet"} <= set(names(tmp_path))


def test_an_hour_that_cannot_be_converted_is_said_and_its_lines_stay(tmp_path: Path) -> None:
    spool = tmp_path / ".flows-2026-11-23T09.jsonl"
    spool.write_text('{"src_port": "x"}\n')
    (tmp_path / ".flows-2026-11-23T09.1.jsonl").write_text('{"src_port": 80}\n')
    sink = ParquetHours(tmp_path)
    sink.write(at(1, 0))
    sink._children[0].wait(60)
    with pytest.raises(MeshlensError, match=f"an hour in {tmp_path} could not be converted: its lines stay"):
        sink.write(at(2, 1))
    sink.write(at(3, 2))
    sink.close()
    assert spool.read_text() == '{"src_port": "x"}\n'
    assert (tmp_path / "flows-2026-11-23T09.1.parquet").exists()


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    for number in range(2):
        sink = ParquetHours(tmp_path)
        sink.write(at(5 + number, 0))
        sink.close()
        convert(tmp_path / ".flows-2026-11-23T10.jsonl")
    assert {"flows-2026-11-23T10.parquet", "flows-2026-11-23T10.2.parquet"} <= set(names(tmp_path))


def test_many_rows_are_converted_a_batch_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_BATCH", 7)
    sink = ParquetHours(tmp_path)
    for step in range(20):
        sink.write(at(step, step))
    sink.close()
    path = convert(tmp_path / ".flows-2026-11-23T10.jsonl")
    flows = [flow for step in range(20) for flow in reading(step, filters=0).ended]
    assert pq.ParquetFile(path).num_row_groups == -(-len(flows) // 7) > 2
    assert [row["src_port"] for row in rows(path)] == [flow.src_port for flow in flows]


def test_the_daemon_itself_never_loads_the_library(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom meshlens.outputs.parquet import ParquetHours\nfrom tests.readings import reading\n"
        "sink = ParquetHours(sys.argv[1])\nsink.write(reading(3, filters=0))\nsink.close()\n"
        "print('pyarrow' in sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_a_place_that_cannot_be_written_and_a_missing_library_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        MeshlensError, match=f"cannot write Parquet files to {tmp_path}/file/x: Not a directory"
    ):
        ParquetHours(tmp_path / "file" / "x")
    monkeypatch.setattr(parquet, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'meshlens\[parquet\]'"):
        ParquetHours(tmp_path)
