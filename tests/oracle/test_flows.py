"""Packets and bytes of flows, file by file: the kernel's program, the Python definition, and tshark agree."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from meshlens.errors import MeshlensError
from meshlens.probes.flow_files import FileFlows
from meshlens.probes.flow_maps import FlowOptions
from meshlens.probes.flow_record import Flow
from tests.data import captures, needs_data

pytestmark = [needs_data, pytest.mark.kernel]

#: Flows that never end: what tshark calls a conversation.
WHOLE = FlowOptions(idle_ns=1 << 62, active_ns=0)
#: So short that flows end within the files.
SHORT = FlowOptions(idle_ns=50_000_000, active_ns=1_000_000_000, head=5)

FIELDS = (
    "frame.len", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "ip.frag_offset",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
)  # fmt: skip
WHOLE_IP = ("eth:ethertype:ip:", "eth:ethertype:vlan:ethertype:ip:")
OPTIONS = ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams")
Ends = tuple[str, int, str, int]


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


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi"])
def test_packets_and_bytes_of_each_flow_are_those_that_tshark_finds(collection: str) -> None:
    compared = 0
    for path in files(collection, 20, 1_000_000):
        flows, *_, problem = run(path, WHOLE, kernel=True)
        if problem:
            continue
        expected = conversations(path)
        found = Counter[Ends]()
        for flow in flows:
            if flow.protocol not in ("tcp", "udp") or ":" in flow.src:
                continue
            there = flow.src, flow.src_port, flow.dst, flow.dst_port
            back = flow.dst, flow.dst_port, flow.src, flow.src_port
            for ends, packets, size in (
                (there, flow.src_packets, flow.src_bytes), (back, flow.dst_packets, flow.dst_bytes),
            ):  # fmt: skip
                found[ends] += packets * PACKET + size
        assert +found == expected, path
        compared += len(expected)
    assert compared > 100


#: A packet in a sum that has its bytes in the lower digits.
PACKET = 10**12


def conversations(path: Path) -> Counter[Ends]:
    """Packets and bytes of TCP and UDP over IPv4 by their ends, as tshark dissects the file."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t"]
    for name in OPTIONS:
        command += ["-o", f"{name}:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    sums = Counter[Ends]()
    for line in done.stdout.splitlines():
        length, protocols, src, dst, _, _, protocol, offset, *ports = line.split("\t")
        if not f"{protocols}:".startswith(WHOLE_IP) or protocol not in ("6", "17"):
            continue
        first, second = (ports[:2] if protocol == "6" else ports[2:]) if offset == "0" else ("0", "0")
        sums[src, int(first or 0), dst, int(second or 0)] += PACKET + int(length)
    return sums
