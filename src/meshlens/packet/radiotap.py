"""Radiotap: what a receiver says about a frame of 802.11, in front of it.

The header begins with words of presence bits; behind them stand the fields of the bits that are set, in
their order, each aligned to its own size. What each field looks like is said once, in FIELDS; decoding in
Python and the loads of a generated program both follow from it.

Sources: radiotap.org, "Field Definitions" and "Radiotap"; include/net/ieee80211_radiotap.h and
net/wireless/radiotap.c of Linux, whose sizes and alignments these are.
"""

import re
import struct
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from meshlens.errors import MeshlensError

__all__ = [
    "EXTENDED",
    "FIELDS",
    "FIELD_OF",
    "FIXED_BYTES",
    "MAX_WORDS",
    "RADIOTAP_BIT",
    "Antenna",
    "Radiotap",
    "RadiotapError",
    "RadiotapField",
    "RxFlag",
    "Tap",
    "VendorNamespace",
    "parse_radiotap",
]


class RadiotapError(MeshlensError):
    """Bytes that are no radiotap header."""


class RadiotapField(NamedTuple):
    """A field: its presence bit, alignment in bytes, and its numbers (little-endian, in struct's letters)."""

    bit: int
    name: str
    alignment: int
    format: str
    parts: tuple[str, ...]

    @property
    def size(self) -> int:
        return struct.calcsize(self.format)

    def at(self, part: str) -> int:
        """Where a part stands in the field, in bytes."""
        letters = re.sub(r"(\d+)(\w)", lambda found: found[2] * int(found[1]), self.format)
        return struct.calcsize(letters[: 1 + self.parts.index(part)])


def _field(bit: int, name: str, alignment: int, letters: str, parts: str = "") -> RadiotapField:
    return RadiotapField(bit, name, alignment, f"<{letters}", tuple(parts.split()))


#: All fields with a bit of their own; frequencies in MHz, powers in dBm, rates in 500 kbit/s.
FIELDS: Final = (
    _field(0, "tsft", 8, "Q"),
    _field(1, "flags", 1, "B"),
    _field(2, "rate", 1, "B"),
    _field(3, "channel", 2, "HH", "frequency flags"),
    _field(4, "fhss", 2, "BB", "hop_set hop_pattern"),
    _field(5, "signal", 1, "b"),
    _field(6, "noise", 1, "b"),
    _field(7, "lock_quality", 2, "H"),
    _field(8, "tx_attenuation", 2, "H"),
    _field(9, "tx_attenuation_db", 2, "H"),
    _field(10, "tx_power", 1, "b"),
    _field(11, "antenna", 1, "B"),
    _field(12, "signal_db", 1, "B"),
    _field(13, "noise_db", 1, "B"),
    _field(14, "rx_flags", 2, "H"),
    _field(15, "tx_flags", 2, "H"),
    _field(16, "rts_retries", 1, "B"),
    _field(17, "data_retries", 1, "B"),
    _field(18, "xchannel", 4, "IHBB", "flags frequency channel max_power"),
    _field(19, "mcs", 1, "BBB", "known flags index"),
    _field(20, "ampdu", 4, "IHBB", "reference flags delimiter_crc reserved"),
    _field(
        21, "vht", 2, "HBB4BBBH", "known flags bandwidth user0 user1 user2 user3 coding group partial_aid"
    ),
    _field(22, "timestamp", 8, "QHBB", "time accuracy unit_position flags"),
    _field(23, "he", 2, "6H", "data1 data2 data3 data4 data5 data6"),
    _field(24, "he_mu", 2, "HH4B4B", "flags1 flags2 a0 a1 a2 a3 b0 b1 b2 b3"),
    _field(25, "he_mu_other_user", 2, "HHBB", "per_user1 per_user2 per_user_position per_user_known"),
    _field(26, "zero_length_psdu", 1, "B"),
    _field(27, "l_sig", 2, "HH", "data1 data2"),
)
FIELD_OF: Final = {each.name: each for each in FIELDS}

