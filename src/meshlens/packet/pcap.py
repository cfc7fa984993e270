"""The pcap file format, both byte orders, microseconds and nanoseconds.

Source: draft-ietf-opsawg-pcap; where a file breaks the rules, sf-pcap.c of libpcap decides.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from meshlens.packet.captured import MAX_FRAME_BYTES, NS_PER_SECOND, CapturedFrame, Interface, Stream

__all__ = ["PCAP_MAGICS", "pcap_frames", "write_pcap"]


class _Form(NamedTuple):
    order: str
    ticks_per_second: int
    record_header: str


_NANOSECOND_MAGIC = 0xA1B23C4D
_FORMS = {
    struct.pack(order + "I", magic): _Form(order, ticks_per_second, order + record_header)
    for order in "<>"
    for magic, ticks_per_second, record_header in (
        (0xA1B2C3D4, 1_000_000, "IIII"),
        (_NANOSECOND_MAGIC, NS_PER_SECOND, "IIII"),
        (0xA1B2CD34, 1_000_000, "IIII8x"),  # Kuznetzov's: interface, protocol and packet type follow
    )
}
PCAP_MAGICS = frozenset(_FORMS)


def pcap_frames(stream: Stream, magic: bytes, interfaces: list[Interface]) -> Iterator[CapturedFrame]:
    """The frames of a pcap file whose `magic` has been read; appends its one interface to `interfaces`."""
    form = _FORMS[magic]
    header = stream.exactly(20, "the rest of the file header")
    major, minor, snapshot_bytes, link = struct.unpack(form.order + "HH8xII", header)
    if major != 2 or minor > 4:
        raise stream.error(4, f"pcap version {major}.{minor}; versions up to 2.4 can be read")
    limit = snapshot_bytes if 0 < snapshot_bytes < MAX_FRAME_BYTES else None
    link_type = link & 0x03FF_FFFF  # the bits above hold the length of the frame check sequence
    interfaces.append(Interface(link_type, limit, ticks_per_second=form.ticks_per_second))
    return _records(stream, form, minor, interfaces[0])


def _records(stream: Stream, form: _Form, minor: int, interface: Interface) -> Iterator[CapturedFrame]:
    header = struct.Struct(form.record_header)
    ns_per_tick = NS_PER_SECOND // form.ticks_per_second
    link_type, snapshot_bytes = interface.link_type, interface.snapshot_bytes
    while raw := stream.read(header.size):
        if len(raw) < header.size:
            raise stream.cut_off(raw, header.size, "a record header")
        seconds, ticks, captured_bytes, wire_length = header.unpack(raw)
        if minor < 3 or (minor == 3 and captured_bytes > wire_length):  # writers before 2.4 swapped them
            captured_bytes, wire_length = wire_length, captured_bytes
        if captured_bytes > MAX_FRAME_BYTES:
            problem = (
                f"a record of {captured_bytes} captured bytes; the longest possible is {MAX_FRAME_BYTES}"
            )
            raise stream.error(stream.offset - header.size, problem)
        # A writer may have ignored its own snapshot length; libpcap then cuts, and filters see the cut frame.
        data = stream.exactly(captured_bytes, "a frame")[:snapshot_bytes]
        timestamp_ns = seconds * NS_PER_SECOND + ticks * ns_per_tick
        yield CapturedFrame(data, wire_length, timestamp_ns, 0, link_type, None)


def write_pcap(
    target: str | os.PathLike[str] | BinaryIO, frames: Iterable[bytes | CapturedFrame], link_type: int = 1
) -> None:
    """Write frames as a pcap file with nanosecond timestamps.

    Frames that are plain bytes get times one millisecond apart, from the epoch on. Raises OSError.
    """
    if isinstance(target, (str, os.PathLike)):
        with open(target, "wb") as file:
            write_pcap(file, frames, link_type)
        return
    target.write(struct.pack("<IHH8xII", _NANOSECOND_MAGIC, 2, 4, MAX_FRAME_BYTES, link_type))
    for index, item in enumerate(frames):
        frame = (
            CapturedFrame(item, len(item), index * 1_000_000, 0, 1, None) if isinstance(item, bytes) else item
        )
        seconds, nanoseconds = divmod(frame.timestamp_ns, NS_PER_SECOND)
        target.write(struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.wire_length))
        target.write(frame.data)
