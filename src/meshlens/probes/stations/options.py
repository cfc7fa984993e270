"""What DHCP clients and TCP stacks say of themselves, read from bytes that anybody may have sent.

Nothing here raises: options that run over the end, lie about their length or have none are read as far as
they make sense. Sources: RFC 2131 and 2132 (DHCP), RFC 9293 and IANA's list of option kinds (TCP).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from meshlens.probes.stations.record import DhcpFingerprint, SynSignature

__all__ = ["dhcp_fingerprint", "syn_signature"]

_MAGIC: Final = bytes((99, 130, 83, 99))
_PAD, _END = 0, 255
_HOSTNAME, _VENDOR_CLASS, _REQUESTED = 12, 60, 55

#: Who reads stations again and again asks for the same packets.
_REMEMBERED: Final = 4096

_TCP_HEADER_BYTES: Final = 20
_TCP_END, _TCP_NOP, _TCP_MSS = 0, 1, 2


@lru_cache(_REMEMBERED)
def dhcp_fingerprint(data: bytes) -> DhcpFingerprint | None:
    """What stands in the options of a DHCP packet, from their magic number on; None without that."""
    if not data.startswith(_MAGIC):
        return None
    options = list(_dhcp_options(data[len(_MAGIC) :]))
    content: dict[int, bytes] = {}
    for code, value in options:  # one that comes again goes on where it stopped (RFC 3396)
        content[code] = content.get(code, b"") + value
    return DhcpFingerprint(
        tuple(code for code, _ in options),
        tuple(content.get(_REQUESTED, b"")),
        _text(content.get(_VENDOR_CLASS, b"")),
        _text(content.get(_HOSTNAME, b"")),
    )


def _dhcp_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data) and data[at] != _END:
        code, size = data[at], data[at + 1] if at + 1 < len(data) else 0
        if code == _PAD:
            at += 1
            continue
        yield code, data[at + 2 : at + 2 + size]
        at += 2 + size


def _text(data: bytes) -> str:
    """As text of one line that cannot steer a terminal."""
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@lru_cache(_REMEMBERED)
def syn_signature(ttl: int, data: bytes) -> SynSignature | None:
    """What stands in a TCP header; None if it is not whole, or says that it is shorter than one."""
    length = (data[12] >> 4) * 4 if len(data) >= _TCP_HEADER_BYTES else 0
    if length < _TCP_HEADER_BYTES:
        return None
    mss, kinds = 0, []
    for kind, value in _tcp_options(data[_TCP_HEADER_BYTES:length]):
        kinds.append(kind)
        if kind == _TCP_MSS and len(value) == 2:
            mss = int.from_bytes(value)
    return SynSignature(ttl, int.from_bytes(data[14:16]), mss, tuple(kinds))


def _tcp_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind = data[at]
        if kind in (_TCP_END, _TCP_NOP):
            yield kind, b""
            at += 1
            if kind == _TCP_END:
                return
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        yield kind, data[at + 2 : at + size]
        if size < 2:  # no length, or one that would never end
            return
        at += size
