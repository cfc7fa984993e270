"""What capture files are read from and into: the records, and a file that knows how far it was read."""

from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from meshlens.errors import MeshlensError

__all__ = ["MAX_FRAME_BYTES", "NS_PER_SECOND", "CaptureError", "CapturedFrame", "Interface", "Stream"]

MAX_FRAME_BYTES = 262_144  # MAXIMUM_SNAPLEN of libpcap
NS_PER_SECOND = 1_000_000_000


class CaptureError(MeshlensError):
    """A capture file that cannot be read, or not further: names the file and the byte offset."""


class CapturedFrame(NamedTuple):
    """One frame of a capture file.

    `data` is what was captured, `wire_length` (bytes) what was on the wire. `timestamp_ns` counts from the
    epoch; it is 0 in pcapng's simple packet blocks, which have no time. `interface` is an index of
    `CaptureReader.interfaces`, `link_type` a LINKTYPE_ number (1 is Ethernet). `direction` is None where the
    file does not say.
    """

    data: bytes
    wire_length: int
    timestamp_ns: int
    interface: int
    link_type: int
    direction: Literal["in", "out"] | None


@dataclass(frozen=True, slots=True)
class Interface:
    """What a file says about an interface it was captured on; a pcap file has one, without a name.

    `snapshot_bytes` is None where frames were not cut short. Time counts `ticks_per_second` from
    `offset_seconds` after the epoch.
    """

    link_type: int
    snapshot_bytes: int | None = None
    name: str = ""
    ticks_per_second: int = 1_000_000
    offset_seconds: int = 0

    def timestamp_ns(self, ticks: int) -> int:
        return ticks * NS_PER_SECOND // self.ticks_per_second + self.offset_seconds * NS_PER_SECOND


class Stream:
    """A binary file that knows its name and how far it has been read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        self.offset = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end of the file."""
        try:
            data = self.file.read(size)
        except OSError as error:
            raise self.error(self.offset, error.strerror or str(error)) from error
        self.offset += len(data)
        return data

    def exactly(self, size: int, what: str) -> bytes:
        """`size` bytes, or a `CaptureError` that says what they would have been."""
        data = self.read(size)
        if len(data) < size:
            raise self.cut_off(data, size, what)
        return data

    def cut_off(self, data: bytes, size: int, what: str) -> CaptureError:
        start = self.offset - len(data)
        return self.error(start, f"{what} needs {size} bytes, but the file ends after {len(data)}")

    def error(self, offset: int, problem: str) -> CaptureError:
        return CaptureError(f"{self.name}: byte {offset}: {problem}")
