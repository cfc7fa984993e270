"""The pcapng file format: sections of either byte order, any number of interfaces.

Source: draft-ietf-opsawg-pcapng; where a file breaks the rules, sf-pcapng.c of libpcap decides. Beyond
libpcap, the interfaces of a file may differ in link type, snapshot length and resolution of time.
"""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from meshlens.packet.captured import MAX_FRAME_BYTES, CapturedFrame, CaptureError, Interface, Stream

__all__ = ["MAX_BLOCK_BYTES", "SECTION_HEADER", "pcapng_frames"]

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"  # the same in either byte order, which it comes before
MAX_BLOCK_BYTES = 16 * 1024 * 1024  # INITIAL_MAX_BLOCKSIZE of libpcap
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _SIMPLE_PACKET = 1, 3
# Interface, timestamp (high and low half), captured length, wire length of the enhanced and of the obsolete
# packet block; the latter has a 16-bit interface and counts drops.
_PACKETS = {6: "IIIII", 2: "H2xIIII"}
_PACKET_DATA = 20
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_PACKET_FLAGS = 2
_DIRECTIONS: dict[int, Literal["in", "out"]] = {1: "in", 2: "out"}  # the lowest two bits of the flags


class _Block(NamedTuple):
    stream: Stream
    start: int  # byte of the file
    order: str
    kind: int
    body: bytes

    def unpack(self, form: str, at: int = 0) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + form, self.body, at)
        except struct.error:
            raise self.error(f"{len(self.body)} bytes are too few for a block of type {self.kind}") from None

    def error(self, problem: str) -> CaptureError:
        return self.stream.error(self.start, problem)


def pcapng_frames(stream: Stream, interfaces: list[Interface]) -> Iterator[CapturedFrame]:
    """The frames of a pcapng file whose first four bytes are read; appends to `interfaces` on the way."""
    order, first_interface = "<", 0
    head = SECTION_HEADER + stream.exactly(4, "a section header")
    while head:
        if len(head) < 8:
            raise stream.cut_off(head, 8, "a block header")
        if head.startswith(SECTION_HEADER):
            head += stream.exactly(8, "byte-order magic and version")
            order, first_interface = _section_order(stream, head), len(interfaces)
        block = _read_block(stream, order, head)
        if block.kind in _PACKETS:
            yield _packet(block, interfaces, first_interface)
        elif block.kind == _SIMPLE_PACKET:
            yield _simple_packet(block, interfaces, first_interface)
        elif block.kind == _INTERFACE:
            interfaces.append(_interface(block))
        head = stream.read(8)


def _section_order(stream: Stream, head: bytes) -> str:
    magic = head[8:12]
    if magic not in _ORDERS:
        raise stream.error(stream.offset - 8, f"a section header with byte-order magic {magic.hex(' ')}")
    version = struct.unpack(_ORDERS[magic] + "HH", head[12:])
    if version not in {(1, 0), (1, 2)}:
        raise stream.error(stream.offset - 4, "pcapng version {}.{}; only 1.0 can be read".format(*version))
    return _ORDERS[magic]


def _read_block(stream: Stream, order: str, head: bytes) -> _Block:
    """The block that begins with `head`: type, length and, in a section header, what told the byte order."""
    start = stream.offset - len(head)
    kind, size = struct.unpack_from(order + "II", head)
    if size < len(head) + 4 or size % 4 or size > MAX_BLOCK_BYTES:
        problem = f"a block of {size} bytes; possible are multiples of 4 from 12 to {MAX_BLOCK_BYTES}"
        raise stream.error(start, problem)
    rest = stream.exactly(size - len(head), "the rest of a block")
    (size_again,) = struct.unpack(order + "I", rest[-4:])
    if size_again != size:
        raise stream.error(
            start, f"a block that begins with a length of {size} bytes and ends with {size_again}"
        )
    return _Block(stream, start, order, kind, head[8:] + rest[:-4])


def _interface(block: _Block) -> Interface:
    link_type, snapshot_bytes = block.unpack("H2xI")
    name, ticks_per_second, offset_seconds = "", 1_000_000, 0
    for code, value in _options(block, 8):
        if code == _IF_NAME:
            name = value.decode(errors="replace")
        elif code == _IF_TSRESOL and len(value) == 1:
            ticks_per_second = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
        elif code == _IF_TSOFFSET and len(value) == 8:
            offset_seconds = struct.unpack(block.order + "q", value)[0]
    return Interface(link_type, snapshot_bytes or None, name, ticks_per_second, offset_seconds)


def _packet(block: _Block, interfaces: list[Interface], first_interface: int) -> CapturedFrame:
    number, ticks_high, ticks_low, captured_bytes, wire_length = block.unpack(_PACKETS[block.kind])
    interface = _declared(block, interfaces, first_interface + number)
    data = _data(block, _PACKET_DATA, captured_bytes)
    options_at = _PACKET_DATA + captured_bytes + -captured_bytes % 4
    direction = _direction(block, options_at) if options_at < len(block.body) else None
    timestamp_ns = interface.timestamp_ns(ticks_high << 32 | ticks_low)
    return CapturedFrame(
        data, wire_length, timestamp_ns, first_interface + number, interface.link_type, direction
    )


def _simple_packet(block: _Block, interfaces: list[Interface], first_interface: int) -> CapturedFrame:
    (wire_length,) = block.unpack("I")
    interface = _declared(block, interfaces, first_interface)
    data = _data(block, 4, min(wire_length, interface.snapshot_bytes or wire_length))
    return CapturedFrame(data, wire_length, 0, first_interface, interface.link_type, None)


def _declared(block: _Block, interfaces: list[Interface], index: int) -> Interface:
    if index >= len(interfaces):
        raise block.error("a frame of an interface that the file has not declared")
    return interfaces[index]


def _data(block: _Block, at: int, size: int) -> bytes:
    if size > MAX_FRAME_BYTES:
        raise block.error(f"a frame of {size} captured bytes; the longest possible is {MAX_FRAME_BYTES}")
    if size > len(block.body) - at:
        raise block.error(f"a frame of {size} captured bytes in a block that holds {len(block.body) - at}")
    return block.body[at : at + size]


def _direction(block: _Block, options_at: int) -> Literal["in", "out"] | None:
    for code, value in _options(block, options_at):
        if code == _PACKET_FLAGS and len(value) == 4:
            return _DIRECTIONS.get(struct.unpack(block.order + "I", value)[0] & 3)
    return None


def _options(block: _Block, at: int) -> Iterator[tuple[int, bytes]]:
    """The options (code, value) from `at` on, up to the end mark or the end of the block."""
    while at < len(block.body):
        code, size = block.unpack("HH", at)
        if code == 0:
            return
        value = block.body[at + 4 : at + 4 + size]
        if len(value) < size:
            raise block.error(f"option {code} of {size} bytes does not fit into its block")
        yield code, value
        at += 4 + size + -size % 4
