"""Where the counters of a counting program stand, and how they are read.

The counters are one mmap-able array value, a part for each CPU. Each part holds (packets, bytes) pairs of
64 bits: first the reasons for missing a frame (`MISSED`), then the slots. A slot stands for the frames that
match the same filters; what a filter counted is the sum over its slots.
"""

from array import array
from dataclasses import dataclass
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from meshlens.filters.compiler import CompiledList

__all__ = ["COUNTERS", "MISSED", "PAIR_BYTES", "Layout", "Totals", "cpu_stride", "read_counters"]

#: The name of the map.
COUNTERS: Final = "counters"
PAIR_BYTES: Final = 16
_CACHE_LINE: Final = 64

#: Why a frame was not counted: its bytes could not be read; the program contradicted itself; the frame came
#: on a CPU that was not there when the counters were made.
MISSED: Final = ("unreadable", "inconsistent", "unknown_cpu")


@dataclass(frozen=True)
class Layout:
    """All that is needed to read the counters of a list.

    `filters` are the ids; `matches` holds for each slot the positions of those that match the frames in it.
    """

    filters: tuple[str, ...]
    matches: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, compiled: "CompiledList") -> Self:
        """The layout of a compiled list's counters."""
        ids = tuple(each.id for each in compiled.filters)
        return cls(ids, tuple(tuple(sorted(each)) for each in compiled.matches))


class Totals(NamedTuple):
    """(packets, bytes) for each filter, in the order of the list; frames missed by reason."""

    filters: list[tuple[int, int]]
    missed: dict[str, int]


def cpu_stride(slots: int) -> int:
    """The bytes that one CPU's counters take, whole cache lines."""
    return -(-PAIR_BYTES * (len(MISSED) + slots) // _CACHE_LINE) * _CACHE_LINE


def read_counters(counters: memoryview | bytes, layout: Layout) -> Totals:
    """Add up the counters of all CPUs. `counters` is the map's value, mapped (`Map.mmap()`) or copied."""
    pairs = _sum_of_cpus(counters, cpu_stride(len(layout.matches)))
    packets, bytes_ = pairs[::2], pairs[1::2]
    missed = dict(zip(MISSED, packets, strict=False))
    filter_packets, filter_bytes = [0] * len(layout.filters), [0] * len(layout.filters)
    first = len(MISSED)
    for slot, matching in enumerate(layout.matches, first):
        if packets[slot]:
            for position in matching:
                filter_packets[position] += packets[slot]
                filter_bytes[position] += bytes_[slot]
    return Totals(list(zip(filter_packets, filter_bytes, strict=True)), missed)


def _sum_of_cpus(counters: memoryview | bytes, stride: int) -> list[int]:
    copied = bytes(counters)
    zeros = bytes(stride)
    sums = [0] * (stride // 8)
    for start in range(0, len(copied), stride):
        part = copied[start : start + stride]
        if part != zeros:  # most CPUs of a large machine see none of an interface's frames
            sums = list(map(add, sums, array("Q", part)))
    return sums
