"""The row of a joining station: which elements it has, in which order, and what they say."""

import shutil
import subprocess
from pathlib import Path

import pytest

from meshlens.classify.features import MAX_VALUE
from meshlens.classify.tasks import task
from meshlens.classify.wifi_station.features import FEATURES, MAX_ELEMENTS, SLOTS, block_place, element_key
from meshlens.classify.wifi_station.sample import TRUTH, Stations, read
from meshlens.packet.capture import CaptureError, write_pcap
from meshlens.packet.craft_wifi import element, radiotap
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.packet.radiotap import Tap
from tests.joining import CAPTURES, STATION, definition, hostile, request

HT = element(45, b"\x2c\x01\x03\xff" + bytes(22))
RATES = element(1, b"\x82\x84\x8b\x96")
APPLE = element(221, bytes.fromhex("0017f20a 00010400000000"))


def row(*frames: bytes) -> dict[str, int]:
    """The features of STATION that are not zero, by name."""
    values, _ = definition(frames)[STATION]
    return {feature.name: value for feature, value in zip(FEATURES, values, strict=True) if value}


def test_the_features_of_the_task_have_names_of_their_own_and_the_row_has_one_value_each() -> None:
    assert task("wifi-station").features == FEATURES
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert FEATURES[block_place(0)].name == "probe.elements"
    assert FEATURES[block_place(1)].name == "assoc.elements"


def test_order_length_and_bytes_of_elements_are_in_the_row() -> None:
    assert row(request(RATES + HT + APPLE)) == {
        "oui": 0x02AABB, "local": 1, "probe.elements": 3,
        "probe.rates.place": 1, "probe.rates.length": 4, "probe.rates.rate_0": 0x82,
        "probe.rates.rate_1": 0x84, "probe.rates.rate_2": 0x8B, "probe.rates.rate_3": 0x96,
        "probe.ht.place": 2, "probe.ht.length": 26, "probe.ht.info_0": 0x2C, "probe.ht.info_1": 1,
        "probe.ht.ampdu": 3, "probe.ht.mcs_0": 0xFF,
        "probe.apple.place": 3, "probe.apple.length": 11, "probe.apple.data_1": 1, "probe.apple.data_2": 4,
    }  # fmt: skip


def test_probe_and_association_requests_fill_blocks_of_their_own() -> None:
    found = row(request(RATES), request(HT, "assoc-req"))
    assert "probe.rates.place" in found
    assert "assoc.ht.place" in found
    assert not {"probe.ht.place", "assoc.rates.place"} & found.keys()
    assert (found["assoc.capability_0"], found["assoc.capability_1"], found["assoc.listen_interval"]) == (
        0x31, 0x04, 0x0A,
    )  # fmt: skip


def test_an_element_is_taken_from_the_first_request_that_has_it() -> None:
    other = element(1, b"\x0c\x12")
    assert row(request(RATES), request(other + HT))["probe.rates.rate_0"] == 0x82
    assert row(request(RATES), request(other + HT))["probe.ht.place"] == 2
    assert row(request(other + RATES))["probe.rates.rate_0"] == 0x0C  # and from its first place


def test_the_name_of_the_network_is_in_no_feature() -> None:
    assert row(request(element(0, b"home") + RATES)) == row(request(element(0, b"") + RATES))


@pytest.mark.parametrize(("frequency", "band"), [(2437, 1), (5180, 2), (6115, 2)])
def test_band_and_rate_are_those_of_radiotap(frequency: int, band: int) -> None:
    found = row(request(RATES, channel=(frequency, 0), rate=12))
    assert (found["band"], found["probe.rate"]) == (band, 12)


def test_an_element_that_goes_beyond_the_frame_ends_the_walk() -> None:
    assert row(request(RATES + HT[:-1])) == row(request(RATES))
    assert row(request(RATES + b"\xff\x00" + HT)) == row(request(RATES))  # an extension without number


def test_no_more_than_so_many_elements_are_looked_at() -> None:
    empty = element(0, b"")
    assert "probe.ht.place" in row(request(empty * (MAX_ELEMENTS - 1) + HT))
    assert "probe.ht.place" not in row(request(empty * MAX_ELEMENTS + HT))


def test_encrypted_and_damaged_requests_count_for_nothing() -> None:
    assert definition([request(RATES, flags=HeaderFlag.PROTECTED)]) == {}
    assert definition([radiotap(flags=Tap.BAD_FCS) + request(RATES)[8:]]) == {}


def test_hostile_requests_give_rows_of_whole_numbers_in_bounds() -> None:
    rows = definition(hostile(500, 7))
    assert rows
    assert all(0 <= value <= MAX_VALUE for values, _ in rows.values() for value in values)
    assert {len(values) for values, _ in rows.values()} == {len(FEATURES)}


def test_slots_are_told_apart_by_vendor_and_extension() -> None:
    names = {slot.key: slot.name for slot in SLOTS}
    assert names[element_key(221, bytes.fromhex("0050f204 10"))] == "wps"
    assert names[element_key(221, bytes.fromhex("0050f202 00"))] == "wmm"
    assert names[element_key(255, b"\x23\0\0")] == "he"
    assert element_key(221, b"\0\x50\xf2") not in names


def test_a_broken_capture_gives_the_stations_before_the_break(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pcap"
    write_pcap(whole, [request(RATES), request(HT)], link_type=127)
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(whole.read_bytes()[:-5])
    stations = read(str(broken))
    assert next(stations).packets == 1
    with pytest.raises(CaptureError):
        next(stations)


def test_a_row_of_the_label_file_speaks_of_the_station_that_associates() -> None:
    joining, probing = "02:00:00:00:00:01", "02:00:00:00:00:02"
    frames = [request(RATES, station=probing)] * 5 + [request(RATES, "assoc-req", station=joining)]
    stations = Stations()
    for data in frames:
        stations.add(data, len(data), 127, 1)
    samples = list(stations.samples("x"))
    assert [found.name for _, found in TRUTH.pair(samples, [{"file": "x"}]) if found] == [joining]
    named = {"file": "x", "mac": probing}
    assert [found.name for _, found in TRUTH.pair(samples, [named]) if found] == [probing]
    assert list(TRUTH.pair([], [named])) == [(named, None)]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_places_and_lengths_are_those_that_wireshark_finds(path: Path) -> None:
    told = subprocess.run(
        ["tshark", "-r", path, "-Y", "wlan.fc.type_subtype == 0", "-T", "fields", "-e", "wlan.ta",
         "-e", "wlan.tag.number", "-e", "wlan.tag.length"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    station, numbers, lengths = told.splitlines()[0].split("\t")
    samples = {each.name: each for each in read(str(path))}
    found = dict(zip((f.name for f in FEATURES), samples[station].values, strict=True))
    tags = list(zip(map(int, numbers.split(",")), map(int, lengths.split(",")), strict=True))
    assert found["assoc.elements"] == len(tags)
    plain = {slot.key: slot.name for slot in SLOTS if slot.key < 221}
    for place, (number, length) in enumerate(tags, 1):
        if number in plain:
            assert found[f"assoc.{plain[number]}.place"] == place
            assert found[f"assoc.{plain[number]}.length"] == length
    assert sum(number in plain for number, _ in tags) >= 4
