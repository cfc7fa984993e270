"""What the options of DHCP and TCP say, as numbers: a walk, byte by byte, that the kernel can do as well.

Both are a code, a length, a value (RFC 2132; RFC 9293, 3.1); some codes stand alone, one ends all. Nothing
here raises; what is cut off is read as far as it is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = [
    "ASKED", "DHCP", "DHCP_BYTES", "FACTOR", "HASH_MASK", "MAGIC", "MSS", "NAME", "SCALE", "TCP", "TCP_BYTES",
    "TYPE", "VENDOR", "Asked", "Syn", "Walk", "asked", "mix", "syn",
]  # fmt: skip

#: "This is DHCP", before the options.
MAGIC: Final = 0x63825363
#: So many bytes are read: every host has to take 312 bytes of options, their magic number included (RFC
#: 2131); a TCP header with options has 60 at most.
DHCP_BYTES, TCP_BYTES = 312, 60

#: Options of DHCP (RFC 2132): what is asked for, vendor class, host name, message type; of TCP.
ASKED, VENDOR, NAME, TYPE = 55, 60, 12, 53
MSS, SCALE = 2, 3
FACTOR, HASH_MASK = 31, 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Walk:
    """How options lie: `pads` is the code without a length that is nothing, `ends` that after which none is.

    `header` is how many bytes the length counts that stand before the value.
    """

    begin: int
    pads: int
    ends: int
    header: int


DHCP: Final = Walk(begin=4, pads=0, ends=255, header=0)
TCP: Final = Walk(begin=20, pads=1, ends=0, header=2)


class Asked(NamedTuple):
    """A DHCP request, as in `features`."""

    type: int
    options: int
    asked: int
    vendor: int
    vendor_bytes: int
    name_bytes: int


class Syn(NamedTuple):
    """A SYN, as in `features`."""

    window: int
    mss: int
    scale: int
    options: int


def mix(seed: int, byte: int) -> int:
    """A hash of 24 bits with one more byte in it."""
    return (seed * FACTOR + byte + 1) & HASH_MASK


def asked(data: bytes) -> Asked:
    """What the bytes behind the BOOTP fields say."""
    found = dict.fromkeys(Asked._fields, 0)
    if int.from_bytes(data[:4]) != MAGIC or len(data) < DHCP.begin:
        return Asked(**found)
    for code, length, byte in _walk(DHCP, data[:DHCP_BYTES]):
        if length is not None:
            found["options"] = mix(found["options"], code)
            if code == VENDOR:
                found["vendor_bytes"] = length
            elif code == NAME:
                found["name_bytes"] = length
        elif code == ASKED:
            found["asked"] = mix(found["asked"], byte)
        elif code == VENDOR:
            found["vendor"] = mix(found["vendor"], byte)
        elif code == TYPE:
            found["type"] = byte
    return Asked(**found)


def syn(data: bytes) -> Syn:
    """What a TCP header of 20 bytes or more says."""
    end = min((data[12] >> 4) * 4, TCP_BYTES)
    found = {"window": int.from_bytes(data[14:16]), "mss": 0, "scale": 0, "options": 0}
    for code, length, byte in _walk(TCP, data[:end]):
        if length is not None:
            found["options"] = mix(found["options"], code)
        elif code == MSS:
            found["mss"] = (found["mss"] << 8 | byte) & 0xFFFF
        elif code == SCALE:
            found["scale"] = byte + 1
    return Syn(**found)


def _walk(walk: Walk, data: bytes) -> Iterator[tuple[int, int | None, int]]:
    """Each option: (code, bytes of its value, 0), then each of these: (code, None, byte)."""
    code, left, expects_length = 0, 0, False
    for byte in data[walk.begin :]:
        if left:
            left -= 1
            yield code, None, byte
        elif expects_length:
            if byte < walk.header:
                return
            expects_length, left = False, byte - walk.header
            yield code, left, 0
        elif byte == walk.ends:
            return
        elif byte != walk.pads:
            code, expects_length = byte, True
