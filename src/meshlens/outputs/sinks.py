"""Where readings go by themselves: files and datagrams. Each is told of every reading, in turn."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from meshlens.errors import MeshlensError
from meshlens.outputs.files import replace_file
from meshlens.outputs.influx import influx_lines
from meshlens.probes.flows.record import Flow
from meshlens.readings.reading import Reading

__all__ = ["AppendedFile", "Paced", "ReplacedFile", "Sink", "UdpInflux", "datagrams"]

#: What fits into a frame of Ethernet, with room for a tunnel's header.
_DATAGRAM_BYTES: Final = 1400


class Sink(Protocol):
    """Something that readings are written to, from one thread."""

    def write(self, reading: Reading) -> None:
        """Raises MeshlensError if that cannot be done now."""

    def close(self) -> None:
        """Nothing is written any more."""


class Paced:
    """Hands on a reading each `interval_s` seconds, with all flows that have ended since the one before."""

    def __init__(self, sink: Sink, interval_s: float) -> None:
        self._sink, self._interval_ns = sink, int(interval_s * 1e9)
        self._due_ns = 0
        self._ended: list[Flow] = []
        self._skipped: Reading | None = None

    def write(self, reading: Reading) -> None:
        self._ended += reading.ended
        if self._due_ns - self._interval_ns <= reading.time_ns < self._due_ns:
            self._skipped = reading
            return
        self._due_ns = (
            (reading.time_ns // self._interval_ns + 1) * self._interval_ns if self._interval_ns else 0
        )
        self._hand_on(reading)

    def close(self) -> None:
        """Hand on the last reading, too."""
        try:
            if self._skipped:
                self._hand_on(self._skipped)
        finally:
            self._sink.close()

    def _hand_on(self, reading: Reading) -> None:
        ended, self._ended, self._skipped = tuple(self._ended), [], None
        self._sink.write(replace(reading, ended=ended))


class AppendedFile:
    """Adds text to the end of a file. Raises MeshlensError if it cannot be opened."""

    def __init__(self, path: str | os.PathLike[str], text: Callable[[Reading], str]) -> None:
        self.path, self._text = path, text
        try:
            self._file = open(path, "a", encoding="utf-8", errors="replace")  # noqa: SIM115  (until close())
        except OSError as error:
            raise MeshlensError(f"cannot write {path}: {error.strerror}") from error

    def write(self, reading: Reading) -> None:
        try:
            self._file.write(self._text(reading))
            self._file.flush()
        except OSError as error:
            raise MeshlensError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        with suppress(OSError):  # said by write() already
            self._file.close()


class ReplacedFile:
    """Puts a file in the place of the one before, in one step: nobody reads half of it."""

    def __init__(self, path: str | os.PathLike[str], content: Callable[[Reading], bytes]) -> None:
        self.path, self._content = Path(path), content

    def write(self, reading: Reading) -> None:
        replace_file(self.path, self._content(reading))

    def close(self) -> None:
        """The file stays."""


class UdpInflux:
    """Sends the line protocol as datagrams of whole lines. What is lost on the way is not noticed."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise MeshlensError(f"cannot send to {host} port {port}: {error.strerror}") from error
        self._address: Any = address
        self._socket = socket.socket(family, kind)
        self._socket.setblocking(False)

    def write(self, reading: Reading) -> None:
        try:
            for datagram in datagrams(influx_lines(reading)):
                self._socket.sendto(datagram, self._address)
        except OSError as error:
            raise MeshlensError(f"cannot send to {self._address[0]}: {error.strerror}") from error

    def close(self) -> None:
        self._socket.close()


def datagrams(lines: Iterable[str], size: int = _DATAGRAM_BYTES) -> Iterator[bytes]:
    """Whole lines, as many as fit; a line that is longer has a datagram of its own."""
    whole = b""
    for line in lines:
        encoded = line.encode(errors="replace") + b"\n"
        if whole and len(whole) + len(encoded) > size:
            yield whole
            whole = b""
        whole += encoded
    if whole:
        yield whole
