"""Flows as data frames and files."""

import importlib
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import meshlens
from meshlens.errors import UsageError
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import payload_mix
from meshlens.probes.flows.record import Flow


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "mix.pcap"
    write_pcap(path, [frame.data for frame in payload_mix()])
    return path


def test_a_data_frame_has_a_row_a_flow_and_a_column_a_field(capture: Path) -> None:
    pytest.importorskip("pandas")
    frame = meshlens.flows(read=capture).to_pandas()
    flows = list(meshlens.flows(read=capture))
    assert list(frame.columns) == [field.name for field in fields(Flow)]
    assert len(frame) == len(flows)
    assert frame.src_bytes.sum() == sum(flow.src_bytes for flow in flows)


def test_a_parquet_file_gives_back_what_was_written(capture: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    meshlens.flows(read=capture, filter="udp").to_parquet(tmp_path / "udp.parquet")
    rows = importlib.import_module("pyarrow.parquet").read_table(tmp_path / "udp.parquet").to_pylist()
    expected = list(meshlens.flows(read=capture, filter="udp"))
    assert [row["src"] for row in rows] == [flow.src for flow in expected]
    assert [tuple(row["head_sizes"]) for row in rows] == [flow.head_sizes for flow in expected]


@pytest.mark.parametrize("name", ["pandas", "pyarrow"])
def test_a_library_that_is_missing_is_named(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    stream = meshlens.flows(read=capture)
    with pytest.raises(UsageError, match=f"this needs {name}, which is not installed: pip install {name}"):
        stream.to_pandas() if name == "pandas" else stream.to_parquet(tmp_path / "flows.parquet")


@pytest.mark.parametrize(("head", "idle_s", "active_s"), [(65, 15, 0), (-1, 15, 0), (8, 0, 0), (8, 15, -1)])
def test_options_out_of_range_are_refused(capture: Path, head: int, idle_s: float, active_s: float) -> None:
    with pytest.raises(UsageError):
        meshlens.flows(read=capture, head=head, idle_s=idle_s, active_s=active_s)


def test_files_and_interfaces_are_not_mixed(capture: Path) -> None:
    with pytest.raises(UsageError, match="give `read` alone"):
        meshlens.flows("eth0", read=capture)  # type: ignore[call-overload]
