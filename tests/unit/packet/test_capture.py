"""Capture files: formats by hand, real files against libpcap, lies that end in an error with their place."""

import io
import os
import struct
import sys
from pathlib import Path
from typing import Any

import cypcap
import pytest

from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture, write_pcap
from tests.data import captures, collections, needs_data
from tests.unit.packet.capture_files import (
    block,
    enhanced,
    interface,
    obsolete,
    option,
    pcap,
    record,
    section,
    simple,
)

FRAMES = [bytes(range(60)), b"", b"\xff" * 1500, b"odd"]
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def read(data: bytes) -> list[CapturedFrame]:
    return list(read_capture(io.BytesIO(data)))


def read_until_error(data: bytes) -> tuple[list[CapturedFrame], str]:
    frames = []
    try:
        for frame in read_capture(io.BytesIO(data)):
            frames.append(frame)  # noqa: PERF402  (what came before the error is wanted)
    except CaptureError as error:
        return frames, str(error)
    pytest.fail("no CaptureError")


# pcap


@ORDERS
@pytest.mark.parametrize(("magic", "ns_per_tick"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_is_read_in_both_byte_orders_and_resolutions(order: str, magic: int, ns_per_tick: int) -> None:
    data = pcap(
        *(record(frame, order, seconds=5, fraction=7, wire=9000) for frame in FRAMES),
        order=order,
        magic=magic,
    )
    expected = [CapturedFrame(frame, 9000, 5_000_000_000 + 7 * ns_per_tick, 0, 1, None) for frame in FRAMES]
    assert read(data) == expected


def test_the_longer_record_header_of_kuznetzovs_pcap_is_skipped() -> None:
    records = [record(frame)[:16] + b"\x02\0\0\0\0\x08\x04\0" + frame for frame in FRAMES]
    assert [frame.data for frame in read(pcap(*records, magic=0xA1B2CD34))] == FRAMES


@pytest.mark.parametrize(("minor", "wire_first"), [(1, True), (2, True), (3, True), (3, False), (4, False)])
def test_old_versions_may_have_the_two_lengths_swapped(minor: int, wire_first: bool) -> None:
    lengths = (100, 60) if wire_first else (60, 100)
    data = pcap(struct.pack("<IIII", 1, 2, *lengths) + FRAMES[0], version=(2, minor))
    assert [(frame.data, frame.wire_length) for frame in read(data)] == [(FRAMES[0], 100)]


def test_a_frame_beyond_the_snapshot_length_is_cut_as_libpcap_cuts_it() -> None:
    data = pcap(record(FRAMES[0]), record(FRAMES[3]), snapshot_bytes=50)
    assert [(frame.data, frame.wire_length) for frame in read(data)] == [(FRAMES[0][:50], 60), (FRAMES[3], 3)]


def test_link_type_leaves_out_the_length_of_the_check_sequence() -> None:
    assert [frame.link_type for frame in read(pcap(record(b""), link=0x4400_0069))] == [105]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    frames = [
        CapturedFrame(data, 2000, 1_700_000_000_123_456_789 + i, 0, 127, None)
        for i, data in enumerate(FRAMES)
    ]
    write_pcap(tmp_path / "a.pcap", frames, link_type=127)
    with read_capture(tmp_path / "a.pcap") as reader:
        assert list(reader) == frames
        assert reader.bytes_read == reader.total_bytes == (tmp_path / "a.pcap").stat().st_size
    with cypcap.open_offline(tmp_path / "a.pcap") as oracle:
        assert [data for _header, data in oracle] == FRAMES


def test_plain_bytes_are_written_one_millisecond_apart() -> None:
    file = io.BytesIO()
    write_pcap(file, FRAMES)
    frames = read(file.getvalue())
    assert [(frame.data, frame.wire_length, frame.timestamp_ns) for frame in frames] == [
        (data, len(data), index * 1_000_000) for index, data in enumerate(FRAMES)
    ]


# pcapng


@ORDERS
def test_pcapng_packet_blocks_of_all_kinds_are_read(order: str) -> None:
    data = section(order) + interface(order=order) + enhanced(FRAMES[0], wire=900, order=order)
    data += obsolete(FRAMES[3], order=order) + simple(FRAMES[3], order=order)
    assert read(data) == [
        CapturedFrame(FRAMES[0], 900, 1_000_002_000, 0, 1, None),
        CapturedFrame(FRAMES[3], 3, 1_000_002_000, 0, 1, None),
        CapturedFrame(FRAMES[3], 3, 0, 0, 1, None),
    ]


def test_a_simple_packet_is_cut_at_the_snapshot_length_of_the_first_interface() -> None:
    data = section() + interface(snapshot_bytes=10) + simple(FRAMES[0][:10], wire=60)
    assert [(frame.data, frame.wire_length) for frame in read(data)] == [(FRAMES[0][:10], 60)]


@pytest.mark.parametrize(
    ("resolution", "expected_ns"),
    [
        (0, 3_000_000_000),
        (3, 3_000_000),
        (6, 3_000),
        (9, 3),
        (12, 0),
        (0x80, 3_000_000_000),
        (0x81, 1_500_000_000),
    ],
)
def test_timestamps_follow_the_interface_resolution(resolution: int, expected_ns: int) -> None:
    data = section() + interface(options=option(9, bytes((resolution,)))) + enhanced(b"", ticks=3)
    assert [frame.timestamp_ns for frame in read(data)] == [expected_ns]


@ORDERS
def test_timestamps_are_offset_by_signed_seconds(order: str) -> None:
    for seconds in (1_700_000_000, -1):
        offset = option(14, struct.pack(order + "q", seconds), order)
        data = (
            section(order)
            + interface(options=offset, order=order)
            + enhanced(b"", ticks=2_000_000, order=order)
        )
        assert [frame.timestamp_ns for frame in read(data)] == [(seconds + 2) * 1_000_000_000]


@ORDERS
@pytest.mark.parametrize(("flags", "direction"), [(0, None), (1, "in"), (2, "out"), (3, None), (0x1FD, "in")])
def test_direction_comes_from_the_packet_flags(order: str, flags: int, direction: str | None) -> None:
    options = (
        option(1, b"a comment", order)
        + option(2, struct.pack(order + "I", flags), order)
        + option(0, b"", order)
    )
    data = section(order) + interface(order=order) + enhanced(FRAMES[3], options=options, order=order)
    assert [frame.direction for frame in read(data)] == [direction]


def test_sections_have_their_own_byte_order_and_interfaces() -> None:
    data = section("<") + interface(link=1, options=option(2, b"eth0")) + enhanced(b"one")
    data += section(">") + interface(link=127, order=">") + interface(link=105, order=">")
    data += enhanced(b"two", number=1, order=">") + enhanced(b"three", number=0, order=">")
    reader = read_capture(io.BytesIO(data))
    assert [(frame.data, frame.interface, frame.link_type) for frame in reader] == [
        (b"one", 0, 1),
        (b"two", 2, 105),
        (b"three", 1, 127),
    ]
    assert [(found.name, found.link_type) for found in reader.interfaces] == [
        ("eth0", 1),
        ("", 127),
        ("", 105),
    ]


def test_blocks_of_other_kinds_are_passed_over() -> None:
    data = section() + block(0x0BAD, bytes(40)) + interface() + block(5, bytes(12)) + enhanced(b"one")
    data += block(4, b"")
    assert [frame.data for frame in read(data)] == [b"one"]


# lies


HUGE = struct.pack("<IIII", 1, 2, 0x7FFF_FFFF, 60)


@pytest.mark.parametrize(
    ("tail", "offset", "words"),
    [
        (record(FRAMES[0])[:-1], 24 + 76 + 16, "needs 60 bytes, but the file ends after 59"),
        (record(FRAMES[0])[:15], 24 + 76, "needs 16 bytes, but the file ends after 15"),
        (HUGE, 24 + 76, "2147483647 captured bytes"),
        (HUGE + bytes(100), 24 + 76, "2147483647 captured bytes"),
    ],
)
def test_a_lying_pcap_record_is_named_by_its_offset_after_all_whole_frames(
    tail: bytes, offset: int, words: str
) -> None:
    frames, message = read_until_error(pcap(record(FRAMES[0])) + tail)
    assert [frame.data for frame in frames] == [FRAMES[0]]
    assert message.startswith(f"capture: byte {offset}: ")
    assert words in message


GOOD = section() + interface() + enhanced(b"good")


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (enhanced(b"")[:-1], "the rest of a block needs 24 bytes, but the file ends after 23"),
        (b"\x06\0\0", "a block header needs 8 bytes, but the file ends after 3"),
        (struct.pack("<III", 6, 8, 8), "a block of 8 bytes"),
        (struct.pack("<III", 6, 33, 33) + bytes(40), "a block of 33 bytes"),
        (struct.pack("<II", 6, 0xFFFF_FFF0), "a block of 4294967280 bytes"),
        (enhanced(b"")[:-4] + b"\x24\0\0\0", "begins with a length of 32 bytes and ends with 36"),
        (enhanced(b"", number=1), "an interface that the file has not declared"),
        (enhanced(b"", number=0xFFFF_FFFF), "an interface that the file has not declared"),
        (section() + enhanced(b""), "an interface that the file has not declared"),
        (section() + simple(b""), "an interface that the file has not declared"),
        (block(6, bytes(16)), "16 bytes are too few for a block of type 6"),
        (block(1, bytes(4)), "4 bytes are too few for a block of type 1"),
        (
            block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"four"),
            "5 captured bytes in a block that holds 4",
        ),
        (block(6, struct.pack("<IIIII", 0, 0, 0, 300_000, 5)), "300000 captured bytes"),
        (simple(b"four", wire=5), "5 captured bytes in a block that holds 4"),
        (interface(options=struct.pack("<HH", 9, 5) + b"1234"), "option 9 of 5 bytes does not fit"),
        (enhanced(b"", options=struct.pack("<HH", 2, 9) + b"1234"), "option 2 of 9 bytes does not fit"),
        (section(version=(2, 0)), "pcapng version 2.0"),
        (block(0x0A0D0D0A, b"\x01\x02\x03\x04" + bytes(12)), "byte-order magic 01 02 03 04"),
    ],
)
def test_a_lying_pcapng_block_is_named_by_its_offset_after_all_whole_frames(tail: bytes, words: str) -> None:
    frames, message = read_until_error(GOOD + tail)
    assert [frame.data for frame in frames] == [b"good"]
    assert words in message
    assert len(GOOD) <= int(message.split()[2].rstrip(":")) <= len(GOOD + tail)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "begins with nothing"),
        (b"\n\n", "begins with 0a 0a"),
        (b"GIF89a" * 10, "neither pcap nor pcapng"),
        (b"\x1f\x8b\x08\0" * 10, "gzip; decompress it"),
        (pcap()[:20], "needs 20 bytes, but the file ends after 16"),
        (pcap(version=(3, 0)), "pcap version 3.0"),
        (section()[:6], "the file ends after 2"),
    ],
)
def test_what_is_not_a_capture_file_is_refused_in_one_line(data: bytes, words: str) -> None:
    frames, message = read_until_error(data)
    assert frames == []
    assert words in message
    assert "\n" not in message


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"missing\.pcap: No such file or directory"):
        read_capture(tmp_path / "missing.pcap")
    with pytest.raises(CaptureError, match="Is a directory"):
        read_capture(tmp_path)


