from pathlib import Path

import pytest

from meshlens.classify.dataset import read_dataset
from meshlens.classify.features import Sample
from meshlens.classify.truth import flow_key, flow_name, of_flow, of_station
from meshlens.errors import UsageError
from tests.unit.classify.made_up import TASK, station_frames, write_folder, write_labels


def sample(name: str, packets: int = 1, first_ns: int = 0) -> Sample:
    return Sample("x.pcap", name, first_ns, (1,), packets)


def test_a_row_that_names_a_mac_gets_that_station_and_no_other() -> None:
    stations = [sample("02:00:00:00:00:01", 5), sample("02:00:00:00:00:02", 9)]
    (_, found), (_, missing), (_, busiest) = of_station(
        stations, [{"device_mac": "02-00-00-00-00-01"}, {"device_mac": "02:00:00:00:00:03"}, {"file": "x"}]
    )
    assert found == stations[0]
    assert missing is None
    assert busiest == stations[1]


def test_flows_are_found_by_their_ends_and_ports_used_again_in_turn() -> None:
    name = flow_name("tcp", "10.0.0.1", 40000, "10.0.0.2", 443)
    first, second = sample(name, first_ns=1), sample(name, first_ns=2)
    row = {"l4": "TCP", "first_src": "10.0.0.1", "first_sport": "40000", "peer_dport": "443"}
    found = [of for _, of in of_flow([second, first], [row, row, row, row | {"l4": "UDP"}])]
    assert found == [first, second, None, None]


@pytest.mark.parametrize("address", ["10.0.0.1", "fe80::1"])
def test_the_key_of_a_flows_name_is_what_a_label_file_has(address: str) -> None:
    assert flow_key(flow_name("UDP", address, 5353, "ff02::fb", 5354)) == ("UDP", address, "5353", "5354")


def test_rows_carry_the_label_the_group_and_the_number_of_their_line(tmp_path: Path) -> None:
    dataset = read_dataset(TASK, write_folder(tmp_path, [("lamp", 100), ("camera", 900)]))
    table = dataset.table("kind", "unit")
    assert len(table) == 18
    assert set(table.labels) == {"lamp", "camera"}
    assert len(set(table.groups)) == 6
    assert [row["row"] for row in table.listed] == [str(number) for number in range(18)]
    assert all(
        abs(row[0] - 100) < 20 for row, label in zip(table.rows, table.labels, strict=True) if label == "lamp"
    )


def test_missing_empty_broken_and_foreign_captures_are_skipped_with_a_reason(tmp_path: Path) -> None:
    write_folder(tmp_path, [("lamp", 100)], units=1, runs=1)
    (tmp_path / "empty.pcap").write_bytes(b"")
    (tmp_path / "text.pcap").write_text("this is no capture at all, is it?")
    whole = (tmp_path / "lamp-0-0.pcap").read_bytes()
    (tmp_path / "short.pcap").write_bytes(whole[:-7])
    files = ["lamp-0-0.pcap", "empty.pcap", "text.pcap", "short.pcap", "gone.pcap"]
    write_labels(tmp_path, [{"file": file, "kind": "lamp"} for file in files])
    dataset = read_dataset(TASK, tmp_path)
    assert [one.sample.file for one in dataset.labelled] == [str(tmp_path / "lamp-0-0.pcap")]
    assert [one.file for one in dataset.skipped] == files[1:]
    assert dataset.skipped[-1].reason == "no such file"
    assert all(one.reason for one in dataset.skipped)


def test_captures_are_found_at_their_path_below_pcaps_and_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path, [("lamp", 100)], units=3, runs=1)
    (tmp_path / "pcaps").mkdir()
    (tmp_path / "some" / "where").mkdir(parents=True)
    (tmp_path / "lamp-1-0.pcap").rename(tmp_path / "pcaps" / "lamp-1-0.pcap")
    (tmp_path / "lamp-2-0.pcap").rename(tmp_path / "some" / "where" / "lamp-2-0.pcap")
    assert len(read_dataset(TASK, tmp_path).labelled) == 3


def test_captures_of_the_same_bytes_are_of_one_group_whatever_the_labels_say(tmp_path: Path) -> None:
    write_folder(tmp_path, [("lamp", 100)], units=3, runs=1)
    (tmp_path / "lamp-2-0.pcap").write_bytes((tmp_path / "lamp-0-0.pcap").read_bytes())
    write_labels(tmp_path, [{"file": f"lamp-{i}-0.pcap", "kind": "lamp"} for i in range(3)])
    groups = read_dataset(TASK, tmp_path).table("kind", "file").groups
    assert groups[0] == groups[2] != groups[1]


def test_the_digest_tells_other_data_from_the_same(tmp_path: Path) -> None:
    write_folder(tmp_path, [("lamp", 100)], units=1)
    before = read_dataset(TASK, tmp_path).digest
    assert read_dataset(TASK, tmp_path).digest == before
    write_folder(tmp_path, [("lamp", 101)], units=1)
    assert read_dataset(TASK, tmp_path).digest != before


def test_a_column_that_is_not_there_is_refused_before_any_capture_is_read(tmp_path: Path) -> None:
    write_labels(tmp_path, [{"file": "x.pcap", "kind": "lamp"}])
    with pytest.raises(UsageError, match=r"no column 'model'; there are file, kind"):
        read_dataset(TASK, tmp_path, demand=["model"], progress=lambda *_: pytest.fail("read"))


def test_a_folder_without_a_label_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no labels.csv there"):
        read_dataset(TASK, tmp_path)


def test_features_of_a_group_can_be_left_out_and_an_unknown_group_is_refused(tmp_path: Path) -> None:
    table = read_dataset(TASK, write_folder(tmp_path, [("lamp", 100)])).table("kind")
    assert [feature.name for feature in table.without({"oui"}).features] == ["mean_size", "largest", "frames"]
    assert {len(row) for row in table.without({"oui"}).rows} == {3}
    with pytest.raises(UsageError, match=r"no feature is of group 'ports'; there are counts, oui, sizes"):
        table.without({"ports"})


def test_stations_alone_in_a_capture_are_those_of_most_frames(tmp_path: Path) -> None:
    write_folder(tmp_path, [("lamp", 100)], units=1, runs=1)
    write_labels(tmp_path, [{"file": "lamp-0-0.pcap", "kind": "lamp"}])
    (one,) = read_dataset(TASK, tmp_path).labelled
    assert one.sample.name == "02:00:00:00:00:00"
    assert one.sample.packets == len(station_frames("02:00:00:00:00:00", 100, 20))
