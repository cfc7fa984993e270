"""What the numbers of a flow are, said for packets made by hand."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from meshlens import flows
from meshlens.classify.features import MAX_VALUE
from meshlens.classify.flow import TASK
from meshlens.classify.flow.features import FEATURES, PACKETS, PLACE
from meshlens.classify.flow.sample import FlowRows, read
from meshlens.classify.truth import flow_key
from meshlens.packet import craft
from meshlens.packet.capture import CapturedFrame, CaptureError, write_pcap
from meshlens.packet.mesh import payload_mix

MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
SYN_OPTIONS = bytes.fromhex("020405b40402080a0000000000000000010303 07")


def packet(data: bytes, at_us: int = 0, cut: int | None = None) -> CapturedFrame:
    frame = craft.ip_frame(MACS[0], data, MACS[1])
    return CapturedFrame(frame[:cut], len(frame), 1_000_000_000 + at_us * 1000, 0, 1, None)


def numbers(frames: Iterable[CapturedFrame]) -> dict[str, int]:
    """The features of the only flow, by name."""
    rows = FlowRows()
    for frame in frames:
        rows.add(frame)
    (sample,) = rows.samples("x.pcap")
    return {feature.name: value for feature, value in zip(FEATURES, sample.values, strict=True)}


def tcp_talk() -> list[CapturedFrame]:
    hello = bytes.fromhex("160301 0040 01") + bytes(63)
    there = (CLIENT, SERVER, 40_000, 443)
    back = (SERVER, CLIENT, 443, 40_000)
    return [
        packet(craft.tcp(*there, flags=2, options=SYN_OPTIONS, window=64_240)),
        packet(craft.tcp(*back, flags=0x12, window=5_000), 30_000),
        packet(craft.tcp(*there, flags=0x10), 30_100),
        packet(craft.tcp(*there, hello, flags=0x18), 31_000),
        packet(craft.tcp(*back, b"HTTP/1.1 400 Bad\r\n", flags=0x18), 62_000),
    ]


def test_names_are_unique_and_every_feature_is_of_a_group_that_can_be_left_out() -> None:
    assert len(PLACE) == len(FEATURES) == len(TASK.features)
    assert {feature.group for feature in FEATURES} == {
        "sizes", "directions", "timing", "flags", "stack", "payload", "protocol", "ports",
    }  # fmt: skip


def test_sizes_ways_times_and_flags_are_those_of_the_first_packets() -> None:
    row = numbers(tcp_talk())
    assert [row[f"size_{n}"] for n in range(1, 7)] == [74, 54, 54, 123, 72, 0]
    assert [row[f"payload_{n}"] for n in range(1, 7)] == [0, 0, 0, 69, 18, 0]
    assert [row[f"way_{n}"] for n in range(2, 7)] == [2, 1, 1, 2, 0]
    assert [row[f"time_{n}"] for n in range(2, 7)] == [30_000, 30_100, 31_000, 62_000, 0]
    assert [row[f"flags_{n}"] for n in range(1, 7)] == [2, 0x12, 0x10, 0x18, 0x18, 0]
    assert (row["src_packets"], row["src_data_packets"], row["src_data"], row["src_data_1"]) == (3, 1, 69, 69)
    assert (row["protocol"], row["src_port"], row["dst_port"], row["low_port"]) == (6, 40_000, 443, 443)


def test_the_stack_of_an_end_is_that_of_its_first_packet() -> None:
    row = numbers(tcp_talk())
    assert [row[f"src_{name}"] for name in ("ttl", "tcp_header", "window", "mss")] == [64, 40, 64_240, 1460]
    assert [row[f"dst_{name}"] for name in ("ttl", "tcp_header", "window", "mss")] == [64, 20, 5_000, 0]


def test_payload_is_seen_as_bytes_their_kinds_and_numbers_that_fit_as_lengths() -> None:
    row = numbers(tcp_talk())
    assert [row[f"src_byte_{n}"] for n in range(1, 8)] == [0x17, 4, 2, 1, 0x41, 2, 1]
    assert [row[f"src_length_{n}"] for n in (0, 2, 3)] == [0, 0, 6], "5 bytes of header beside 64"
    assert (row["src_printable"], row["src_zeros"], row["src_high"], row["src_kinds"]) == (1, 11, 0, 3)
    assert (row["dst_printable"], row["dst_zeros"], row["dst_high"]) == (16, 0, 0)


@pytest.mark.parametrize(("port", "service"), [(8080, 80), (8443, 443), (80, 80), (5353, 5353)])
def test_a_port_that_serves_what_another_is_known_for_counts_as_that_one(port: int, service: int) -> None:
    row = numbers([packet(craft.tcp(CLIENT, SERVER, 40_000, port))])
    assert (row["dst_port"], row["low_port"], row["service_port"]) == (port, port, service)


def test_padding_of_ethernet_is_no_payload() -> None:
    row = numbers([packet(craft.udp(CLIENT, SERVER, 1, 2, b"ab"))])
    padded = packet(craft.udp(CLIENT, SERVER, 1, 2, b"ab"))
    padded = padded._replace(data=padded.data.ljust(60, b"\0"), wire_length=60)
    assert (row["size_1"], row["payload_1"]) == (44, 2)
    assert numbers([padded]) == row | {"size_1": 60}


def test_of_cut_payload_the_size_is_known_and_no_byte() -> None:
    row = numbers([packet(craft.udp(CLIENT, SERVER, 1, 2, b"a" * 30), cut=45)])
    assert (row["size_1"], row["payload_1"], row["src_printable"]) == (72, 30, 3)
    assert [row[f"src_byte_{n}"] for n in (1, 3, 4)] == [98, 98, 0]


def test_a_packet_without_a_stated_length_goes_to_the_end_of_its_frame() -> None:
    """As one that the interface will cut in pieces is captured."""
    frame = bytearray(packet(craft.tcp(CLIENT, SERVER, 1, 2, bytes(3000))).data)
    frame[16:18] = bytes(2)
    assert numbers([CapturedFrame(bytes(frame), len(frame), 0, 0, 1, None)])["payload_1"] == 3000


def test_no_more_than_the_first_packets_count() -> None:
    frames = [packet(craft.udp(CLIENT, SERVER, 1, 2, bytes(n)), n) for n in range(1, 20)]
    assert numbers(frames) == numbers(frames[:PACKETS])
    assert numbers(frames) != numbers(frames[: PACKETS - 1])


def test_times_that_go_back_or_are_far_off_stay_in_their_range() -> None:
    data = craft.udp(CLIENT, SERVER, 1, 2, b"x")
    row = numbers([packet(data), packet(data, -5), packet(data, 1 << 40)])
    assert (row["time_2"], row["time_3"]) == (0, MAX_VALUE)


@pytest.mark.parametrize(
    ("link_type", "before"),
    [(101, b""), (0, b"\2\0\0\0"), (113, bytes(14) + b"\x08\0"), (276, b"\x08\0" + bytes(18))],
)
def test_a_flow_is_the_same_whatever_its_link_type_is(link_type: int, before: bytes) -> None:
    ethernet = packet(craft.udp(CLIENT, SERVER, 1, 2, b"hello"))
    data = before + ethernet.data[14:]
    other = CapturedFrame(data, len(data), ethernet.timestamp_ns, 0, link_type, None)
    assert numbers([other]) == numbers([ethernet])


def test_the_first_packets_are_those_of_the_head_of_meshlens_flows(tmp_path: Path) -> None:
    path = tmp_path / "mesh.pcap"
    write_pcap(path, [frame.data for frame in payload_mix(400)])
    samples = {flow_key(sample.name): sample for sample in read(path)}
    seen = 0
    for flow in flows(read=path, idle_s=1e6, active_s=0):
        ends = flow.protocol.upper(), flow.src, str(flow.src_port), str(flow.dst_port)
        row = dict(zip(PLACE, samples[ends].values, strict=True))
        known = range(1, len(flow.head_sizes) + 1)
        assert [row[f"size_{n}"] for n in known] == list(flow.head_sizes)
        assert [{1: 1, 2: -1}[row[f"way_{n}"]] for n in known[1:]] == list(flow.head_ways[1:])
        assert [row[f"time_{n}"] for n in known[1:]] == [
            sum(flow.head_gaps_ns[:n]) // 1000 for n in known[1:]
        ]  # fmt: skip
        seen += 1
    assert seen == len(samples) > 30


def test_a_broken_capture_gives_its_flows_before_it_says_where_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    write_pcap(path, [frame.data for frame in tcp_talk()])
    path.write_bytes(path.read_bytes()[:-3])
    names: list[str] = []
    with pytest.raises(CaptureError, match=r"cut\.pcap"):
        names.extend(sample.name for sample in read(path))
    assert names == [f"TCP {CLIENT}:40000 > {SERVER}:443"]
