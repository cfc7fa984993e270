"""Files in turn are named as tcpdump names them, and hold whole blocks only."""

import struct
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.probes.capture.files import CaptureOutput, Rotation


def block(size: int, fill: int = 0) -> bytes:
    return struct.pack("=II", 6, size).ljust(size, bytes([fill]))


def output(path: Path, rotation: Rotation) -> CaptureOutput:
    return CaptureOutput(str(path), lambda: block(12), lambda: block(16), rotation)


@pytest.mark.parametrize(
    ("rotation", "names"),
    [
        (Rotation(file_bytes=1), ["x", "x1", "x2"]),
        (Rotation(file_bytes=1, files=2), ["x0", "x1", "x0"]),
        (Rotation(file_bytes=1, files=11), ["x00", "x01", "x02"]),
    ],
)
def test_names_by_size(rotation: Rotation, names: list[str]) -> None:
    assert [rotation.name("x", number, 0) for number in range(3)] == names


def test_names_by_time_follow_strftime() -> None:
    assert Rotation(seconds=1).name("x%S", 0, 7) == "x07"
    assert Rotation(file_bytes=1, seconds=1).name("x%S-", 3, 7) == "x07-3"
    assert Rotation(file_bytes=1).name("x%S", 0, 7) == "x%S", "a name is a pattern with -G alone"


def test_a_file_ends_before_it_exceeds_its_size(tmp_path: Path) -> None:
    target = output(tmp_path / "x", Rotation(file_bytes=100))
    target.write(memoryview(b"".join(block(40, number) for number in range(5))))
    target.close()
    sizes = [(tmp_path / name).stat().st_size for name in ("x", "x1", "x2")]
    assert sizes == [12 + 80 + 16, 12 + 80 + 16, 12 + 40 + 16]


def test_a_block_larger_than_a_file_may_be_is_written_whole(tmp_path: Path) -> None:
    target = output(tmp_path / "x", Rotation(file_bytes=20))
    target.write(memoryview(block(40) + block(40)))
    target.close()
    assert [(tmp_path / name).stat().st_size for name in ("x", "x1")] == [68, 68]


def test_the_first_file_is_written_anew_after_the_last(tmp_path: Path) -> None:
    target = output(tmp_path / "x", Rotation(file_bytes=60, files=2))
    target.write(memoryview(b"".join(block(40, number) for number in range(3))))
    target.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x0", "x1"]
    assert (tmp_path / "x0").read_bytes()[12 + 8] == 2
    assert (tmp_path / "x1").read_bytes()[12 + 8] == 1


@pytest.mark.parametrize(
    ("path", "rotation"),
    [
        ("-", Rotation(seconds=1)),
        ("x", Rotation(files=1)),
        ("x", Rotation(file_bytes=1, seconds=1, files=1)),
    ],
)
def test_what_cannot_be_meant_together_is_refused(path: str, rotation: Rotation) -> None:
    with pytest.raises(UsageError):
        CaptureOutput(path, bytes, bytes, rotation)
