"""Where a capture is written: one file, a pipe, or files in turn by size and time, named as tcpdump does."""

import os
import stat
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from meshlens.errors import UsageError
from meshlens.packet.pcapng_blocks import block_lengths

__all__ = ["STANDARD_OUTPUT", "CaptureOutput", "Rotation"]

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class Rotation:
    """When the next file begins, and how many there are.

    By size (`file_bytes`) a number is put behind the name, and after `files` of them the first is written
    anew. By time (`seconds`) the name is a pattern for strftime(3), and `files` are all there will be.
    """

    file_bytes: int | None = None
    seconds: float | None = None
    files: int | None = None

    def __bool__(self) -> bool:
        return self.file_bytes is not None or self.seconds is not None

    def check(self) -> None:
        """Raises UsageError for what cannot be meant together."""
        if self.files is not None and not self:
            raise UsageError("-W limits the files of -C or -G: give one of them")
        if self.files is not None and self.file_bytes is not None and self.seconds is not None:
            raise UsageError("-W goes with -C or with -G, not with both")

    def name(self, pattern: str, number: int, by_time: int) -> str:
        """The name of the file that is number `number` by size, begun at the time `by_time`."""
        name = time.strftime(pattern, time.localtime(by_time)) if self.seconds is not None else pattern
        if self.file_bytes is None:
            return name
        if self.files is not None:
            return f"{name}{number % self.files:0{len(str(self.files - 1))}}"
        return f"{name}{number}" if number else name


class CaptureOutput:
    """Takes whole blocks and starts files: each begins with `header()` and ends with `trailer()`.

    What is written is whole at all times: a file on a full disk is cut back to the last block that fits.
    Methods raise OSError with the name of the file.
    """

    def __init__(
        self,
        path: str,
        header: Callable[[], bytes],
        trailer: Callable[[], bytes],
        rotation: Rotation = Rotation(),
    ) -> None:
        rotation.check()
        if rotation and path == STANDARD_OUTPUT:
            raise UsageError("-C and -G need files: give -w FILE")
        self.path, self.rotation = path, rotation
        self._header, self._trailer = header, trailer
        self._number = self._by_time = 0
        self._fd = -1
        self._start()

    @property
    def full(self) -> bool:
        """Whether all files that there may be are written."""
        by_time = self.rotation.seconds is not None and self.rotation.files is not None
        return by_time and self._by_time >= (self.rotation.files or 0)

    def write(self, blocks: memoryview) -> None:
        """Write whole blocks; begin a new file where one would become too large."""
        while blocks:
            fitting = len(blocks)
            if self.rotation.file_bytes is not None and self._size + fitting > self.rotation.file_bytes:
                fitting = block_lengths(blocks, self.rotation.file_bytes - self._size)
                if fitting == 0:
                    if self._size > self._head_bytes:
                        self._number += 1
                        self._next()
                        continue
                    (fitting,) = struct.unpack_from("=I", blocks, 4)  # larger than a file may be
            self._write(blocks[:fitting])
            blocks = blocks[fitting:]

    def announce(self, blocks: bytes) -> None:
        """Write blocks that every further file has in its header."""
        if blocks and self._fd >= 0:
            self._write(memoryview(blocks))

    def turn(self) -> None:
        """Begin a new file if it is time for it."""
        if self.rotation.seconds is not None and time.monotonic() >= self._due:
            self._by_time += 1
            self._number = 0
            if not self.full:
                self._next()

    def close(self) -> None:
        """Write what a file ends with, and close it."""
        if self._fd >= 0:
            try:
                self._write(memoryview(self._trailer()))
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            if fd != 1:
                os.close(fd)

    def _next(self) -> None:
        self.close()
        self._start()

    def _start(self) -> None:
        if self.rotation.seconds is not None and self._number == 0:
            self._began, self._due = int(time.time()), time.monotonic() + self.rotation.seconds
        if self.path == STANDARD_OUTPUT:
            self._name, self._fd = "standard output", 1
        else:
            self._name = self.rotation.name(self.path, self._number, getattr(self, "_began", 0))
            self._fd = os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._size = 0
        self._write(memoryview(self._header()))
        self._head_bytes = self._size

    def _write(self, blocks: memoryview) -> None:
        written = 0
        try:
            while written < len(blocks):
                written += os.write(self._fd, blocks[written:])
        except OSError as error:
            if self._regular:
                end = os.lseek(self._fd, 0, os.SEEK_CUR)
                os.ftruncate(self._fd, end - written + block_lengths(blocks, written))
            if error.filename is None and not isinstance(error, BrokenPipeError):
                raise OSError(error.errno, error.strerror, self._name) from None
            raise
        self._size += written
