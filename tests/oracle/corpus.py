"""The frames that filters are judged on: every different one of the captures, made-up ones, damaged ones."""

import random
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from meshlens.packet.capture import CaptureError, read_capture
from meshlens.packet.mesh import overhead_mix, payload_mix
from tests.data import captures, collections

__all__ = ["Sample", "captured", "clients", "damaged", "jumbo", "mesh_mixes"]


class Sample(NamedTuple):
    """A frame: the bytes there are, and how many it had on the wire."""

    data: bytes
    wire_length: int


@cache
def captured(link_type: int = 1) -> tuple[Sample, ...]:
    """Every different frame of that link type in all captures, in a fixed order."""
    return tuple(dict.fromkeys(_frames(link_type)))


def _frames(link_type: int) -> Iterator[Sample]:
    for collection in collections():
        for path in captures(collection):
            try:
                with read_capture(path) as reader:
                    for frame in reader:
                        if frame.link_type == link_type:
                            yield Sample(frame.data, frame.wire_length)
            except CaptureError:
                continue  # what stands before the fault has been yielded


def mesh_mixes() -> tuple[Sample, ...]:
    """The product's own made-up traffic, of both compat versions, tagged and not."""
    mixes = [
        mix(600, version=version, vlans=vlans, inner_vlans=inner_vlans)
        for mix in (overhead_mix, payload_mix)
        for version in (14, 15)
        for vlans, inner_vlans in (((), ()), ((100,), ()), ((), (200,)), ((100, 200), (7, 8)))
    ]
    return tuple(dict.fromkeys(Sample(frame.data, len(frame.data)) for mix in mixes for frame in mix))


def clients() -> list[bytes]:
    """A frame of each kind that clients send: what stands inside batman-adv packets."""
    return [
        frame.data
        for mix in (overhead_mix, payload_mix)
        for frame in {frame.kind: frame for frame in mix(400)}.values()
        if frame.kind.startswith("client/")
    ]


def jumbo() -> Iterator[Sample]:
    """Frames of one byte behind IP headers, just shorter and longer than what filters look at far out."""
    lengths = {around + by for around in _FAR for by in range(-5, 6)}
    for header in (
        b"\x08\x00E" + bytes(8) + b"\x06",
        b"\x08\x00E" + bytes(8) + b"\x11",
        b"\x86\xdd`",
        b"\x88\x47",
    ):
        for length in sorted(lengths):
            for filling in (b"\0", b"\1"):
                yield Sample((bytes(12) + header).ljust(length, filling)[:length], length)


def truncated(samples: Iterable[Sample], rng: random.Random) -> Iterator[Sample]:
    """Each frame cut somewhere, in its headers more often than behind; half of them know their old length."""
    for data, wire_length in samples:
        size = rng.randrange(min(len(data), 100) + 1) if rng.random() < 0.7 else rng.randrange(len(data) + 1)
        yield Sample(data[:size], wire_length if rng.random() < 0.5 else size)


def mutated(samples: Iterable[Sample], rng: random.Random) -> Iterator[Sample]:
    """Each frame with a few bytes changed, most in its headers, to values that mean something to a filter."""
    for data, wire_length in samples:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 5) if data else 0):
            at = rng.randrange(min(len(data), 64) if rng.random() < 0.8 else len(data))
            value = rng.choice(_TELLING) if rng.random() < 0.6 else rng.randbytes(1)
            changed[at : at + len(value)] = value
        yield Sample(bytes(changed[: len(data)]), wire_length)


def damaged(samples: Iterable[Sample], seed: int) -> tuple[Sample, ...]:
    """A truncated and a mutated version of each frame, each different one once."""
    rng = random.Random(seed)
    whole = list(samples)
    return tuple(dict.fromkeys([*truncated(whole, rng), *mutated(whole, rng)]))


_FAR = (14, 64, 128, 512, 1000, 1514, 4001, 9001, 28672, 32768, 40001, 65535, 70004, 100001, 262144)

#: Ethertypes, protocols, port numbers, version and length fields: what turns one kind of frame into another.
_TELLING = tuple(
    bytes.fromhex(text)
    for text in """
    0800 0806 86dd 8100 88a8 9100 8847 8848 8863 8864 88cc 4305 0600 05dc 002e 8035 809b 6003 6558 22f3
    00 01 02 06 11 2b 2c 32 33 3a 3b 3c 45 46 4f 60 6f 7f 80 84 ff fe 0000 0001 ffff 8000
    0035 0043 0044 14e9 17c1 12b5 01bb 0050 42420300 fefe03 aaaa03 aaaa03000000 e0e003 f0f003 ffff
    81000064 81000800 810000640800 8100006481000064 8847000641ff 88641100000100140021 0800450000
    f05f0f01 0f01 0f01aa 4305010f 4305400f 0f01 0f02 0f40 0f41 0e03 0e04
    """.split()
)
