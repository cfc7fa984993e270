"""Packets and bytes of flows, file by file: the kernel's program, the Python definition, and tshark agree."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meshlens.errors import MeshlensError
from meshlens.probes.flows.files import FileFlows
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.record import Flow
from tests.data import captures, needs_data
from tests.oracle.tshark_flows import Conversations, Ends, conversations, totals

pytestmark = [needs_data, pytest.mark.kernel]

#: Flows that never end: what tshark calls a conversation.
WHOLE = FlowOptions(idle_ns=1 << 62, active_ns=0)
#: So short that flows end within the files.
SHORT = FlowOptions(idle_ns=50_000_000, active_ns=1_000_000_000, head=5)


def run(
    path: Path, options: FlowOptions, expression: str = "", *, kernel: bool
) -> tuple[list[Flow], dict[str, int], int, str]:
    stream, flows, problem = FileFlows([path], expression, options, kernel=kernel), list[Flow](), ""
    try:
        flows.extend(stream)
    except MeshlensError as error:
        problem = str(error)
    return flows, stream.missed, stream.other, problem


def files(collection: str, most: int, largest: int) -> list[Path]:
    few = [path for path in captures(collection) if path.stat().st_size < largest]
    return few[:: max(1, len(few) // most)]


@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi", "tcpdump_tests", "aircrack_test_caps"])
@pytest.mark.parametrize("expression", ["", "tcp port 443 or ip6 or len > 600"])
def test_the_kernel_and_the_python_definition_give_the_same_flows(collection: str, expression: str) -> None:
    seen = 0
    for path in files(collection, 60, 1_000_000):
        kernels, ours = (run(path, SHORT, expression, kernel=kernel) for kernel in (True, False))
        assert kernels == ours, path
        seen += len(ours[0])
    assert seen or collection == "aircrack_test_caps"


#: Where tshark and we differ, and are both right in our own way.
ODD = {
    "LINKTYPE_IPV4_invalid.pcap": "IPv6 where the link type says IPv4: we look at the version",
    "LINKTYPE_IPV6_invalid.pcap": "the other way round",
    "beep-oobr.pcap": "no version of IP in the first byte: tshark passes over it, we call it unreadable",
    "bigtcp-ipv6-vxlan-ipv4.pcap": "a payload length of 0: for tshark nothing follows the header",
    "bigtcp-ipv6-vxlan-ipv6.pcap": "the same",
    "ipv6_frag6_negative_len.pcap": "a payload shorter than its extension headers: we go on to what is there",
    "hoobr_rt6_print.pcap": "the frame ends within an extension header: that is the last protocol for us",
    "ipv6-rthdr-oobr.pcap": "the same",
    "fuzz-2021-10-13.pcap": "loopback with an address family that is none: we look at the version",
    "fuzz-2021-06-07-c6c72a0a56.pcap": "a frame of 4 GB: tshark's field ends at 2 GB",
}
#: Captures with many tagged frames, fragments, IPv6.
MANIFOLD = {
    "bot.pcap", "ip_fragmented_garbage.pcap", "dnscrypt-v1-and-resolver-pings.pcap", "hsrp2_ipv6.pcapng",
    "reddit.pcap", "tumblr.pcap",
}  # fmt: skip
#: So many tests share the captures of a collection.
PARTS = 6
NUMBERS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50,
    "ah": 51, "icmp6": 58, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")


def ours(path: Path) -> tuple[Counter[Ends], Counter[Ends], dict[str, int], str]:
    """Packets and bytes of flows that are not inside batman-adv, one way each; what was missed; a problem."""
    flows, missed, _, problem = run(path, WHOLE, kernel=True)
    packets, sizes = Counter[Ends](), Counter[Ends]()
    for flow in flows:
        if flow.inside:
            continue
        protocol = NUMBERS.get(flow.protocol) or int(flow.protocol)
        there = flow.src, flow.src_port, flow.dst, flow.dst_port, protocol
        back = flow.dst, flow.dst_port, flow.src, flow.src_port, protocol
        for ends, number, size in (
            (there, flow.src_packets, flow.src_bytes),
            (back, flow.dst_packets, flow.dst_bytes),
        ):
            packets[ends] += number
            sizes[ends] += size
    return +packets, +sizes, missed, problem


def compare(paths: Iterable[Path]) -> Conversations:
    """Compare file by file; return what there was to compare. tshark reads several at once."""
    seen, even = Conversations(), [path for path in paths if path.name not in ODD]
    with ThreadPoolExecutor(os.cpu_count()) as ahead:
        read = zip(even, ahead.map(conversations, even), strict=True)
        told = [(path, expected) for path, expected in read if expected]
    for path, expected in told:
        packets, sizes, missed, problem = ours(path)
        assert packets == expected.packets, path
        assert sizes == expected.bytes, path
        assert missed["unreadable"] == expected.unreadable or problem, path
        seen.packets += expected.packets
        seen.tagged += expected.tagged
        seen.fragments += expected.fragments
        seen.ipv6 += expected.ipv6
    return seen


@needs_tshark
@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi", "tcpdump_tests"])
def test_packets_and_bytes_of_each_flow_are_those_that_tshark_finds(collection: str) -> None:
    assert compare(files(collection, 20, 1_000_000)).packets.total() > 30


@needs_tshark
@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi", "tcpdump_tests"])
def test_every_frame_is_in_a_flow_or_missed_or_without_ip(collection: str) -> None:
    compared = 0
    for path in files(collection, 20, 1_000_000):
        flows, missed, other, problem = run(path, WHOLE, kernel=True)
        expected = totals(path)
        if expected and not problem:
            found = sum(flow.packets for flow in flows) + sum(missed.values()) + other
            assert found == expected[0], path
            if not other and not any(missed.values()):
                assert sum(flow.bytes for flow in flows) == expected[1], path
            compared += found
    assert compared > 30


@needs_tshark
def test_so_they_are_behind_tags_in_fragments_and_in_ipv6() -> None:
    seen = compare(path for path in captures("ndpi") if path.name in MANIFOLD)
    assert seen.tagged > 400
    assert seen.fragments > 1300
    assert seen.ipv6 > 2600


@needs_tshark
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi", "tcpdump_tests"])
def test_so_they_are_in_every_capture(collection: str, part: int) -> None:
    assert compare(captures(collection)[part::PARTS]).packets
