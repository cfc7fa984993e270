"""Minstrel's table as the kernel has it: read two ways, reckoned two ways, counted two ways."""

import re
import shutil
import struct
from typing import Any

import pytest

from meshlens.wifi.minstrel.groups import GROUPS, duration_ns, index_of
from meshlens.wifi.minstrel.throughput import ONE, Conditions
from tests.vm.conftest import VirtualMachine
from tests.vm.guest.minstrel import FRAMES, RATE_FIELDS, RATES, READ_GROUPS, STATION_FIELDS

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("hostapd", "iw"))), reason="no hostapd or iw")

CELLS = ["wlan0", "wlan2"]
STATIONS = {"wlan0": "02:00:00:00:01:00", "wlan2": "02:00:00:00:03:00"}
MARKS = "ABCD"
#: Bits of enum mac80211_rate_control_flags (include/net/mac80211.h).
MCS, WIDE, WIDER, SHORT, VHT = 1 << 3, 1 << 5, 1 << 9, 1 << 7, 1 << 8


@pytest.fixture(params=CELLS)
def cell(vm: VirtualMachine, request: pytest.FixtureRequest) -> dict[str, Any]:
    """One access point's answers."""
    answers: dict[str, Any] = vm.ask("minstrel")["cells"]
    found: dict[str, Any] = answers[request.param]
    return found


def test_each_station_of_the_namespace_has_its_table_and_no_other(vm: VirtualMachine) -> None:
    answer = vm.ask("minstrel")
    assert answer["all"] == [list(each) for each in STATIONS.items()]
    assert answer["hook"] == "fentry minstrel_ht_get_expected_throughput [mac80211]"
    assert answer["missed"] == {"stations_full": 0}
    assert [each["without"] for each in answer["cells"].values()] == [[], []]


def test_a_kprobe_reads_the_same(vm: VirtualMachine) -> None:
    assert vm.ask("minstrel")["by kprobe"] == [True, "kprobe minstrel_ht_get_expected_throughput [mac80211]"]


def test_where_the_driver_chooses_the_rates_there_is_no_table_and_it_is_said(vm: VirtualMachine) -> None:
    tables, without = vm.ask("minstrel")["elsewhere"]
    assert tables == []
    reason = "mac80211 does not choose its rates: the driver or its firmware does"
    assert without == [{"interface": "wlan0", "mac": STATIONS["wlan0"], "reason": reason}]


def test_the_table_is_what_the_kernel_s_fields_hold(cell: dict[str, Any]) -> None:
    result, *numbers = cell["after"]["fields"]
    table = cell["after"]["table"]
    station = dict(zip(STATION_FIELDS, numbers, strict=False))
    best = numbers[len(STATION_FIELDS) :][:4]
    assert (table["frames"], table["probe_frames"]) == (station["total_packets"], station["sample_packets"])
    assert table["ampdu_frames"] == station["avg_ampdu_len"] / ONE
    assert table["overhead_us"] == station["overhead"]
    assert table["legacy_overhead_us"] == station["overhead_legacy"]
    assert table["expected_throughput_kbps"] == result

    rates = {each["index"]: each for each in table["rates"]}
    at, supported = len(STATION_FIELDS) + 4, set()
    for group in READ_GROUPS:
        mask, at = numbers[at], at + 1
        for place in range(RATES):
            of = dict(zip(RATE_FIELDS, numbers[at : at + len(RATE_FIELDS)], strict=True))
            at += len(RATE_FIELDS)
            if not mask >> place & 1:
                continue
            supported.add(index := index_of(group, place))
            rate = rates[index]
            assert rate["attempts"] - rate["current_attempts"] == of["att_hist"]
            assert rate["success"] - rate["current_success"] == of["succ_hist"]
            assert (rate["current_attempts"], rate["current_success"]) == (of["attempts"], of["success"])
            assert (rate["last_attempts"], rate["last_success"]) == (of["last_attempts"], of["last_success"])
            assert rate["probability"] == of["prob_avg"] / ONE
            assert (rate["retries"], rate["rtscts_retries"]) == (of["retry_count"], of["retry_count_rtscts"])
            marks = [mark for mark, marked in zip(MARKS, best, strict=True) if marked == index]
            marks += ["P"] if index == station["max_prob_rate"] else []
            assert rate["marks"].removesuffix("S") == "".join(marks)
    assert supported == set(rates)


def grown(cell: dict[str, Any]) -> list[int]:
    """Frames, attempts and success that came to a table; it begins anew when a station has associated."""
    then, now = ([
        table["frames"], sum(each["attempts"] for each in table["rates"]),
        sum(each["success"] for each in table["rates"]),
    ] for table in (cell["before"]["table"], cell["after"]["table"]))  # fmt: skip
    return [after - before for before, after in zip(then, now, strict=True)]


def test_attempts_are_those_reported_to_minstrel(cell: dict[str, Any]) -> None:
    then, now = cell["before"]["reported"], cell["after"]["reported"]
    assert grown(cell) == [after - before for before, after in zip(then, now, strict=True)]


def test_attempts_and_success_are_those_of_the_medium(cell: dict[str, Any]) -> None:
    """Of as many frames as were sent, some needed more attempts, and of one link some were lost."""
    truth = cell["truth"]
    assert truth["frames"] >= FRAMES
    assert truth["attempts"] > truth["frames"]
    assert grown(cell) == [truth["frames"], truth["attempts"], truth["frames"] - truth["failed"]]


def test_the_best_rate_is_the_one_that_nl80211_expects_most_of(cell: dict[str, Any]) -> None:
    table = cell["after"]["table"]
    ((whole, thousandths),) = re.findall(r"expected throughput:\t(\d+)\.(\d+)Mbps", cell["info"])
    # iw takes 1024 kbit/s for 1 Mbit/s, and does not pad the thousandths.
    assert 1000 * int(whole) + int(thousandths) == table["expected_throughput_kbps"] * 1000 // 1024
    (best,) = [each for each in table["rates"] if "A" in each["marks"]]
    assert best["throughput_mbps"] == max(each["throughput_mbps"] for each in table["rates"])


def test_probing_frames_are_some_of_all(cell: dict[str, Any]) -> None:
    assert 0 < cell["after"]["table"]["probe_frames"] < cell["after"]["table"]["frames"]


def test_throughput_is_reckoned_as_the_kernel_reckons_it(vm: VirtualMachine) -> None:
    told = vm.ask("minstrel")["throughput"]
    assert len(told) > 100
    for (group, place, probability, overhead, legacy, ampdu, best), result in told:
        conditions = Conditions(overhead, legacy, ampdu, best)
        assert conditions.throughput(group, place, probability) == result


def test_groups_and_durations_are_those_of_the_kernel_s_table(vm: VirtualMachine) -> None:
    constant = vm.ask("minstrel")["constants"]["minstrel_mcs_groups"]
    shape, memory = constant["shape"], bytes.fromhex(constant["bytes"])
    for number, group in enumerate(GROUPS):
        at = number * shape["size"]
        (flags,) = struct.unpack_from("<H", memory, at + shape["flags"])
        streams, shift = memory[at + shape["streams"]], memory[at + shape["shift"]]
        width = 80 if flags & WIDER else 40 if flags & WIDE else 20
        phy = "vht" if flags & VHT else "ht" if flags & MCS else "legacy"
        assert group[:4] == (phy, streams, width, 400 if flags & SHORT else 800)
        for place in range({"ht": 8, "vht": 10, "legacy": 8}[phy]):
            (scaled,) = struct.unpack_from("<H", memory, at + shape["duration"] + 2 * place)
            assert duration_ns(number, place) == scaled << shift, (group, place)
