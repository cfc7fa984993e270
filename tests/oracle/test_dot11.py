"""Radiotap, 802.11 headers and elements, frame by frame: what we read is what tshark reads; and what the
program in the kernel adds up is what the definition in Python does, also of damaged frames.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from meshlens.ebpf import Program
from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture, write_pcap
from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.elements import elements_of
from meshlens.packet.ieee80211 import KINDS, parse_dot11
from meshlens.packet.radiotap import parse_radiotap
from meshlens.wifi.monitor.frame import Garbled, Heard, Unreadable, hear
from meshlens.wifi.monitor.rate import rate_of
from meshlens.wifi.rates import LEGACY_MBPS, Rate
from tests.data import captures, needs_data
from tests.monitor import compare, is_testable, loaded
from tests.oracle.corpus import Sample, damaged

pytestmark = needs_data

#: Collections with frames of 802.11, bare (105) or behind radiotap (127).
SOURCES = [
    ("aircrack_test_caps", 105),
    ("aircrack_test_caps", 127),
    ("brno_probes", 127),
    ("tcpdump_tests", 105),
    ("tcpdump_tests", 127),
    ("wifi_taxonomy", 127),
]
FIELDS = (
    "frame.len", "frame.protocols", "radiotap.length", "radiotap.flags.fcs", "radiotap.flags.badfcs",
    "radiotap.dbm_antsignal", "radiotap.dbm_antnoise", "radiotap.channel.freq", "radiotap.ampdu.reference",
    "wlan_radio.data_rate", "wlan.fc.type", "wlan.fc.subtype", "wlan.fc.retry", "wlan.fc.protected",
    "wlan.ra", "wlan.ta", "wlan.sa", "wlan.da", "wlan.bssid", "wlan.seq", "wlan.frag", "wlan.tag.number",
)  # fmt: skip
RSN = "48"
DATA = dot11("data", "02:00:00:00:00:01", "02:00:00:00:00:02")
Row = dict[str, str]


@cache
def frames(collection: str, link_type: int) -> tuple[CapturedFrame, ...]:
    return tuple(_frames(collection, link_type))


def _frames(collection: str, link_type: int) -> Iterator[CapturedFrame]:
    for path in captures(collection):
        try:
            with read_capture(path) as reader:
                yield from (frame for frame in reader if frame.link_type == link_type)
        except CaptureError:
            continue  # what stands before the fault has been yielded


# Against tshark.


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: f"{source[0]}-{source[1]}")
def dissected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[CapturedFrame, Row]]:
    """Each frame with what tshark reads in it; one run for a collection."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark")
    all_frames = frames(*request.param)
    path = tmp_path_factory.mktemp("dot11") / "frames.pcap"
    write_pcap(path, [frame._replace(timestamp_ns=0) for frame in all_frames], request.param[1])
    rows = list(tshark(path))
    assert len(rows) == len(all_frames)
    return list(zip(all_frames, rows, strict=True))


def tshark(path: Path) -> Iterator[Row]:
    """The first value of each field, but all of the elements' numbers."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]
    command += ["-o", "wlan.enable_decryption:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for line in done.stdout.splitlines():
        row = dict(zip(FIELDS, line.split("\t"), strict=True))
        yield {
            name: value if name == "wlan.tag.number" else value.split(",")[0] for name, value in row.items()
        }


def address(raw: bytes | None) -> str:
    return "" if raw is None else raw.hex(":")


def number(value: int | None) -> str:
    return "" if value is None else str(int(value))


def mbps(text: str | float | None) -> str:
    return "" if text in ("", None) else f"{float(text):.1f}"


#: What is taken of a frame, beside tshark's words for it.
TAKEN: dict[str, Callable[[Heard], str]] = {
    "wlan.fc.type": lambda heard: number(heard.kind & 3),
    "wlan.fc.subtype": lambda heard: number(heard.kind >> 2),
    "wlan.fc.retry": lambda heard: number(heard.retry),
    "wlan.bssid": lambda heard: address(heard.bssid),
    "radiotap.dbm_antsignal": lambda heard: number(heard.signal),
    "radiotap.dbm_antnoise": lambda heard: number(heard.noise),
    "radiotap.channel.freq": lambda heard: number(heard.frequency),
}


def test_rate_signal_noise_retry_fcs_transmitter_and_type_are_what_tshark_reads(
    dissected: list[tuple[CapturedFrame, Row]],
) -> None:
    unread = 0
    for frame, row in dissected:
        heard = heard_of(frame)
        if isinstance(heard, Unreadable):
            assert isinstance(heard, Garbled) == (row["radiotap.flags.badfcs"] == "1")
            assert row["wlan.fc.type"] in ("", "0x0000", "0x0001", "0x0002")  # no version 0
            unread += 1
            continue
        kind = KINDS[heard.kind]
        for name, ours in TAKEN.items():
            if kind != "s1g-beacon" or name != "wlan.fc.retry":  # which has other flags there
                assert (name, ours(heard)) == (name, row[name]), (kind, row)
        assert heard.damaged == (row["radiotap.flags.badfcs"] == "1")
        transmitter = row["wlan.ra"] if kind == "s1g-beacon" else row["wlan.ta"]
        assert address(heard.transmitter) == without_bandwidth_signalling(kind, transmitter)
        assert number(heard.ampdu) == number(
            int(row["radiotap.ampdu.reference"], 0) if row["radiotap.ampdu.reference"] else None
        )
        rate = rate_of(heard.rate)
        assert mbps(rate.mbps if rate else None) == mbps(row["wlan_radio.data_rate"])
        fcs = 0 if row["radiotap.flags.fcs"] == "1" else 4
        assert heard.size == int(row["frame.len"]) - int(row["radiotap.length"] or 0) + fcs
    assert unread <= len(dissected) // 50


def heard_of(frame: CapturedFrame) -> Heard | Unreadable:
    try:
        return hear(frame.data, frame.wire_length, frame.link_type)
    except Unreadable as reason:
        return reason


def without_bandwidth_signalling(kind: str, text: str) -> str:
    """tshark leaves the group bit in the transmitter's address of an RTS (9.2.4.3.6)."""
    return f"{int(text[:2], 16) & 0xFE:02x}{text[2:]}" if kind == "rts" else text


