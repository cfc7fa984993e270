"""Whose address it is: the registry of IEEE, packed so that a look-up unpacks a few kilobytes of it.

The file `data/vendors.bin` is made by tools/update_vendors.py. Its first line is JSON: where it comes from,
and where the blocks of the rest begin. An index block holds prefixes in ascending order and the numbers of
their names, column by column; a block of names, so many names in lines. All blocks are packed by zlib.
"""

import json
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["BITS", "VENDORS", "pack_index", "vendor_of"]

VENDORS: Final = Path(__file__).parents[2] / "data" / "vendors.bin"
#: How long assigned prefixes are: MA-L, MA-M, MA-S (and IAB, as they were called before).
BITS: Final = (24, 28, 36)
_NAME_BYTES: Final = 2
_LOCAL: Final = 0x02
#: A few blocks serve the addresses of a network; more need not stay in memory.
_KEPT_BLOCKS: Final = 8


class _Registry(NamedTuple):
    """The first line: names in a block; by the bits of a prefix (first prefix, begin, bytes) of each block;
    (begin, bytes) of each block of names. `start` is where the blocks begin in the file.
    """

    start: int
    names_in_block: int
    prefixes: Mapping[str, Sequence[tuple[int, int, int]]]
    names: Sequence[tuple[int, int]]


@lru_cache(maxsize=8192)
def vendor_of(mac: str) -> str:
    """Who the address was assigned to, in the words of IEEE; "" if nobody, as locally administered ones."""
    number = int(mac.replace(":", ""), 16)
    if number >> 40 & _LOCAL:
        return ""
    for bits in reversed(BITS):
        name = _look_up(number >> 48 - bits, bits)
        if name:
            return name
    return ""


def _look_up(prefix: int, bits: int) -> str:
    registry = _registry()
    blocks = registry.prefixes[str(bits)]
    place = bisect_right(blocks, prefix, key=lambda block: block[0]) - 1
    if place < 0:
        return ""
    _, begin, size = blocks[place]
    columns = _block(begin, size)
    width = -(-bits // 8)
    count = len(columns) // (width + _NAME_BYTES)
    at = bisect_left(range(count), prefix, key=lambda row: _number(columns, row, count, 0, width))
    if at == count or _number(columns, at, count, 0, width) != prefix:
        return ""
    number = _number(columns, at, count, width, _NAME_BYTES)
    names = _block(*registry.names[number // registry.names_in_block]).decode().split("\n")
    return names[number % registry.names_in_block]


def _number(columns: bytes, row: int, count: int, first: int, width: int) -> int:
    """The number in `width` columns from `first` on."""
    return int.from_bytes(columns[row + first * count : row + (first + width) * count : count])


def pack_index(prefixes: Sequence[int], numbers: Sequence[int], bits: int) -> bytes:
    """The bytes of an index block."""
    width = -(-bits // 8)
    rows = [
        prefix.to_bytes(width) + number.to_bytes(_NAME_BYTES)
        for prefix, number in zip(prefixes, numbers, strict=True)
    ]
    return bytes(row[column] for column in range(width + _NAME_BYTES) for row in rows)


@cache
def _registry() -> _Registry:
    with VENDORS.open("rb") as file:
        head = json.loads(file.readline())
        return _Registry(file.tell(), head["names_in_block"], head["index"], head["names"])


@lru_cache(_KEPT_BLOCKS)
def _block(begin: int, size: int) -> bytes:
    with VENDORS.open("rb") as file:
        file.seek(_registry().start + begin)
        return zlib.decompress(file.read(size))
