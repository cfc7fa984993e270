"""Just enough netlink(7) to ask for an interface's XDP program, to handle clsact filters, to ask nl80211.

Written by hand because the alternative, pyroute2, takes 0.1 s and 20 MB to import, and small
routers have neither.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

__all__ = [
    "NLM_F_CREATE",
    "NLM_F_DUMP",
    "NLM_F_EXCL",
    "NLM_F_REPLACE",
    "Netlink",
    "RtNetlink",
    "attribute",
    "attributes",
]

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400

_ERROR, _DONE = 2, 3
_F_DUMP_INTR, _F_CAPPED, _F_ACK_TLVS = 0x10, 0x100, 0x200
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 1 << 16
_DUMP_TRIES = 5


class Netlink:
    """A socket of this netlink protocol; it stays in the network namespace where it was opened."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):  # errors in words
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def close(self) -> None:
        """Gives the socket back."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """Sends one message, returns the answers' bodies. Raises OSError with the kernel's own words."""
        for _ in range(_DUMP_TRIES):
            answers = self._request(kind, body, flags)
            if answers is not None:
                return answers
        raise OSError("netlink: the table changed faster than it could be read")

    def _request(self, kind: int, body: bytes, flags: int) -> list[bytes] | None:
        """None if a dump was interrupted by a change (NLM_F_DUMP_INTR) and has to be repeated."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        flags |= NLM_F_REQUEST | (0 if flags & NLM_F_DUMP == NLM_F_DUMP else NLM_F_ACK)
        self._socket.send(_HEADER.pack(length, kind, flags, self._sequence, 0) + body)
        answers: list[bytes] = []
        interrupted = False
        while True:
            for answer_kind, answer_flags, answer in self._receive():
                interrupted |= bool(answer_flags & _F_DUMP_INTR)
                if answer_kind in (_ERROR, _DONE):
                    _raise_error(answer, answer_flags, answer_kind)
                    return None if interrupted else answers
                answers.append(answer)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_RECEIVE_BYTES)
        while data:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
            if sequence == self._sequence:
                yield kind, flags, data[_HEADER.size : length]
            data = data[length + 3 & ~3 :]


class RtNetlink(Netlink):
    """A route netlink socket."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)


def attribute(kind: int, payload: bytes) -> bytes:
    """One netlink attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The payloads of a run of attributes, by kind (without its flag bits); the last of equals."""
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[_ATTRIBUTE.size : length]
        data = data[length + 3 & ~3 :]
    return found


def _raise_error(answer: bytes, flags: int, kind: int) -> None:
    number = -struct.unpack_from("=i", answer)[0] if len(answer) >= 4 else 0
    if not number:
        return
    skipped = 4 if kind == _DONE else 4 + _HEADER.size  # struct nlmsgerr: the error, our header (capped)
    said = attributes(answer[skipped:]).get(1, b"") if flags & _F_ACK_TLVS else b""
    raise OSError(number, said.rstrip(b"\0").decode(errors="replace") or os.strerror(number))