def test_addresses_sequence_numbers_and_elements_are_what_tshark_reads(
    dissected: list[tuple[CapturedFrame, Row]],
) -> None:
    compared = Counter[str]()
    for frame, row in dissected:
        if row["radiotap.flags.badfcs"] == "1" or row["wlan.fc.type"] not in ("0", "2"):
            continue
        length = int(row["radiotap.length"] or 0)
        header = parse_dot11(frame.data, length)
        assert address(header.receiver) == row["wlan.ra"]
        assert number(header.sequence) == row["wlan.seq"]
        assert number(header.fragment) == row["wlan.frag"]
        assert number(header.protected) == row["wlan.fc.protected"]
        assert address(header.destination) in (row["wlan.da"], row["wlan.ra"])
        if header.source and row["wlan.sa"]:
            assert address(header.source) == row["wlan.sa"]
        compared[header.kind] += 1
        if header.kind in ("beacon", "probe-req", "probe-resp", "assoc-req"):
            fcs = 4 if length and parse_radiotap(frame.data).fcs_at_end else 0
            body = frame.data[length + header.body : len(frame.data) - fcs]
            found = elements_of(header, body)
            if found and not found.rest:
                ours, theirs = [str(each.id) for each in found.elements], row["wlan.tag.number"].split(",")
                if theirs[-1] == RSN:  # tshark goes no further where such an element ends early
                    ours = ours[: len(theirs)]
                assert ours == theirs
                compared["elements"] += 1
    assert len(dissected) < 100 or compared["elements"] > 10


def every_rate() -> Iterator[tuple[str, dict[str, int | tuple[int, ...]]]]:
    """Each rate of each PHY with the field of radiotap that tells it."""
    for mbps in LEGACY_MBPS:
        yield str(Rate("legacy", mbps)), {"rate": round(2 * mbps)}
    for width, guard in product((0, 1), (0, 4)):
        for mcs in range(32):
            rate = Rate("ht", None, mcs, mcs // 8 + 1, 20 << width, None, 400 if guard else 800)
            yield str(rate), {"mcs": (7, width | guard, mcs)}
    for (code, width), guard, mcs, streams in product(
        {0: 20, 1: 40, 4: 80, 11: 160}.items(), (0, 4), range(10), range(1, 9)
    ):
        rate = Rate("vht", None, mcs, streams, width, None, 400 if guard else 800)
        yield str(rate), {"vht": (0x44, guard, code, mcs << 4 | streams, 0, 0, 0, 0, 0, 0)}
    for code, guard, mcs, streams in product(range(4), range(3), range(12), range(1, 9)):
        rate = Rate("he", None, mcs, streams, 20 << code, None, 800 << guard)
        yield str(rate), {"he": (0x4020, 2, mcs << 8, 0, guard << 4 | code, streams)}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_every_rate_is_worth_what_tshark_says(tmp_path: Path) -> None:
    given = dict(every_rate())
    air = [radiotap(**fields) + DATA for fields in given.values()]
    write_pcap(tmp_path / "rates.pcap", air, 127)
    compared = Counter[bool]()
    for (name, data), row in zip(zip(given, air, strict=True), tshark(tmp_path / "rates.pcap"), strict=True):
        rate = rate_of(hear(data, len(data), 127).rate)
        assert rate
        assert str(rate) == name
        theirs = row["wlan_radio.data_rate"]
        compared[bool(theirs)] += 1
        if theirs:  # it leaves out combinations of VHT that the standard excludes
            assert rate.mbps == pytest.approx(float(theirs), abs=0.051), name
    assert compared[True] > 1_900
    assert compared[False] < 30


# The kernel against the definition.


@pytest.fixture(scope="module")
def programs() -> dict[int, Program]:
    return {link_type: loaded(link_type) for link_type in (105, 127)}


@pytest.mark.kernel
@pytest.mark.parametrize(("collection", "link_type"), SOURCES)
def test_the_kernel_adds_up_what_the_definition_does(
    programs: dict[int, Program], collection: str, link_type: int
) -> None:
    some = [each for each in frames(collection, link_type) if is_testable(each.data)]
    compare(programs[link_type], link_type, [(each.data, each.timestamp_ns) for each in some])


@pytest.mark.kernel
@pytest.mark.parametrize(("collection", "link_type"), SOURCES)
def test_damaged_frames_are_judged_the_same_by_both(
    programs: dict[int, Program], collection: str, link_type: int
) -> None:
    whole = [Sample(each.data, each.wire_length) for each in frames(collection, link_type)]
    some = damaged(dict.fromkeys(whole[:: max(1, len(whole) // 4000)]), seed=5)
    readable = [each.data for each in some if is_testable(each.data)]
    outcomes = compare(programs[link_type], link_type, [(data, 1 + at) for at, data in enumerate(readable)])
    assert outcomes["unreadable"] or len(whole) < 10
