"""batman-adv frames of every type and shape, true ones and lies, built without the product's help."""

import random
from collections.abc import Iterator, Sequence

from tests.oracle.corpus import Sample
from tests.oracle.scopes import CARRIERS, HEADER_BYTES, TYPES

__all__ = ["mesh_frames", "short_frames", "tagged_frames", "wrapped"]

BATADV = b"\x43\x05"
#: The last one is no VLAN tag to libpcap.
TPIDS = (b"\x81\x00", b"\x81\x00", b"\x88\xa8", b"\x91\x00", b"\x92\x00")
#: TVLV lengths as they come, and such as no packet has.
TVLV_BYTES = (0, 4, 10, 62, 600, 1400, 3000)
LIES = (1, 0xFFFF, 0x8000, 32_000, 32_001, 65_000)


def tags(count: int, rng: random.Random) -> bytes:
    return b"".join(rng.choice(TPIDS) + rng.choice((b"\0\x64", b"\0\xc8")) for _ in range(count))


def tagged(frame: bytes, count: int, rng: random.Random) -> bytes:
    return frame[:12] + tags(count, rng) + frame[12:]


def ethernet(payload: bytes, outer_tags: int, rng: random.Random) -> bytes:
    destination = rng.choice((b"\xff" * 6, b"\x02\0\0\0\0\x01", rng.randbytes(6)))
    return destination + b"\x02" + rng.randbytes(5) + tags(outer_tags, rng) + BATADV + payload


def packet(version: int, type: int, payload: bytes, rng: random.Random) -> bytes:
    """A batman-adv packet whose header is noise where nothing depends on it."""
    begin = bytes((type, version, 50))
    if (version, type) == (15, 5):
        options = rng.choice(TVLV_BYTES)
        length = options if rng.random() < 0.8 else rng.choice(LIES)
        return begin + b"\0" + length.to_bytes(2, "big") + rng.randbytes(options) + payload
    if (version, type) == (14, 6):
        flags = rng.randrange(4) if rng.random() < 0.9 else rng.randrange(256)
        return begin + rng.randbytes(7) + bytes((flags,)) + rng.randbytes(9) + payload
    if (version, type) == (15, 0x41):
        return begin + rng.randbytes(17) + fragment(payload, rng)
    size = HEADER_BYTES.get((version, type), rng.choice((4, 10, 20)))
    if (version, type) == (15, 0x42):  # the subtype, also those that do not exist
        return begin + rng.randbytes(13) + bytes((rng.choice((1, 2, 3, 4, 0, 200)),)) + b"\0" + payload
    return begin + rng.randbytes(size - 3) + payload


def fragment(inner: bytes, rng: random.Random) -> bytes:
    """What a fragment of compat version 15 holds: the head of a packet, a tail, or something odd."""
    version = 15 if rng.random() < 0.9 else 14
    type = rng.choice((0x40, 0x40, 0x42, 0x01, 0x41, 0x03))
    if rng.random() < 0.3:
        return inner[len(inner) // 2 :]
    header = bytes((type, version, 49)) + rng.randbytes({0x40: 7, 0x42: 15}.get(type, 11))
    return (header + inner)[: rng.choice((700, 10_000))]


def wrapped(version: int, type: int, inner: bytes, rng: random.Random, outer_tags: int = 0) -> bytes:
    """A frame inside a batman-adv packet inside a frame."""
    return ethernet(packet(version, type, inner, rng), outer_tags, rng)


def vlan(frame: bytes, *ids: int) -> bytes:
    return frame[:12] + b"".join(b"\x81\0" + each.to_bytes(2, "big") for each in ids) + frame[12:]


def tagged_frames(inner: Sequence[bytes], seed: int) -> Iterator[Sample]:
    """Each inner frame in each carrier, behind each combination of tags, outside and inside."""
    rng = random.Random(seed)
    stacks = ((), (100,), (200,), (100, 200))
    for carrier in sorted(CARRIERS):
        for frame in inner:
            for outside in stacks:
                for inside in stacks:
                    data = vlan(wrapped(*carrier, vlan(frame, *inside), rng), *outside)
                    yield Sample(data, len(data))


def mesh_frames(inner: Sequence[bytes], seed: int) -> Iterator[Sample]:
    """Each inner frame in each type of both versions, tagged none to two times, inside and outside."""
    rng = random.Random(seed)
    for version, types in TYPES.items():
        for type in sorted({*types.values(), 0x0B, 0x7F, 0xFF}):
            for frame in inner:
                outer_tags, inner_tags = rng.choice((0, 0, 1, 2)), rng.choice((0, 0, 0, 1, 2))
                data = wrapped(version, type, tagged(frame, inner_tags, rng), rng, outer_tags)
                cut = len(data) if rng.random() < 0.9 else rng.randrange(len(data))
                yield Sample(data[:cut], len(data))
    for frame in inner:
        yield Sample(ethernet(bytes((1, rng.choice((13, 16, 0, 255)))) + frame, 0, rng), 64)


def short_frames(inner: Sequence[bytes], seed: int) -> Iterator[Sample]:
    """Frames of each type that carries one, cut at every length up to where the inner headers end."""
    rng = random.Random(seed)
    for version, types in TYPES.items():
        for type in sorted(types.values()):
            for frame in inner:
                for outer_tags in (0, 1):
                    data = wrapped(version, type, frame, rng, outer_tags)
                    for size in range(min(len(data), 110) + 1):
                        yield Sample(data[:size], rng.choice((size, len(data))))