#: Version, a byte of padding, the length of the whole header.
_BEGIN: Final = struct.Struct("<BxH")
_WORD: Final = struct.Struct("<I")
FIXED_BYTES: Final = 8
#: More presence words than any driver writes: one for each antenna. A header with more is refused.
MAX_WORDS: Final = 16

# Bits that are no fields: fields as type, length, value follow; the next word is radiotap's again, or a
# vendor's; there is a next word.
_TLVS, RADIOTAP_BIT, _VENDOR, _MORE = 28, 29, 30, 31
EXTENDED: Final = 1 << _MORE
_VENDOR_HEAD: Final = struct.Struct("<3sBH")


class Tap(IntFlag):
    """The bits of the field `flags`."""

    CFP = 0x01
    SHORT_PREAMBLE = 0x02
    WEP = 0x04
    FRAGMENTED = 0x08
    FCS_AT_END = 0x10
    PADDED = 0x20
    BAD_FCS = 0x40
    SHORT_GUARD = 0x80


class RxFlag(IntFlag):
    """The bits of the field `rx_flags`."""

    BAD_PLCP = 0x0002


# Flags of type IntFlag are several times as slow as plain numbers.
_FCS_AT_END, _BAD_FCS, _BAD_PLCP = int(Tap.FCS_AT_END), int(Tap.BAD_FCS), int(RxFlag.BAD_PLCP)


class Antenna(NamedTuple):
    """What one antenna or chain received, from a namespace of its own; dBm."""

    antenna: int | None
    signal: int | None
    noise: int | None


class VendorNamespace(NamedTuple):
    """Bytes that only a vendor (its OUI, and a number of its choice) knows to read."""

    oui: bytes
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Radiotap:
    """A header of `length` bytes.

    `fields` are those of the first presence word: numbers, or tuples of numbers as FIELDS names them.
    `antennas` and `vendors` are what other words tell; `whole` is False if some of that goes beyond the
    header's end, and is left out.
    """

    length: int
    fields: dict[str, int | tuple[int, ...]]
    antennas: tuple[Antenna, ...] = ()
    vendors: tuple[VendorNamespace, ...] = ()
    whole: bool = True

    def number(self, name: str) -> int | None:
        """A field of one number, None if it is not there."""
        value = self.fields.get(name)
        return value if isinstance(value, int) else None

    def numbers(self, name: str) -> dict[str, int] | None:
        """A field of several numbers by their names, None if it is not there."""
        value = self.fields.get(name)
        return dict(zip(FIELD_OF[name].parts, value, strict=True)) if isinstance(value, tuple) else None

    @property
    def flags(self) -> Tap:
        """The field of this name; none of them if it is not there."""
        return Tap(self.number("flags") or 0)

    @property
    def fcs_at_end(self) -> bool:
        """Whether the frame's last four bytes are its FCS."""
        return bool((self.number("flags") or 0) & _FCS_AT_END)

    @property
    def bad_fcs(self) -> bool:
        """Whether the receiver found the FCS wrong."""
        return bool((self.number("flags") or 0) & _BAD_FCS)

    @property
    def damaged(self) -> bool:
        """Whether the frame may be anything: FCS or PLCP wrong."""
        return self.bad_fcs or bool((self.number("rx_flags") or 0) & _BAD_PLCP)

    @property
    def frequency(self) -> int | None:
        """The channel's centre in MHz, None if it is not told."""
        channel = self.numbers("channel")
        return channel["frequency"] if channel else None


