"""Where things stand in Minstrel's memory, by the running kernel's BTF; and what they mean.

struct minstrel_ht_sta and those in it: net/mac80211/rc80211_minstrel_ht.h, Linux 5.12 and later.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from meshlens.ebpf.btf import Btf, Kind
from meshlens.errors import NotSupported
from meshlens.wifi.minstrel.groups import GROUP_RATES, GROUPS, duration_ns, index_of, rate_at, split
from meshlens.wifi.minstrel.record import MinstrelRate, MinstrelTable
from meshlens.wifi.minstrel.throughput import ONE, Conditions

__all__ = ["Layout"]

_STATION: Final = (
    "avg_ampdu_len", "max_tp_rate", "max_prob_rate", "overhead", "overhead_legacy", "total_packets",
    "sample_packets", "sample", "supported", "groups",
)  # fmt: skip
_RATE: Final = (
    "attempts", "last_attempts", "success", "last_success", "att_hist", "succ_hist", "prob_avg",
    "retry_count", "retry_count_rtscts",
)  # fmt: skip
#: The order of rc_stats: CCK, then the others by number.
_ORDER: Final = sorted(range(len(GROUPS)), key=lambda number: (not GROUPS[number].cck, number))
_MARKS: Final = "ABCD"


class _Field(NamedTuple):
    """A member: where it begins in its struct, bytes of each element, number of elements (1: no array)."""

    offset: int
    size: int
    elements: int

    def places(self, start: int) -> Iterator[int]:
        """Where each element begins, if the struct begins at `start`."""
        return iter(range(start + self.offset, start + self.offset + self.size * self.elements, self.size))


class Layout:
    """The structures of a kernel. Raises NotSupported that names what it does not have."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._missing: list[str] = []
        self._station = self._struct("minstrel_ht_sta", *_STATION)
        self._group = self._struct("minstrel_mcs_group_data", "rates")
        self._rate = self._struct("minstrel_rate_stats", *_RATE)
        self._sample = self._struct("minstrel_sample_category", "cur_sample_rates")
        if self._missing:
            raise NotSupported(
                f"this kernel's Minstrel is another one: there is no {', '.join(self._missing)}"
            )
        shape = self._station["groups"].elements, self._group["rates"].elements
        if shape != (len(GROUPS), GROUP_RATES):
            raise NotSupported(
                f"this kernel's Minstrel is another one: it has {shape[0]} groups of {shape[1]} rates, "
                f"not {len(GROUPS)} of {GROUP_RATES}"
            )
        #: Bytes of a station.
        self.size = btf.size(btf.find("minstrel_ht_sta", Kind.STRUCT) or 0)

    def table(self, interface: str, mac: str, raw: bytes) -> MinstrelTable:
        """The table in the memory of a struct minstrel_ht_sta."""

        def number(name: str) -> int:
            return _number(raw, self._station[name].offset, self._station[name].size)

        best = self._numbers(raw, self._station["max_tp_rate"], 0)
        marks = [*zip(_MARKS, best, strict=False), ("P", number("max_prob_rate"))]
        marks += [("S", index) for index in self._sampled(raw)]
        conditions = Conditions(
            number("overhead"), number("overhead_legacy"), number("avg_ampdu_len"), best[0]
        )
        supported = self._numbers(raw, self._station["supported"], 0)
        groups = list(self._station["groups"].places(0))
        rates = [
            self._read(raw, start, group, place, marks, conditions)
            for group in _ORDER
            for place, start in enumerate(self._group["rates"].places(groups[group]))
            if supported[group] >> place & 1
        ]
        group, place = split(best[0])
        start = list(self._group["rates"].places(groups[group]))[place]
        probability = self._rate["prob_avg"]
        return MinstrelTable(
            interface=interface,
            mac=mac,
            rates=tuple(rates),
            frames=number("total_packets"),
            probe_frames=number("sample_packets"),
            ampdu_frames=conditions.average_ampdu / ONE,
            overhead_us=conditions.overhead_us,
            legacy_overhead_us=conditions.legacy_overhead_us,
            expected_throughput_kbps=conditions.expected_kbps(
                _number(raw, start + probability.offset, probability.size)
            ),
        )

    def _read(
        self,
        raw: bytes,
        start: int,
        group: int,
        place: int,
        marks: Iterable[tuple[str, int]],
        conditions: Conditions,
    ) -> MinstrelRate:
        """A rate whose struct minstrel_rate_stats begins at `start`."""
        of = {name: _number(raw, start + field.offset, field.size) for name, field in self._rate.items()}
        index = index_of(group, place)
        return MinstrelRate(
            index=index,
            rate=rate_at(group, place),
            attempts=of["att_hist"] + of["attempts"],
            success=of["succ_hist"] + of["success"],
            current_attempts=of["attempts"],
            current_success=of["success"],
            last_attempts=of["last_attempts"],
            last_success=of["last_success"],
            probability=of["prob_avg"] / ONE,
            throughput_mbps=conditions.throughput(group, place, of["prob_avg"]) / 10,
            max_throughput_mbps=conditions.throughput(group, place, ONE) / 10,
            airtime_us=duration_ns(group, place) / 1000,
            retries=of["retry_count"],
            rtscts_retries=of["retry_count_rtscts"],
            marks="".join(mark for mark, marked in marks if marked == index),
        )

    def _sampled(self, raw: bytes) -> set[int]:
        """The rates to be sampled; 0 stands for none (minstrel_ht_get_rate())."""
        samples = self._sample["cur_sample_rates"]
        indices = {
            index for at in self._station["sample"].places(0) for index in self._numbers(raw, samples, at)
        }
        return indices - {0}

    def _struct(self, name: str, *members: str) -> dict[str, _Field]:
        number = self._btf.find(name, Kind.STRUCT)
        if number is None:
            self._missing.append(f"struct {name}")
            return {}
        found = {each: self._btf.member(number, each) for each in members}
        self._missing += [f"{name}.{each}" for each, member in found.items() if member is None]
        return {
            each: _Field(member.bit_offset // 8, *self._shape(member.type))
            for each, member in found.items()
            if member is not None
        }

    def _shape(self, type: int) -> tuple[int, int]:
        """Bytes of each element, and their number."""
        plain = self._btf.plain(type)
        if self._btf.kind(plain) != Kind.ARRAY:
            return self._btf.size(plain), 1
        element, count = self._btf.array(plain)
        return self._btf.size(element), count

    @staticmethod
    def _numbers(raw: bytes, field: _Field, start: int) -> list[int]:
        return [_number(raw, at, field.size) for at in field.places(start)]


def _number(raw: bytes, at: int, size: int) -> int:
    return int.from_bytes(raw[at : at + size], sys.byteorder)
