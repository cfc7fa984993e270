"""Capture files are counted the same by the kernel, by the interpreter, and by libpcap."""

import io
import struct
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.filters.lists import FilterList, parse_list
from meshlens.filters.pcap import compile_cbpf, matches
from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture, write_pcap
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.count.offline import OfflineCounter, count_files
from meshlens.probes.snapshot import Snapshot
from tests.data import captures, needs_data

LIST = parse_list("""
all;len >= 0
arp;arp
dns;udp port 53 or udp port 5353
tcp;tcp
v6;ip6
vlan;vlan
long;greater 1000
late;ether[3900] = 7
multicast;ether multicast
""")
BATADV = parse_list("bcast:arp;batadv 15 bcast and arp\nunicast:tcp;batadv 15 unicast and tcp\n")
FRAMES = [frame.data for frame in [*overhead_mix(400), *payload_mix(200)]]


def capture(path: Path, frames: list[bytes], snapshot_bytes: int = 262144, link_type: int = 1) -> Path:
    cut = [CapturedFrame(each[:snapshot_bytes], len(each), 0, 0, link_type, None) for each in frames]
    write_pcap(path, cut, link_type)
    return path


def by_filter(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    return {each.filter: (each.packets, each.bytes) for each in snapshot.counts}


def by_libpcap(filters: FilterList, path: Path) -> dict[str, tuple[int, int]]:
    with read_capture(path) as reader:
        frames = list(reader)
    result = {}
    for each in filters:
        program = compile_cbpf(each.expression, frames[0].link_type)
        sizes = [it.wire_length for it in frames if matches(program, it.data, it.wire_length)]
        result[each.id] = len(sizes), sum(sizes)
    return result


def counted(filters: FilterList, path: Path, *, kernel: bool) -> Snapshot:
    counter = OfflineCounter(filters, kernel=kernel)
    counter.count(path)
    snapshot = counter.snapshot()
    assert sum(snapshot.missed.values()) == 0
    return snapshot


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "interpreter"])
@pytest.mark.parametrize("snapshot_bytes", [262144, 100, 40, 14, 5], ids=lambda size: f"{size} bytes")
def test_the_counts_are_those_of_libpcap_also_of_frames_that_were_cut(
    tmp_path: Path, kernel: bool, snapshot_bytes: int
) -> None:
    path = capture(tmp_path / "some.pcap", FRAMES, snapshot_bytes)
    assert by_filter(counted(LIST, path, kernel=kernel)) == by_libpcap(LIST, path)


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "interpreter"])
def test_frames_that_the_kernel_does_not_take_are_counted_as_well(tmp_path: Path, kernel: bool) -> None:
    sizes = [0, 1, 13, 14, 15, 60, 1500, 3500, 3520, 3700, 4000, 4096, 4097, 9000, 65535, 100_000]
    path = capture(
        tmp_path / "odd.pcap", [(bytes(3900) + b"\7" * max(0, size - 3900))[:size] for size in sizes]
    )
    found = by_filter(counted(LIST, path, kernel=kernel))
    assert found == by_libpcap(LIST, path)
    assert found["all"] == (len(sizes), sum(sizes))
    assert found["late"][0] == 6


@pytest.mark.kernel
@needs_data
def test_kernel_and_interpreter_count_the_same_in_real_captures() -> None:
    compared = 0
    for path in captures("tcpdump_tests")[::2]:
        snapshots = []
        for kernel in (True, False):
            counter = OfflineCounter(FilterList((*LIST, *BATADV)), kernel=kernel)
            try:
                counter.count(path)
            except (CaptureError, UsageError):
                continue
            snapshots.append(counter.snapshot().counts)
        if len(snapshots) == 2:
            assert snapshots[0] == snapshots[1], path
            compared += len(snapshots[0])
    assert compared > 500


def test_scoped_filters_count_the_frame_inside(tmp_path: Path) -> None:
    mix = [*overhead_mix(400), *payload_mix(200)]
    path = capture(tmp_path / "mesh.pcap", [frame.data for frame in mix])
    known = {
        name: [len(each.data) for each in mix if each.kind.startswith(kinds)]
        for name, kinds in {
            "bcast:arp": ("bcast/arp", "bcast/bla"),
            "unicast:tcp": ("unicast/tcp",),
        }.items()
    }
    expected = {name: (len(sizes), sum(sizes)) for name, sizes in known.items()}
    assert by_filter(counted(BATADV, path, kernel=True)) == expected
    assert by_filter(counted(BATADV, path, kernel=False)) == expected


