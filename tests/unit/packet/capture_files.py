"""Capture files made by hand, field by field, for tests of the readers."""

import struct


def pcap(
    *records: bytes,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snapshot_bytes: int = 65535,
    link: int = 1,
) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, *version, 0, 0, snapshot_bytes, link)
    return header + b"".join(records)


def record(
    data: bytes, order: str = "<", seconds: int = 1, fraction: int = 2, wire: int | None = None
) -> bytes:
    wire_length = len(data) if wire is None else wire
    return struct.pack(order + "IIII", seconds, fraction, len(data), wire_length) + data


def block(kind: int, content: bytes, order: str = "<") -> bytes:
    content += bytes(-len(content) % 4)
    size = struct.pack(order + "I", len(content) + 12)
    return struct.pack(order + "I", kind) + size + content + size


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", version: tuple[int, int] = (1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1), order)


def interface(link: int = 1, snapshot_bytes: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snapshot_bytes) + options, order)


def enhanced(
    data: bytes,
    *,
    number: int = 0,
    ticks: int = 1_000_002,
    wire: int | None = None,
    options: bytes = b"",
    order: str = "<",
) -> bytes:
    wire_length = len(data) if wire is None else wire
    fields = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire_length)
    return block(6, fields + data + bytes(-len(data) % 4) + options, order)


def obsolete(data: bytes, number: int = 0, drops: int = 7, ticks: int = 1_000_002, order: str = "<") -> bytes:
    fields = struct.pack(
        order + "HHIIII", number, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)
    )
    return block(2, fields + data, order)


def simple(data: bytes, wire: int | None = None, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", len(data) if wire is None else wire) + data, order)
