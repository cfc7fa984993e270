"""Mutated capture files: whatever the bytes, the reader ends, in an error of its own or in frames."""

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlens.packet.capture import MAX_BLOCK_BYTES, MAX_FRAME_BYTES, CaptureError, read_capture
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

DATA = bytes(range(60))
ORDERS = st.sampled_from("<>")


def pcap_file(order: str, magic: int) -> bytes:
    return pcap(*(record(DATA[:size], order) for size in (60, 0, 33)), order=order, magic=magic)


def pcapng_file(order: str) -> bytes:
    options = option(2, b"eth0", order) + option(9, b"\x09", order) + option(14, bytes(8), order)
    flags = option(2, b"\1\0\0\1", order) + option(0, b"", order)
    parts = [
        section(order),
        interface(options=options, snapshot_bytes=1000, order=order),
        enhanced(DATA, options=flags, order=order),
        block(5, bytes(12), order),
        obsolete(DATA[:33], order=order),
        simple(DATA[:7], order=order),
    ]
    return b"".join(parts) * 2


VALID = st.one_of(
    st.builds(pcap_file, ORDERS, st.sampled_from([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])),
    st.builds(pcapng_file, ORDERS),
)
# Where to write what: lengths and counts are what a reader trusts, so extreme values are likelier than
# chance.
EXTREMES = [bytes(4), b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 3 + b"\x7f", b"\0\0\4\0", b"\0\4\0\0"]
EDITS = st.lists(
    st.tuples(st.integers(0, 600), st.one_of(st.sampled_from(EXTREMES), st.binary(min_size=1, max_size=5))),
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[int, bytes]], cut: int) -> bytes:
    changed = bytearray(data)
    for at, value in edits:
        changed[at % len(data) : at % len(data) + len(value)] = value
    return bytes(changed[: len(changed) - cut])


def check(data: bytes) -> None:
    """Read to the end; frames cannot hold more than the file does, nor come more often than it has bytes."""
    frames = captured_bytes = 0
    message = ""
    try:
        reader = read_capture(io.BytesIO(data))
        for frame in reader:
            frames += 1
            captured_bytes += len(frame.data)
            assert len(frame.data) <= MAX_FRAME_BYTES
            assert reader.bytes_read <= len(data)
            assert reader.interfaces[frame.interface].link_type == frame.link_type
    except CaptureError as error:
        message = str(error)
    assert "\n" not in message
    assert captured_bytes + 16 * frames <= len(data)


@given(VALID, EDITS, st.integers(0, 100))
@settings(max_examples=1500, deadline=None)
def test_a_mutated_file_ends_in_frames_or_in_a_capture_error(
    valid: bytes, edits: list[tuple[int, bytes]], cut: int
) -> None:
    check(edited(valid, edits, cut))


@given(
    st.sampled_from([pcap_file("<", 0xA1B2C3D4)[:4], section()[:4], section()[:12], b""]),
    st.binary(max_size=300),
)
@settings(max_examples=500, deadline=None)
def test_noise_behind_a_known_beginning_ends_in_frames_or_in_a_capture_error(
    begin: bytes, noise: bytes
) -> None:
    check(begin + noise)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "size", [b"\xff" * 4, b"\x7f\xff\xff\xf0", b"\xf0\xff\xff\x7f", b"\0\0\0\1", b"\1\0\0\0"]
)
def test_a_claimed_length_is_not_allocated(order: str, size: bytes) -> None:
    files = [
        pcap(b"12345678" + size + bytes(64), order=order),
        section(order) + b"\6\0\0\0" + size + bytes(64),
    ]
    tracemalloc.start()
    try:
        for data in files:
            check(data)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BLOCK_BYTES
    finally:
        tracemalloc.stop()
