"""The monitor program adds up what its definition does, whatever stands in radiotap and in front of what."""

import random
import struct
from collections.abc import Iterator

import pytest

from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.ieee80211 import KINDS
from meshlens.packet.radiotap import EXTENDED, FIELDS, MAX_WORDS, Antenna
from meshlens.packet.wifi_mix import wifi_mix
from meshlens.wifi.monitor.frame import MAX_RADIOTAP_BYTES
from tests.monitor import compare, is_testable, loaded

pytestmark = pytest.mark.kernel

ADDRESSES = [f"02:00:00:00:00:{last:02x}" for last in range(6)] + ["03:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"]
DATA = dot11("data", ADDRESSES[0], ADDRESSES[1])
#: Bytes that mean something in many fields, more often than others.
TELLING = bytes.fromhex("00 01 02 04 05 07 0f 10 20 24 40 44 50 7f 80 c0 ff")


def some_bytes(rng: random.Random, size: int) -> bytes:
    return bytes(rng.choice(TELLING) if rng.random() < 0.5 else rng.randrange(256) for _ in range(size))


def some_radiotap(rng: random.Random) -> bytes:
    """Any fields with any values, any number of antennas."""
    fields: dict[str, int | tuple[int, ...]] = {}
    for field in FIELDS:
        if rng.random() < 0.3:
            numbers = struct.unpack(field.format, some_bytes(rng, field.size))
            fields[field.name] = numbers if field.parts else numbers[0]
    antennas = [
        Antenna(number, rng.randrange(-100, 0), None) for number in range(rng.choice((0, 0, 1, 2, 20)))
    ]
    return radiotap(antennas, **fields)


def some_frame(rng: random.Random) -> bytes:
    one, two, three = rng.choices(ADDRESSES, k=3)
    body = bytes(rng.randrange(60))
    frame = dot11(rng.choice(KINDS), one, two, three, body, flags=rng.randrange(256))
    return frame if rng.random() < 0.9 else frame[: rng.randrange(len(frame))]


def frames(count: int, seed: int) -> Iterator[bytes]:
    """Crafted frames; one in ten with a byte of its radiotap changed."""
    rng = random.Random(seed)
    for _ in range(count):
        head = bytearray(some_radiotap(rng))
        if rng.random() < 0.1:
            head[rng.randrange(len(head))] = rng.choice(TELLING)
        yield bytes(head) + some_frame(rng)


def timed(some: Iterator[bytes] | list[bytes]) -> list[tuple[bytes, int]]:
    return [(data, 1_000 + at) for at, data in enumerate(filter(is_testable, some))]


@pytest.mark.parametrize("seed", [1, 2])
def test_any_radiotap_and_any_header_are_read_as_the_definition_reads_them(seed: int) -> None:
    given = timed(frames(8_000, seed))
    outcomes = compare(loaded(127), 127, given)
    assert outcomes["counted"] > len(given) // 3
    assert outcomes["unreadable"] > 50
    assert outcomes["damaged"] > 50


def test_random_bytes_are_read_as_the_definition_reads_them() -> None:
    rng = random.Random(3)
    given = timed([b"\0\0" + some_bytes(rng, rng.randrange(12, 90)) for _ in range(5_000)])
    compare(loaded(127), 127, given)
    compare(loaded(105), 105, given)


def test_the_mix_is_read_whole() -> None:
    outcomes = compare(loaded(127), 127, timed([frame.data for frame in wifi_mix()]))
    assert outcomes["unreadable"] == 0


@pytest.mark.parametrize("length", [MAX_RADIOTAP_BYTES, MAX_RADIOTAP_BYTES + 1])
def test_a_header_may_be_as_long_as_the_definition_says(length: int) -> None:
    head = struct.pack("<BxHI", 0, length, 0).ljust(length, b"\0")
    outcomes = compare(loaded(127), 127, timed([head + DATA]))
    assert outcomes["counted" if length <= MAX_RADIOTAP_BYTES else "unreadable"] == 1


@pytest.mark.parametrize("words", [1, 2, MAX_WORDS, MAX_WORDS + 1])
def test_there_may_be_as_many_presence_words_as_the_definition_says(words: int) -> None:
    present = [1 << 5 | EXTENDED] + [EXTENDED] * (words - 1)
    present[-1] &= ~EXTENDED
    head = struct.pack(f"<BxH{words}Ib", 0, 4 + 4 * words + 1, *present, -60)
    outcomes = compare(loaded(127), 127, timed([head + DATA]))
    assert outcomes["counted" if words <= MAX_WORDS else "unreadable"] == 1
