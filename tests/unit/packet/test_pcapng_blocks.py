"""The blocks that frame a capture are what the reader, and the format's own document, take them for."""

import io
import struct

from meshlens.packet.capture import read_capture
from meshlens.packet.pcapng_blocks import (
    CapturedInterface,
    InterfaceStatistics,
    block_lengths,
    interface_block,
    section_header,
    statistics_block,
)

INTERFACE = CapturedInterface(
    "veth0", 1, 128, description="veth at tc-in", mac="02:00:00:00:00:01", speed_bps=10**10, filter="arp"
)


def packet_block(data: bytes, timestamp_ns: int, interface: int = 0) -> bytes:
    padded = data.ljust(-(-len(data) // 4) * 4, b"\0")
    length = 32 + len(padded)
    high, low = timestamp_ns >> 32, timestamp_ns & 0xFFFFFFFF
    head = struct.pack("=7I", 6, length, interface, high, low, len(data), len(data))
    return head + padded + struct.pack("=I", length)


def test_the_reader_takes_them_and_times_are_nanoseconds() -> None:
    other = CapturedInterface("veth1", 1, 128)
    file = section_header("tests") + interface_block(INTERFACE) + interface_block(other)
    file += packet_block(b"x" * 14, 1_700_000_000_123_456_789) + packet_block(b"y" * 15, 5, interface=1)
    file += statistics_block(0, InterfaceStatistics(1, 2, 3, 4, 5))
    captured = list(read_capture(io.BytesIO(file)))
    assert [(each.data, each.timestamp_ns, each.interface) for each in captured] == [
        (b"x" * 14, 1_700_000_000_123_456_789, 0),
        (b"y" * 15, 5, 1),
    ]


def test_blocks_begin_and_end_with_their_length_in_whole_words() -> None:
    for block in (
        section_header("an application", "a machine", "an operating system"),
        interface_block(INTERFACE),
        statistics_block(7, InterfaceStatistics(0, 1 << 60, 1, 2, 3)),
    ):
        (first,) = struct.unpack_from("=I", block, 4)
        (last,) = struct.unpack_from("=I", block, len(block) - 4)
        assert first == last == len(block)
        assert len(block) % 4 == 0


def test_received_is_the_sum_of_what_became_of_them() -> None:
    block = statistics_block(0, InterfaceStatistics(0, 0, captured=3, filtered=40, dropped=500))
    assert struct.pack("=HHQ", 4, 8, 543) in block
    assert struct.pack("=HHQ", 7, 8, 500) in block
    assert struct.pack("=HHQ", 8, 8, 3) in block


def test_what_nobody_knows_is_not_there() -> None:
    bare = interface_block(CapturedInterface("x", 1, 128))
    assert struct.pack("=HH", 8, 8) not in bare, "no speed"
    assert struct.pack("=HH", 6, 6) not in bare, "no address"


def test_only_whole_blocks_fit() -> None:
    one, two = packet_block(bytes(14), 1), packet_block(bytes(20), 2)
    blocks = memoryview(one + two)
    assert block_lengths(blocks, len(one) - 1) == 0
    assert block_lengths(blocks, len(one)) == len(one)
    assert block_lengths(blocks, len(blocks) - 1) == len(one)
    assert block_lengths(blocks, 1 << 30) == len(blocks)
