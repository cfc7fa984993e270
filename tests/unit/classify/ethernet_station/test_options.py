"""Options as numbers, against the reader of options that `stations` has, and against their documents."""

import random

from meshlens.classify.ethernet_station.options import asked, mix, syn
from meshlens.probes.stations.options import dhcp_fingerprint, syn_signature

MAGIC = bytes((99, 130, 83, 99))


def hashed(values: bytes) -> int:
    seed = 0
    for byte in values:
        seed = mix(seed, byte)
    return seed


def options(rng: random.Random) -> bytes:
    """Any options, most with a length that is true."""
    data = b""
    for _ in range(rng.randrange(12)):
        code = rng.choice((0, 1, 12, 50, 53, 55, 60, 61, 82, 255 if rng.random() < 0.1 else 3))
        value = rng.randbytes(rng.randrange(12))
        data += bytes((code,)) if code in (0, 255) else bytes((code, len(value))) + value
    return data


def test_a_request_says_what_the_other_reader_finds_in_it() -> None:
    rng, seen = random.Random(1), 0
    for _ in range(2000):
        data = MAGIC + options(rng)
        if len(data) > 300:
            continue
        other, found = dhcp_fingerprint(data), asked(data)
        assert other
        assert found.options == hashed(bytes(other.options))
        assert found.asked == hashed(bytes(other.requested))
        seen += found.asked > 0
    assert seen > 500


def test_vendor_class_and_host_name_are_known_by_their_length_and_a_hash() -> None:
    found = asked(MAGIC + bytes((53, 1, 3, 60, 5)) + b"udhcp" + bytes((12, 6)) + b"camera" + b"\xff")
    assert found._asdict() == {
        "type": 3, "options": hashed(bytes((53, 60, 12))), "asked": 0, "vendor": hashed(b"udhcp"),
        "vendor_bytes": 5, "name_bytes": 6,
    }  # fmt: skip


def test_what_is_no_request_says_nothing() -> None:
    for data in (b"", MAGIC[:3], bytes(4) + b"\x35\x01\x01"):
        assert not any(asked(data))


def test_a_syn_says_what_the_other_reader_finds_in_it() -> None:
    rng = random.Random(2)
    for _ in range(3000):
        body = b"".join(
            rng.choice(
                (
                    b"\1",
                    b"\2\4" + rng.randbytes(2),
                    b"\3\3" + rng.randbytes(1),
                    b"\4\2",
                    b"\x08\x0a" + bytes(8),
                )
            )
            for _ in range(rng.randrange(7))
        )[:40]
        body += bytes(-len(body) % 4)
        header = rng.randbytes(12) + bytes(((20 + len(body)) << 2, 2)) + rng.randbytes(6) + body
        other, found = syn_signature(64, header), syn(header)
        assert other
        assert found.window == other.window
        kinds = bytes(kind for kind in other.options if kind > 1)  # those that have a length
        assert found.options == hashed(kinds)


def test_no_option_of_any_bytes_raises() -> None:
    rng = random.Random(3)
    for _ in range(5000):
        data = rng.randbytes(rng.randrange(20, 80))
        assert all(0 <= value < 1 << 24 for value in (*asked(MAGIC + data), *syn(data)))
