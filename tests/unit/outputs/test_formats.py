from hypothesis import given, settings

from meshlens.outputs import FORMATS
from meshlens.probes.snapshot import Snapshot
from tests.unit.outputs.snapshots import snapshots


def test_the_formats_are_the_documented_ones() -> None:
    assert list(FORMATS) == ["table", "json", "bpfcountd", "prometheus", "respondd", "respondd-compact"]


@settings(deadline=None)
@given(snapshots())
def test_every_format_takes_any_snapshot_and_returns_whole_lines(snapshot: Snapshot) -> None:
    for name, formatter in FORMATS.items():
        text = formatter(snapshot)
        assert text.endswith("\n") or (name == "bpfcountd" and not text)
        text.encode()
