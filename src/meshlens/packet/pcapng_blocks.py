"""The pcapng blocks that frame a capture: section header, interfaces, their statistics.

In this machine's byte order, which the section header tells. What stands between them, a block for each
frame, the kernel side of a capture lays out itself. Source: draft-ietf-opsawg-pcapng.
"""

import struct
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CapturedInterface",
    "InterfaceStatistics",
    "block_lengths",
    "interface_block",
    "section_header",
    "statistics_block",
]

_SECTION, _INTERFACE, _STATISTICS = 0x0A0D0D0A, 1, 5
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_UNKNOWN_LENGTH: Final = -1
_NANOSECONDS: Final = 9  # if_tsresol: ticks of 10^-9 s
_LIBPCAP_TEXT: Final = b"\0"  # if_filter: what kind of filter it is

# Options, by the block they stand in.
_SHB_HARDWARE, _SHB_OS, _SHB_APPLICATION = 2, 3, 4
_IF_NAME, _IF_DESCRIPTION, _IF_MAC, _IF_SPEED, _IF_TSRESOL, _IF_FILTER, _IF_OS = 2, 3, 6, 8, 9, 11, 12
_ISB_START, _ISB_END, _ISB_RECEIVED, _ISB_ACCEPTED, _ISB_DROPPED, _ISB_DELIVERED = 2, 3, 4, 6, 7, 8


@dataclass(frozen=True, slots=True)
class CapturedInterface:
    """What a file says of an interface: `speed_bps` None where nobody knows, `mac` as text or ""."""

    name: str
    link_type: int
    snapshot_bytes: int
    description: str = ""
    mac: str = ""
    speed_bps: int | None = None
    filter: str = ""
    os: str = ""


@dataclass(frozen=True, slots=True)
class InterfaceStatistics:
    """What became of the frames of an interface; times are nanoseconds since the epoch."""

    start_ns: int
    end_ns: int
    captured: int
    filtered: int
    dropped: int


def section_header(application: str, hardware: str = "", os: str = "") -> bytes:
    """The block that a file begins with."""
    body = struct.pack("=IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    texts = ((_SHB_HARDWARE, hardware), (_SHB_OS, os), (_SHB_APPLICATION, application))
    return _block(_SECTION, body, [(code, text.encode()) for code, text in texts])


def interface_block(interface: CapturedInterface) -> bytes:
    """The block that declares an interface; the first of a file has the number 0. Times are nanoseconds."""
    options = [
        (_IF_NAME, interface.name.encode(errors="surrogateescape")),
        (_IF_DESCRIPTION, interface.description.encode()),
        (_IF_MAC, bytes.fromhex(interface.mac.replace(":", ""))),
        (_IF_SPEED, b"" if interface.speed_bps is None else struct.pack("=Q", interface.speed_bps)),
        (_IF_TSRESOL, bytes([_NANOSECONDS])),
        (_IF_FILTER, _LIBPCAP_TEXT + interface.filter.encode() if interface.filter else b""),
        (_IF_OS, interface.os.encode()),
    ]
    return _block(_INTERFACE, struct.pack("=HHI", interface.link_type, 0, interface.snapshot_bytes), options)


def statistics_block(number: int, statistics: InterfaceStatistics) -> bytes:
    """The block that says what became of the frames of interface `number`."""
    captured, end = statistics.captured, _time(statistics.end_ns)
    counts = (
        (_ISB_RECEIVED, captured + statistics.filtered + statistics.dropped),
        (_ISB_ACCEPTED, captured + statistics.dropped),
        (_ISB_DROPPED, statistics.dropped),
        (_ISB_DELIVERED, captured),
    )
    options = [(_ISB_START, _time(statistics.start_ns)), (_ISB_END, end)]
    options += [(code, struct.pack("=Q", count)) for code, count in counts]
    return _block(_STATISTICS, struct.pack("=I", number) + end, options)


def block_lengths(blocks: memoryview, most_bytes: int) -> int:
    """How many bytes the whole blocks at the start of `blocks` take that fit into `most_bytes`."""
    at = 0
    while at + 8 <= len(blocks):
        (length,) = struct.unpack_from("=I", blocks, at + 4)
        if at + length > most_bytes:
            break
        at += length
    return at


def _time(timestamp_ns: int) -> bytes:
    return struct.pack("=II", timestamp_ns >> 32, timestamp_ns & 0xFFFFFFFF)


def _block(kind: int, body: bytes, options: list[tuple[int, bytes]]) -> bytes:
    """A block with those of the options that have a value."""
    for code, value in options:
        if value:
            body += struct.pack("=HH", code, len(value)) + value + bytes(-len(value) % 4)
    body += bytes(4)  # opt_endofopt
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length