def test_files_are_told_apart_by_name_and_the_same_name_is_one(tmp_path: Path) -> None:
    first = capture(tmp_path / "first.pcap", FRAMES[:3])
    second = capture(tmp_path / "second.pcap", FRAMES[:5])
    snapshot = count_files(parse_list("all;len >= 0"), [first, second, first])
    assert [(each.interface, each.direction, each.packets) for each in snapshot.counts] == [
        (str(first), None, 6),
        (str(second), None, 5),
    ]


def test_a_file_without_frames_is_listed(tmp_path: Path) -> None:
    path = capture(tmp_path / "empty.pcap", [])
    assert [each.packets for each in count_files(LIST, [path]).counts] == [0] * len(LIST)


def pcapng(*frames: tuple[bytes, int]) -> bytes:
    """A pcapng file of Ethernet frames with the flags of their direction (1 in, 2 out, 0 not told)."""

    def block(kind: int, body: bytes) -> bytes:
        size = 12 + len(body)
        return struct.pack("<II", kind, size) + body + struct.pack("<I", size)

    blocks = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(
        1, struct.pack("<HHI", 1, 0, 0)
    )
    for data, flags in frames:
        padded = data + bytes(-len(data) % 4)
        options = struct.pack("<HHIHH", 2, 4, flags, 0, 0)
        blocks += block(6, struct.pack("<IIIII", 0, 0, 0, len(data), len(data)) + padded + options)
    return blocks


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "interpreter"])
def test_directions_that_a_file_tells_are_kept_and_answer_inbound(kernel: bool) -> None:
    file = io.BytesIO(pcapng((FRAMES[0], 1), (FRAMES[1], 1), (FRAMES[2], 2), (FRAMES[3], 0)))
    counter = OfflineCounter(parse_list("all;len >= 0\nin;inbound\nout;outbound\n"), kernel=kernel)
    counter.count(file)
    found = {(each.filter, each.direction): each.packets for each in counter.snapshot().counts}
    assert found == {
        ("all", "in"): 2, ("in", "in"): 2, ("out", "in"): 0,
        ("all", "out"): 1, ("in", "out"): 0, ("out", "out"): 1,
        ("all", None): 1, ("in", None): 0, ("out", None): 0,
    }  # fmt: skip


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "interpreter"])
def test_frames_of_80211_are_counted_by_filters_for_them(tmp_path: Path, kernel: bool) -> None:
    radiotap = bytes.fromhex("00000800 00000000")
    beacon = bytes.fromhex("80000000 ffffffffffff 020000000001 020000000001 0000") + bytes(60)
    data = bytes.fromhex("08010000 020000000001 020000000002 ffffffffffff 0000 aaaa03000000 0806") + bytes(28)
    filters = parse_list("all;len >= 0\nbeacon;type mgt subtype beacon\ndata;type data\narp;arp\n")
    for link_type, prefix in ((105, b""), (127, radiotap)):
        path = capture(
            tmp_path / "wifi.pcap", [prefix + beacon, prefix + data, prefix + beacon], 262144, link_type
        )
        found = by_filter(counted(filters, path, kernel=kernel))
        assert found == by_libpcap(filters, path)
        assert [found[name][0] for name in ("all", "beacon", "data", "arp")] == [3, 2, 1, 1]


def test_a_file_that_breaks_off_is_counted_up_to_there(tmp_path: Path) -> None:
    path = capture(tmp_path / "broken.pcap", FRAMES[:3])
    path.write_bytes(path.read_bytes()[:-5])
    counter = OfflineCounter(parse_list("all;len >= 0"))
    with pytest.raises(CaptureError, match=r"broken\.pcap: byte"):
        counter.count(path)
    assert [each.packets for each in counter.snapshot().counts] == [2]


def test_mac_must_be_given_since_files_have_none(tmp_path: Path) -> None:
    filters = parse_list("mine;ether src $MAC", source="own.filters")
    with pytest.raises(UsageError, match=r"own\.filters uses \$MAC"):
        OfflineCounter(filters)
    frame = bytes(6) + bytes.fromhex("020000000001") + bytes(48)
    path = capture(tmp_path / "some.pcap", [frame, bytes(60)])
    assert [each.packets for each in count_files(filters, [path], mac="02:00:00:00:00:01").counts] == [1]


def test_progress_is_told_while_reading(tmp_path: Path) -> None:
    path = capture(tmp_path / "long.pcap", FRAMES * 20)
    told: list[int] = []
    OfflineCounter(parse_list("all;len >= 0")).count(path, lambda reader: told.append(reader.bytes_read))
    assert len(told) == len(FRAMES) * 20 // 4096 + 1
    assert told == sorted(told)