# sources


def test_a_pipe_is_read_frame_by_frame_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as source, open(writing, "wb", buffering=0) as sink:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(source))
        sink.write(pcap(record(FRAMES[0])))
        reader = read_capture("-")
        assert reader.total_bytes is None
        frames = iter(reader)
        assert next(frames).data == FRAMES[0]
        sink.write(record(FRAMES[3]))
        assert next(frames).data == FRAMES[3]
        sink.close()
        assert list(frames) == []
        reader.close()
        assert not source.closed


def test_an_unbuffered_file_that_reads_short_is_read_whole(tmp_path: Path) -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.rest = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            piece, self.rest = self.rest[:3], self.rest[3:]
            buffer[: len(piece)] = piece
            return len(piece)

    source = Trickle(pcap(*(record(frame) for frame in FRAMES)))
    assert [frame.data for frame in read_capture(source)] == FRAMES  # type: ignore[arg-type]


# libpcap as the oracle

# Not a capture file (aircrack's own format for initialisation vectors), and one that ends inside a record
# header: libpcap refuses both, at the same frame.
REFUSED = {"wep_64_ptw_03.cap", "fuzz-2021-10-13.pcap"}
DLT_OF_LINKTYPE = {101: 12, 106: 19}  # where libpcap's own number on Linux is not the one in the file


