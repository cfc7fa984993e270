"""Ethertypes, kinds of addresses and sizes, file by file: what the kernel's program counts, tshark finds."""

import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from meshlens.ebpf import BpfError
from meshlens.errors import MeshlensError
from meshlens.packet.capture import CapturedFrame, read_capture
from meshlens.packet.ethertypes import LLC
from meshlens.probes.traffic.layout import COUNTERS, Cast, frame_of, prepare, read_counters, size_class
from meshlens.probes.traffic.program import traffic_program
from tests.data import captures, needs_data

pytestmark = [
    needs_data,
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark"),
]

FIELDS = ("frame.protocols", "eth.dst", "eth.type", "vlan.etype")
#: What BPF_PROG_TEST_RUN takes.
BYTES_MAX = 3400


def frames(path: Path) -> list[CapturedFrame]:
    """Those before the place where the file is broken, if it is."""
    whole = list[CapturedFrame]()
    with suppress(MeshlensError), read_capture(path) as reader:
        whole.extend(reader)
    return whole


class Seen(NamedTuple):
    """A frame as tshark sees it."""

    ethertype: int
    cast: Cast


def dissected(path: Path) -> list[Seen | None]:
    """All frames of a file; None for those without an Ethernet header of their own."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "aggregator=,"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return [seen(*line.split("\t")) for line in done.stdout.splitlines()]


def seen(protocols: str, destination: str, types: str, tagged: str) -> Seen | None:
    if not protocols.startswith("eth") or not destination:
        return None
    address = destination.partition(",")[0]
    cast: Cast = "multicast" if int(address[:2], 16) & 1 else "unicast"
    if address == "ff:ff:ff:ff:ff:ff":
        cast = "broadcast"
    kinds = [types.partition(",")[0]]
    tags = protocols.removeprefix("eth:").split(":")
    while tags[:2] in (["ethertype", "vlan"], ["ethertype", "ieee8021ad"]) and len(kinds) < 3:
        kinds.append(tagged.split(",")[len(kinds) - 1] if tagged else "")
        tags = tags[2:]
    return Seen(int(kinds[-1], 0) if kinds[-1] else LLC, cast)


@pytest.mark.parametrize("collection", ["iot_sentinel", "ndpi", "tcpdump_tests"])
def test_the_program_counts_what_tshark_finds(collection: str) -> None:
    compared = 0
    paths = [path for path in captures(collection) if path.stat().st_size < 150_000]
    for path in paths[:: max(1, len(paths) // 15)]:
        found = dissected(path)
        expected, sizes, total = Counter[Seen](), Counter[int](), 0
        with traffic_program().load() as program:
            counters = program.maps[COUNTERS].mmap()
            prepare(counters)
            for frame, told in zip(frames(path), found, strict=False):
                if told is None or frame.link_type != 1 or not 14 < len(frame.data) < BYTES_MAX:
                    continue
                try:
                    program.test_run(frame.data)
                except BpfError:  # an IP header that is not whole
                    continue
                assert Seen(*(frame_of(frame.data) or ())) == told, (path, frame.data.hex())
                expected[told] += 1
                sizes[size_class(len(frame.data))] += 1
                total += len(frame.data)
            traffic = read_counters(counters, "in")
        assert (traffic.packets, traffic.bytes) == (expected.total(), total), path
        for cast in ("unicast", "multicast", "broadcast"):
            assert getattr(traffic, cast) == sum(n for each, n in expected.items() if each.cast == cast)
        by_type = Counter[int]()
        for each, number in expected.items():
            by_type[each.ethertype] += number
        assert {kind: packets for kind, (packets, _) in traffic.ethertypes.items()} == by_type, path
        assert {place: number for place, number in enumerate(traffic.sizes) if number} == sizes
        compared += expected.total()
    assert compared > 100
