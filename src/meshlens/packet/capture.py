"""Capture files as a stream of frames, whichever format they are in.

Files are hostile until read: a length is checked before it is believed, and memory stays bounded
(`MAX_FRAME_BYTES`, `MAX_BLOCK_BYTES`), whatever they claim.
"""

import io
import os
import stat
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from meshlens.packet.captured import MAX_FRAME_BYTES, CapturedFrame, CaptureError, Interface, Stream
from meshlens.packet.pcap import PCAP_MAGICS, pcap_frames, write_pcap
from meshlens.packet.pcapng import MAX_BLOCK_BYTES, SECTION_HEADER, pcapng_frames

__all__ = [
    "MAX_BLOCK_BYTES",
    "MAX_FRAME_BYTES",
    "CaptureError",
    "CaptureReader",
    "CapturedFrame",
    "Interface",
    "read_capture",
    "write_pcap",
]

_BUFFER_BYTES = 1024 * 1024
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"BZh": "bzip2"}


class CaptureReader:
    """The frames of one capture file, in file order; can be iterated once.

    Iteration raises `CaptureError` where the file is cut off or contradicts itself, after all frames before
    that place. `bytes_read` against `total_bytes` (None for a pipe) is the progress. `interfaces` grows as
    the file declares them.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.total_bytes = _size(file)
        self.interfaces: list[Interface] = []
        self._stream = Stream(file, name)
        self._frames = _frames(self._stream, self.interfaces)

    @property
    def bytes_read(self) -> int:
        return self._stream.offset

    def __iter__(self) -> Iterator[CapturedFrame]:
        return self._frames

    def close(self) -> None:
        """Close the file, unless it is standard input."""
        if self._stream.file is not sys.stdin.buffer:
            self._stream.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_capture(source: str | os.PathLike[str] | BinaryIO) -> CaptureReader:
    """Open a pcap or pcapng file: a path, "-" for standard input, or a binary file object.

    Raises `CaptureError` if it cannot be opened, or is neither. The reader is a context manager that closes
    the file.
    """
    if source == "-":
        return CaptureReader(sys.stdin.buffer, "standard input")
    if not isinstance(source, (str, os.PathLike)):
        file = (
            io.BufferedReader(source) if isinstance(source, io.RawIOBase) else source
        )  # whose reads may be short
        return CaptureReader(file, str(getattr(source, "name", "capture")))
    try:
        opened = open(source, "rb", buffering=_BUFFER_BYTES)  # noqa: SIM115  (the reader closes it)
    except OSError as error:
        raise CaptureError(f"{os.fspath(source)}: {error.strerror}") from error
    try:
        return CaptureReader(opened, os.fspath(source))
    except CaptureError:
        opened.close()
        raise


def _frames(stream: Stream, interfaces: list[Interface]) -> Iterator[CapturedFrame]:
    magic = stream.read(4)
    if magic == SECTION_HEADER:
        return pcapng_frames(stream, interfaces)
    if magic in PCAP_MAGICS:
        return pcap_frames(stream, magic, interfaces)
    for begin, name in _COMPRESSED.items():
        if magic.startswith(begin):
            raise stream.error(0, f"compressed with {name}; decompress it and pipe it in as '-'")
    raise stream.error(0, f"neither pcap nor pcapng: begins with {magic.hex(' ') or 'nothing'}")


def _size(file: BinaryIO) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