def ours(path: Path) -> tuple[list[CapturedFrame], bool]:
    frames: list[CapturedFrame] = []
    try:
        with read_capture(path) as reader:
            for frame in reader:
                frames.append(frame)  # noqa: PERF402  (as above)
    except CaptureError:
        return frames, True
    return frames, False


def libpcaps(path: Path) -> tuple[list[tuple[bytes, int, int, int]], bool]:
    frames = []
    try:
        with cypcap.open_offline(path) as capture:
            link = int(capture.datalink())
            for header, data in capture:
                frames.append((data, header.len, round(header.ts * 1_000_000), link))
    except cypcap.Error:
        return frames, True
    return frames, False


@pytest.mark.parametrize("collection", collections() or [pytest.param("all", marks=needs_data)])
def test_every_real_capture_file_is_read_as_libpcap_reads_it(collection: str) -> None:
    compared = 0
    for path in captures(collection):
        frames, failed = ours(path)
        expected, refused = libpcaps(path)
        assert failed == refused == (path.name in REFUSED), path
        assert len(frames) == len(expected), path
        for frame, (data, wire_length, time_us, link) in zip(frames, expected, strict=True):
            assert frame.data == data, path
            assert frame.wire_length == wire_length, path
            assert abs(frame.timestamp_ns // 1000 - time_us) <= 1, path  # cypcap's time is a float of seconds
            assert DLT_OF_LINKTYPE.get(frame.link_type, frame.link_type) == link, path
            compared += 1
    assert compared > 0
