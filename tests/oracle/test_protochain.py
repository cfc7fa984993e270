"""`protochain`, the one primitive that loops: libpcap's verdict on chains as long as we follow them."""

import random
from collections.abc import Iterator

from meshlens.filters.compiler import compile_list
from tests.oracle.conftest import Compare
from tests.oracle.corpus import Sample
from tests.oracle.judges import HOOKS, Libpcap, as_list

EXPRESSIONS = [
    "ip6 protochain 6",
    "ip6 protochain 17",
    "ip6 protochain 58",
    "ip6 protochain 59",
    "ip6 protochain \\tcp",
    "ip protochain 6",
    "ip protochain 51",
    "protochain 17",
    "not ip6 protochain 6",
    "ip6 protochain 6 or arp",
]
FOLLOWED = 4
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NOTHING, DESTINATION = 0, 43, 44, 51, 59, 60
ENDS = (6, 17, 58, NOTHING, 132)


def chain(headers: list[int], end: int, rng: random.Random) -> bytes:
    """An IPv6 packet with these extension headers, in a frame."""
    following = [*headers, end][1:] if headers else []
    body = b""
    for next_header in following:
        words = rng.randrange(3)
        body += bytes((next_header, words)) + rng.randbytes(6 + 8 * words)
    fixed = b"\x60\0\0\0" + (len(body) + 20).to_bytes(2, "big") + bytes((headers[0] if headers else end, 64))
    return bytes(12) + b"\x86\xdd" + fixed + bytes(32) + body + rng.randbytes(20)


def authenticated(end: int, version: int, rng: random.Random) -> bytes:
    """An authentication header and no more: libpcap would follow what is behind it to the wrong place."""
    header = bytes((end, rng.randrange(5))) + rng.randbytes(22)
    if version == 6:
        return bytes(12) + b"\x86\xdd\x60\0\0\0\0\x18" + bytes((AUTHENTICATION, 64)) + bytes(32) + header
    return bytes(12) + b"\x08\0\x45" + bytes(8) + bytes((AUTHENTICATION,)) + bytes(10) + header


def frames(lengths: range) -> Iterator[Sample]:
    """Chains of such lengths, whole and cut anywhere."""
    rng = random.Random(1)
    for _ in range(150):
        headers = rng.choices((HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION), k=rng.choice(lengths))
        data = chain(headers, rng.choice(ENDS), rng)
        for size in {len(data), rng.randrange(14, len(data)), rng.randrange(54, len(data))}:
            yield Sample(data[:size], len(data))
        data = authenticated(rng.choice(ENDS), rng.choice((4, 6)), rng)
        for size in {len(data), rng.randrange(14, len(data))}:
            yield Sample(data[:size], len(data))


def test_chains_are_followed_as_libpcap_follows_them(compare: Compare) -> None:
    compiled = compile_list(as_list(EXPRESSIONS))
    samples = tuple(dict.fromkeys(frames(range(FOLLOWED + 1))))
    verdicts = compare(compiled, samples, Libpcap(compiled.filters).answer)
    assert verdicts.complaint("interpreter", *HOOKS) == ""
    assert verdicts.matched == set(EXPRESSIONS)


def test_a_longer_chain_is_no_match_and_no_opposite_of_one() -> None:
    compiled = compile_list(as_list(["ip6 protochain 6", "not ip6 protochain 6"]))
    rng = random.Random(2)
    matched = [len(compiled.match(chain([DESTINATION] * length, 6, rng))) for length in range(FOLLOWED + 3)]
    assert matched == [1] * (FOLLOWED + 1) + [0, 0]
