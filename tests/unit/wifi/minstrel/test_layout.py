"""Minstrel's memory is read where the kernel's BTF says that things are, wherever that is."""

import ctypes
from typing import Any

import pytest

from meshlens.ebpf.btf import Btf, Kind
from meshlens.errors import NotSupported
from meshlens.wifi.minstrel.groups import GROUP_RATES, GROUPS, index_of
from meshlens.wifi.minstrel.layout import Layout
from meshlens.wifi.minstrel.record import MinstrelRate, MinstrelTable
from tests.unit.ebpf.btf_maker import Maker

U8, U16, U32 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32
HT, CCK, OFDM = 0, 16, 17
RATE = [
    ("attempts", U16), ("last_attempts", U16), ("success", U16), ("last_success", U16), ("att_hist", U32),
    ("succ_hist", U32), ("prob_avg", U16), ("prob_avg_1", U16), ("retry_count", U8),
    ("retry_count_rtscts", U8), ("retry_updated", U8),
]  # fmt: skip
SAMPLE = [("sample_group", U8), ("sample_rates", U16 * 5), ("cur_sample_rates", U16 * 5)]
STATION = [
    ("ampdu_len", U32), ("avg_ampdu_len", U32), ("max_tp_rate", U16 * 4), ("max_prob_rate", U16),
    ("overhead", U32), ("overhead_legacy", U32), ("total_packets", U32), ("sample_packets", U32),
]  # fmt: skip


class Kernel:
    """A kernel whose structures have these fields, in this order, and a station in its memory."""

    def __init__(self, *, turned: bool = False, without: str = "", groups: int = len(GROUPS)) -> None:
        def structure(name: str, fields: list[tuple[str, Any]]) -> Any:
            kept = [field for field in fields if field[0] != without]
            return type(name, (ctypes.Structure,), {"_fields_": kept[::-1] if turned else kept})

        rate = structure("minstrel_rate_stats", RATE)
        group = structure("minstrel_mcs_group_data", [("index", U8), ("rates", rate * GROUP_RATES)])
        sample = structure("minstrel_sample_category", SAMPLE)
        fields = [*STATION, ("sample", sample * 3), ("supported", U16 * groups), ("groups", group * groups)]
        self.station = structure("minstrel_ht_sta", fields)()
        self._maker, self._numbers = Maker(), dict[Any, int]()
        self._add(type(self.station))
        self.btf = Btf(self._maker.encode())

    def table(self) -> MinstrelTable:
        return Layout(self.btf).table("wlan0", "02:00:00:00:00:01", bytes(self.station))

    def _add(self, kind: Any) -> int:
        if kind not in self._numbers:
            self._numbers[kind] = self._made(kind)
        return self._numbers[kind]

    def _made(self, kind: Any) -> int:
        if issubclass(kind, ctypes.Array):
            return self._maker.add(Kind.ARRAY, "", 0, self._add(kind._type_), 0, kind._length_)
        if issubclass(kind, ctypes.Structure):
            members = [(name, self._add(of), 8 * getattr(kind, name).offset, 0) for name, of in kind._fields_]
            return self._maker.compound(kind.__name__, ctypes.sizeof(kind), *members)
        return self._maker.integer(kind.__name__, ctypes.sizeof(kind))


def filled(**how: Any) -> Kernel:
    """HT 0 to 7 and 6 to 54 Mbit/s, of which two were used."""
    kernel = Kernel(**how)
    station = kernel.station
    station.avg_ampdu_len, station.overhead, station.overhead_legacy = 6144, 108, 60
    station.total_packets, station.sample_packets = 1000, 60
    station.supported[HT], station.supported[OFDM] = 0xFF, 0xFF
    station.max_tp_rate[:] = [index_of(HT, 7), index_of(HT, 6), index_of(HT, 5), index_of(OFDM, 7)]
    station.max_prob_rate = index_of(HT, 6)
    station.sample[1].cur_sample_rates[2] = index_of(HT, 4)
    fast, slow = station.groups[HT].rates[7], station.groups[OFDM].rates[0]
    fast.attempts, fast.success, fast.last_attempts, fast.last_success = 5, 4, 30, 20
    fast.att_hist, fast.succ_hist, fast.prob_avg = 900, 700, 3072
    fast.retry_count, fast.retry_count_rtscts = 7, 6
    slow.att_hist, slow.succ_hist, slow.prob_avg = 12, 1, 200
    return kernel