def parse_radiotap(data: bytes) -> Radiotap:
    """The header that `data` begins with. Raises RadiotapError if it has none.

    A header is refused if its version is not 0, if it is longer than `data`, or if its presence words (at
    most MAX_WORDS) or the fields of the first one do not fit into it. What fields say is not judged.
    """
    if len(data) < FIXED_BYTES:
        raise RadiotapError(f"radiotap needs {FIXED_BYTES} bytes, {len(data)} are left")
    version, length = _BEGIN.unpack_from(data)
    if version:
        raise RadiotapError(f"radiotap of version {version}, only 0 is known")
    if not FIXED_BYTES <= length <= len(data):
        raise RadiotapError(f"a radiotap header of {length} bytes in {len(data)} bytes")
    words = _words(data, length)
    reader = _Reader(data, length, 4 + 4 * len(words))
    spaces = [reader.radiotap(words[0])]
    if not reader.whole:
        raise RadiotapError(f"radiotap: the fields do not fit into a header of {length} bytes")
    vendors: list[VendorNamespace] = []
    for before, word in pairwise(words):
        if before >> _VENDOR & 1:
            vendors += reader.vendor()
        elif before >> RADIOTAP_BIT & 1:
            spaces.append(reader.radiotap(word))
        elif not reader.in_vendors:  # bits 32 and above: nobody has given them a meaning
            break
    if words[-1] >> _VENDOR & 1:
        vendors += reader.vendor()
    antennas = (_antenna(fields) for fields in spaces[1:] if fields)
    return Radiotap(length, spaces[0], tuple(antennas), tuple(vendors), reader.whole)


def _words(data: bytes, length: int) -> list[int]:
    """The presence words."""
    words: list[int] = []
    while not words or words[-1] >> _MORE:
        at = 4 + 4 * len(words)
        if at + 4 > length or len(words) == MAX_WORDS:
            raise RadiotapError(f"radiotap: presence word {len(words) + 1} does not fit")
        words += _WORD.unpack_from(data, at)
    return words


@lru_cache(maxsize=1024)
def _plan(word: int, at: int) -> tuple[tuple[str, struct.Struct, int, int], ...]:
    """The fields of a presence word, and where each begins and ends, if the first one may begin at `at`."""
    steps = []
    for each in FIELDS:
        if word >> each.bit & 1:
            begin = -(-at // each.alignment) * each.alignment
            at = begin + each.size
            steps.append((each.name, struct.Struct(each.format), begin, at))
    return tuple(steps)


class _Reader:
    """Goes along the fields. What does not fit ends it: nothing behind that place can be found."""

    def __init__(self, data: bytes, length: int, at: int) -> None:
        self.data, self.length, self.at = data, length, at
        self.whole = True
        self.in_vendors = False

    def radiotap(self, word: int) -> dict[str, int | tuple[int, ...]]:
        """The fields of a presence word of radiotap's own."""
        self.in_vendors = False
        found: dict[str, int | tuple[int, ...]] = {}
        for name, numbers, begin, end in _plan(word, self.at):
            if not self.whole or end > self.length:
                self.whole = False
                break
            values = numbers.unpack_from(self.data, begin)
            found[name] = values if len(values) > 1 else values[0]
            self.at = end
        if word >> _TLVS & 1:
            self.at = self.length
        return found

    def vendor(self) -> list[VendorNamespace]:
        """The vendor's namespace that begins here, with all that it says is in it."""
        self.in_vendors = True
        begin = self._take(2, _VENDOR_HEAD.size)
        if begin is None:
            return []
        oui, number, size = _VENDOR_HEAD.unpack_from(self.data, begin)
        begin = self._take(1, size)
        return [] if begin is None else [VendorNamespace(oui, number, self.data[begin : begin + size])]

    def _take(self, alignment: int, size: int) -> int | None:
        """Where the next `size` bytes begin, None if they do not fit."""
        begin = -(-self.at // alignment) * alignment
        if not self.whole or begin + size > self.length:
            self.whole = False
            return None
        self.at = begin + size
        return begin


def _antenna(fields: dict[str, int | tuple[int, ...]]) -> Antenna:
    antenna, signal, noise = (fields.get(name) for name in ("antenna", "signal", "noise"))
    assert not isinstance(antenna, tuple)
    assert not isinstance(signal, tuple)
    assert not isinstance(noise, tuple)
    return Antenna(antenna, signal, noise)
