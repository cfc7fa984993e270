"""The row of a flow in the kernel is that of the Python definition, whatever the frames are."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from meshlens.classify.flow.features import OTHER_PORTS, PACKETS, PLACE
from meshlens.classify.kernel.entry import OUTCOMES, SAMPLES, Head, unpack_row
from meshlens.ebpf import Program
from meshlens.ebpf.contexts import Skb, pack_context
from meshlens.packet import craft
from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.tally import TALLY, read_outcomes
from tests.data import captures, needs_data
from tests.kernel.classify.flow.rows import (
    BEGIN_NS,
    Rows,
    at_times,
    by_kernel,
    defined,
    emptied,
    loaded,
    whole,
)

pytestmark = [pytest.mark.root, pytest.mark.kernel]

MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
ENDS = "10.0.0.1", "10.0.0.2", 40_000, 443


@pytest.fixture
def program() -> Iterator[Program]:
    with loaded() as program:
        yield program


def frame(packet: bytes, *vlans: int) -> bytes:
    return craft.tag(craft.ip_frame(MACS[0], packet, MACS[1]), *vlans)


def value(rows: Rows, feature: str) -> int:
    """A feature of the only flow."""
    (known,) = rows.values()
    return known.row[PLACE[feature]]


def test_frames_of_a_mesh_give_the_rows_of_the_definition(program: Program) -> None:
    tagged = payload_mix(300, vlans=[7, 8], inner_vlans=[9], version=14)
    mixes = (payload_mix(600), overhead_mix(600), tagged)
    frames = whole(program, at_times(each.data for mix in mixes for each in mix))
    rows = by_kernel(emptied(program), frames)
    assert rows == defined(frames)
    assert {known.row[PLACE["src_packets"]] for known in rows.values()} >= {1, 2, 3}
    assert any(name.endswith(" in batadv") for name in rows)


def hostile() -> list[bytes]:
    """Headers that are cut, lie about their lengths, or have others before them."""
    options = b"\2\4\5\xb4\1\3\3\7"
    fragments = [bytes([44, 0, *bytes(6), 17, 0, 0, offset, *bytes(4)]) for offset in (1, 8)]
    packets = [
        craft.tcp(*ENDS, b"GET / HTTP/1.1\r\n", options=options, flags=0x18, window=1000),
        craft.tcp("2001:db8::1", "2001:db8::2", 1, 2, bytes(range(60)), options=options, flags=2),
        craft.udp("10.0.0.3", "10.0.0.4", 53, 53, b"\x00\x20" + bytes(30)),
        craft.ip("10.0.0.5", "10.0.0.6", 136, b"\x14\xe9\0\x35" * 6),
        craft.ip("10.0.0.5", "10.0.0.6", 132, b"\x14\xe9\0\x35" * 6),
        *(craft.ip("fe80::1", "fe80::2", 0, fragment + b"\5" * 30) for fragment in fragments),
    ]  # fmt: skip
    whole_frames = [frame(packet, *vlans) for packet in packets for vlans in ((), (7,), (7, 8), (7, 8, 9))]
    chance = random.Random(5)
    damaged = []
    for data in whole_frames * 8:
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(14, len(changed))] = chance.randrange(256)
        damaged.append(bytes(changed))
    cut = [data[:size] for data in whole_frames for size in range(15, len(data))]
    return [*whole_frames, *cut, *damaged]


def test_cut_lying_and_nested_headers_give_the_rows_of_the_definition(program: Program) -> None:
    frames = whole(program, at_times(hostile()))
    assert len(frames) > 1000
    rows = by_kernel(emptied(program), frames)
    assert rows == defined(frames)
    assert len(rows) > 80


def test_each_damaged_packet_adds_what_the_definition_says(program: Program) -> None:
    """Flow by flow: those before it have not filled its row."""
    for each in whole(program, at_times(hostile())):
        assert by_kernel(emptied(program), [each]) == defined([each])


def test_a_service_on_its_second_port_is_seen_as_on_its_first(program: Program) -> None:
    ports = [*OTHER_PORTS, 80, 40_001]
    frames = at_times(frame(craft.tcp(*ENDS[:2], 40_000, port)) for port in ports)
    rows = by_kernel(program, frames)
    assert rows == defined(frames)
    assert {known.row[PLACE["service_port"]] for known in rows.values()} == {80, 443, 40_000}


def test_after_its_first_packets_nothing_changes_in_a_row(program: Program) -> None:
    frames = at_times(frame(craft.udp(*ENDS, bytes(size))) for size in range(100, 100 + PACKETS))
    before = by_kernel(program, frames)
    assert value(before, f"size_{PACKETS}") == 42 + 99 + PACKETS
    late = CapturedFrame(frame(craft.udp(*ENDS, b"late")), 46, BEGIN_NS, 0, 1, None)
    assert by_kernel(program, [late] * 3) == before


def test_a_skb_of_several_segments_is_as_many_packets(program: Program) -> None:
    """54 bytes of headers, 2 full segments of 1000 bytes and one of 100."""
    data = frame(craft.tcp(*ENDS, b"\x16\x03\x01" + bytes(2097), flags=0x18))
    program.test_run(data, ctx=pack_context(Skb, tstamp=BEGIN_NS, gso_segs=3, gso_size=1000))
    rows = by_kernel(program, [])
    names = ("size_1", "size_2", "size_3", "size_4", "payload_1", "payload_3", "src_data", "src_data_2")
    assert [value(rows, name) for name in names] == [1054, 1054, 154, 0, 1000, 100, 2100, 1000]
    assert [value(rows, name) for name in ("way_2", "way_3", "flags_3", "src_byte_1")] == [1, 1, 0x18, 0x17]
    pieces = at_times(
        frame(craft.tcp(*ENDS, content, flags=0x18))
        for content in (b"\x16\x03\x01" + bytes(997), bytes(1000), bytes(100))
    )
    same_time = [each._replace(timestamp_ns=BEGIN_NS) for each in pieces]
    assert rows == defined(same_time)


def test_of_a_skb_of_more_segments_than_places_the_first_ones_are_in_the_row(program: Program) -> None:
    data = frame(craft.tcp(*ENDS, bytes(3000)))
    program.test_run(data, ctx=pack_context(Skb, tstamp=BEGIN_NS, gso_segs=30, gso_size=100))
    rows = by_kernel(program, [])
    assert [value(rows, name) for name in ("payload_1", f"payload_{PACKETS}", "src_packets")] == [
        100, 100, PACKETS,
    ]  # fmt: skip


def test_packets_of_one_flow_on_several_cpus_all_have_a_place(program: Program) -> None:
    there = frame(craft.udp(*ENDS, bytes(50)))
    back = frame(craft.udp(ENDS[1], ENDS[0], ENDS[3], ENDS[2], bytes(70)))
    for turn in range(50):
        emptied(program)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda data: program.test_run(data, repeat=4), (there, back)))
        (entry,) = (raw for _, raw in program.maps[SAMPLES].items())
        row = unpack_row(entry)
        assert Head.unpack(entry).packets == 8, turn
        assert row[PLACE["src_packets"]] + row[PLACE["dst_packets"]] == 8
        assert Counter(row[:8]) == {92: 4, 112: 4}
        assert row[PLACE["src_data"]] + row[PLACE["dst_data"]] == 4 * 120


def test_what_is_in_no_flow_is_counted_by_the_reason() -> None:
    flows = [frame(craft.udp("10.0.0.1", "10.0.0.2", port, 53, bytes(20))) for port in (1, 2, 3)]
    arp = craft.ethernet(MACS[0], MACS[1], 0x0806, bytes(46))
    with loaded(2) as program:
        rows = by_kernel(program, at_times([*flows, arp, bytes(12) + b"\x08\x00" + bytes(40)]))
        outcomes = read_outcomes(program.maps[TALLY].mmap(), OUTCOMES)
    assert len(rows) == 2
    assert outcomes == {"sample": 0, "elsewhere": 1, "map_full": 1, "unreadable": 1, "undecided": 0}


@needs_data
def test_the_flows_of_captures_have_the_rows_of_the_definition() -> None:
    seen = 0
    with loaded(1 << 14) as program:
        for path in captures("ndpi") + captures("tcpdump_tests"):
            frames = whole(program, read(path))
            rows = by_kernel(emptied(program), frames)
            assert rows == defined(frames), path
            seen += len(rows)
    assert seen > 7000


def read(path: Path) -> list[CapturedFrame]:
    frames: list[CapturedFrame] = []
    with suppress(CaptureError), read_capture(path) as reader:
        frames.extend(reader)
    return frames