def rates(table: MinstrelTable) -> dict[int, MinstrelRate]:
    return {each.index: each for each in table.rates}


@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "turned round"])
def test_a_table_is_read_by_the_names_of_its_fields(turned: bool) -> None:
    table = filled(turned=turned).table()
    assert (table.frames, table.probe_frames, table.ampdu_frames) == (1000, 60, 1.5)
    assert (table.overhead_us, table.legacy_overhead_us) == (108, 60)
    fast = rates(table)[index_of(HT, 7)]
    assert str(fast.rate) == "ht 7"
    assert (fast.attempts, fast.success) == (905, 704)
    assert (fast.current_attempts, fast.current_success) == (5, 4)
    assert (fast.last_attempts, fast.last_success) == (30, 20)
    assert (fast.probability, fast.retries, fast.rtscts_retries) == (0.75, 7, 6)


def test_rates_that_both_sides_have_are_in_the_table_and_no_others() -> None:
    assert [str(each.rate) for each in filled().table().rates] == [
        *[f"ht {mcs}" for mcs in range(8)], "6", "9", "12", "18", "24", "36", "48", "54",
    ]  # fmt: skip
    nothing = Kernel()
    assert nothing.table().rates == ()
    assert nothing.table().best is None


def test_cck_comes_first_and_twice_as_in_rc_stats() -> None:
    kernel = filled()
    kernel.station.supported[CCK] = 0xEF
    assert [str(each.rate) for each in kernel.table().rates[:8]] == [
        "1", "2", "5.5", "11", "2 short", "5.5 short", "11 short", "ht 0",
    ]  # fmt: skip


def test_chosen_and_sampled_rates_are_marked() -> None:
    table = filled().table()
    marks = {str(each.rate): each.marks for each in table.rates if each.marks}
    assert marks == {"ht 7": "A", "ht 6": "BP", "ht 5": "C", "54": "D", "ht 4": "S"}
    assert table.best
    assert str(table.best.rate) == "ht 7"
    assert [str(each.rate) for each in table.rates if each.sampled] == ["ht 4"]
    assert [str(each.rate) for each in table.rates if each.most_probable] == ["ht 6"]
    assert {str(each.rate): each.place for each in table.rates if each.place} == {
        "ht 7": 1, "ht 6": 2, "ht 5": 3, "54": 4,
    }  # fmt: skip


def test_an_empty_place_for_a_sample_is_not_the_first_rate() -> None:
    assert rates(filled().table())[0].marks == ""


def test_throughput_is_that_of_the_probability_and_its_limits() -> None:
    table = rates(filled().table())
    fast, slow, unused = table[index_of(HT, 7)], table[index_of(OFDM, 0)], table[index_of(HT, 3)]
    # 1200 bytes at 65 Mbit/s take 147.744 us, each A-MPDU 108 us; 1e8 / ns of frames in 100 ms.
    assert fast.airtime_us == 147.744
    assert fast.throughput_mbps == int(0.75 * 1e8 / (108_000 + 147_744)) / 10
    assert fast.max_throughput_mbps == int(3686 / 4096 * 1e8 / (108_000 + 147_744)) / 10
    assert slow.probability < 0.1
    assert (slow.throughput_mbps, unused.throughput_mbps) == (0, 0)
    assert unused.max_throughput_mbps > 0


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"without": "prob_avg"}, "there is no minstrel_rate_stats.prob_avg"),
        ({"without": "sample"}, "there is no minstrel_ht_sta.sample, struct minstrel_sample_category"),
        ({"groups": 41}, "it has 41 groups of 10 rates, not 42 of 10"),
    ],
    ids=str,
)
def test_another_minstrel_is_refused_by_what_it_lacks(how: dict[str, Any], said: str) -> None:
    with pytest.raises(NotSupported, match=said):
        Layout(Kernel(**how).btf)
