"""Rows of stations: whole numbers that mean what their names say, by an independent count."""

from collections import Counter
from pathlib import Path

import pytest

from meshlens.classify.ethernet_station import TASK
from meshlens.classify.ethernet_station.features import EARLY, FEATURES, KINDS, PLACE, SLOTS, WINDOW
from meshlens.classify.ethernet_station.sample import Entry, bucket, read, size_bin
from meshlens.classify.features import MAX_VALUE, Sample
from meshlens.packet.capture import CapturedFrame, CaptureError, write_pcap
from meshlens.packet.craft import arp, ethernet, ip_frame, tcp, udp
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.stations.files import FileStations
from tests.data import captures, needs_data

MAC, OTHER, ALL = "02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff"
ARP = ethernet(ALL, MAC, 0x0806, arp(1, MAC, "10.0.0.1", OTHER, "10.0.0.2"))
SECOND = 10**9


def capture(path: Path, frames: list[tuple[int, bytes]]) -> str:
    write_pcap(path, [CapturedFrame(data, len(data), time_ns, 0, 1, None) for time_ns, data in frames])
    return str(path)


def row(sample: Sample) -> dict[str, int]:
    return {feature.name: value for feature, value in zip(FEATURES, sample.values, strict=True)}


def one(path: Path, *frames: bytes, step_ns: int = SECOND) -> dict[str, int]:
    """The row of the first station of frames that come one after another."""
    return row(next(read(capture(path, [(SECOND + n * step_ns, data) for n, data in enumerate(frames)]))))


def test_names_are_different_and_each_feature_has_a_place() -> None:
    assert TASK.features == FEATURES
    assert len(PLACE) > len(FEATURES)
    assert all(FEATURES[PLACE[feature.name]] == feature for feature in FEATURES)


def test_a_row_is_whole_numbers_that_single_precision_holds(tmp_path: Path) -> None:
    frames = [frame.data for mix in (overhead_mix, payload_mix) for frame in mix(500)]
    samples = list(read(capture(tmp_path / "mix.pcap", [(n * 10**7, data) for n, data in enumerate(frames)])))
    assert len(samples) > 3
    assert all(0 <= value <= MAX_VALUE for sample in samples for value in sample.values)


@needs_data
@pytest.mark.parametrize("path", captures("iot_sentinel")[::40], ids=lambda path: path.parent.name)
def test_counts_of_a_short_capture_are_those_of_stations(path: Path) -> None:
    """Where nothing is an echo or beyond the window; `stations` counts by code of its own."""
    theirs = {each.mac: each for each in FileStations([path], "").stations() if each.kind == "station"}
    for sample in read(str(path)):
        station, values = theirs[sample.name], row(sample)
        if station.in_packets != values["packets"]:
            continue
        assert values["bytes"] == station.in_bytes
        casts = (values["unicast"], values["multicast"], values["broadcast"])
        assert casts == (station.unicast, station.multicast, station.broadcast)
        assert sum(values[f"{kind}_packets"] for kind in KINDS) == values["packets"]


def test_sizes_kinds_and_times_of_the_first_packets_stand_in_their_order(tmp_path: Path) -> None:
    query = ip_frame(MAC, udp("10.0.0.1", "10.0.0.2", 4000, 53, bytes(30)), OTHER)
    values = one(tmp_path / "a.pcap", ARP, query, step_ns=1_500_000)
    assert [values[f"size_{n}"] for n in range(3)] == [len(ARP), len(query), 0]
    kinds = [KINDS.index("arp") + 1, KINDS.index("dns") + 1, 0]
    assert [values[f"kind_{n}"] for n in range(3)] == kinds
    assert [values[f"at_{n}"] for n in range(3)] == [0, 1, 0]
    assert values["gap_1"] == (1500).bit_length()
    assert values["dns_since"] == 2
    assert values["query_0"] == values["dns_first"] == len(query)


def test_a_group_frame_that_comes_again_at_once_is_an_echo(tmp_path: Path) -> None:
    assert one(tmp_path / "a.pcap", ARP, ARP, step_ns=900_000)["packets"] == 1
    assert one(tmp_path / "b.pcap", ARP, ARP, step_ns=1_100_000)["packets"] == 2
    answer = ethernet(OTHER, MAC, 0x0806, arp(2, MAC, "10.0.0.1", OTHER, "10.0.0.2"))
    assert one(tmp_path / "c.pcap", answer, answer, step_ns=900_000)["packets"] == 2


def test_addresses_and_ports_are_counted_once_each(tmp_path: Path) -> None:
    ends = [("10.0.0.2", 443), ("10.0.0.3", 443), ("10.0.0.2", 80), ("10.0.0.2", 443)]
    frames = [
        ip_frame(MAC, tcp("10.0.0.1", host, 40_000 + n, port, flags=2, window=512), OTHER)
        for n, (host, port) in enumerate(ends)
    ]
    values = one(tmp_path / "a.pcap", *frames)
    assert (values["addresses"], values["ports"], values["syns"]) == (2, 2, 4)
    assert [values[f"port_{n}"] for n in range(5)] == [443, 443, 80, 443, 0]
    assert [values[f"reached_{n}"] for n in range(4)] == [1, 2, 2, 2]
    assert values["syn_window"] == 512


def test_the_window_and_what_a_row_was_like_before(tmp_path: Path) -> None:
    frames = [(SECOND + n * 10**7, ARP) for n in range(2 * WINDOW)]
    [sample] = read(capture(tmp_path / "a.pcap", frames))
    assert sample.packets == row(sample)["packets"] == WINDOW
    assert [early[PLACE["packets"]] for early in sample.early] == list(EARLY)
    [short] = read(capture(tmp_path / "b.pcap", frames[:8]))
    assert short.early == ()
    assert row(sample)[f"size_{SLOTS - 1}"] == len(ARP)


def test_what_comes_after_two_minutes_does_not_count(tmp_path: Path) -> None:
    frames = [(SECOND, ARP), (119 * SECOND, ARP), (122 * SECOND, ARP), (123 * SECOND, ARP)]
    [sample] = read(capture(tmp_path / "a.pcap", frames))
    assert sample.packets == 2


def test_a_frame_that_went_out_is_no_station(tmp_path: Path) -> None:
    entry = Entry(b"\2" + bytes(5), 0)
    assert entry.add(ARP, len(ARP), 0)
    group = ARP[:6] + b"\3" + ARP[7:]
    assert list(read(capture(tmp_path / "a.pcap", [(0, group), (1, ARP[:13])]))) == []


def test_of_a_broken_capture_what_stands_before_is_told_and_then_the_error(tmp_path: Path) -> None:
    path = Path(capture(tmp_path / "a.pcap", [(n * SECOND, ARP) for n in range(3)]))
    path.write_bytes(path.read_bytes()[:-5])
    stations = read(str(path))
    assert next(stations).packets == 2
    with pytest.raises(CaptureError):
        next(stations)


def test_bins_cover_all_sizes_and_buckets_all_numbers() -> None:
    bins = [size_bin(size) for size in range(65536)]
    assert bins == sorted(bins)
    assert set(bins) == set(range(48))
    counts = Counter(bucket(number) for number in range(0, 1 << 20, 7))
    assert set(counts) == set(range(128))
    assert max(counts.values()) < 2 * min(counts.values())
