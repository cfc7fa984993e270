"""Runs programs on frames in a big-endian kernel: those that the host made for it, and those made here.

The argument is a folder with `frames.pcap` and `programs.json`. Standard library and `meshlens.ebpf` do: what
compiles filters is not there.
"""

import base64
import json
import struct
import sys
from pathlib import Path
from typing import Any

from meshlens.ebpf import Code, Insn, MapSpec, MapType, ProgramSpec, ProgramType
from meshlens.packet.capture import read_capture
from meshlens.packet.pcapng_blocks import CapturedInterface, interface_block, section_header
from meshlens.probes.capture.frame import frame_at
from meshlens.probes.capture.program import capture_program
from meshlens.probes.capture.ring import CaptureRing
from meshlens.probes.flows.files import FileFlows
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.record import Flow
from meshlens.probes.traffic import layout as traffic_layout
from meshlens.probes.traffic.program import traffic_program
from tests.kernel.classify.flow.rows import at_times, by_kernel, loaded

# What of a flow has to be the same in each kernel.
FLOW_FIELDS = (
    "protocol", "src", "src_port", "dst", "dst_port", "first_ns", "last_ns", "src_packets", "src_bytes",
    "dst_packets", "dst_bytes", "src_flags", "dst_flags", "head_sizes", "head_ways", "head_gaps_ns",
)  # fmt: skip

SOCKET_PREFIX = bytes(14)  # BPF_PROG_TEST_RUN hands the bytes behind these to a socket filter


def main() -> None:
    folder = Path(sys.argv[1])
    frames = load(folder / "frames.pcap")
    programs = json.loads((folder / "programs.json").read_text())
    json.dump(
        {
            "byteorder": sys.byteorder,
            "counters": {hook: count(program, frames) for hook, program in programs.items()},
            "capture": base64.b64encode(capture(frames)).decode(),
            "flows": flows(folder / "frames.pcap"),
            "traffic": traffic(frames),
            "flow_rows": flow_rows(frames),
        },
        sys.stdout,
    )


def load(path: Path) -> list[bytes]:
    with open(path, "rb") as file:
        return [frame.data for frame in read_capture(file)]


def count(given: dict[str, Any], frames: list[bytes]) -> list[int]:
    """The counters of a program that was made elsewhere, after the frames."""
    insns = tuple(Insn(*insn) for insn in given["insns"])
    maps = tuple((slot, name) for slot, name in given["map_refs"])
    specs = {name: MapSpec(name, MapType(kind), *rest) for name, kind, *rest in given["maps"]}
    code = Code(insns, (), maps, given["byteorder"])
    with ProgramSpec("count", ProgramType[given["type"]], code, maps=specs).load() as program:
        for frame in frames:
            program.test_run(SOCKET_PREFIX + frame if given["type"] == "SOCKET_FILTER" else frame)
        return numbers(bytes(program.maps["counters"].mmap()))


def capture(frames: list[bytes]) -> bytes:
    """A file with the blocks that a capture program lays out."""
    ring = CaptureRing(interfaces=1, snapshot_bytes=2000, buffer_bytes=2 << 20)
    with capture_program(ring.layout, None, frame_at("tc-in"), 0).load(ring.maps) as program:
        for frame in frames:
            program.test_run(frame)
        blocks = b"".join(map(bytes, ring.pieces()))
    ring.close()
    return section_header("test") + interface_block(CapturedInterface("big", 1, 2000)) + blocks


def flows(path: Path) -> list[str]:
    stream = FileFlows([path], "", FlowOptions(idle_ns=1 << 62, active_ns=0), kernel=True)
    return sorted(map(describe, stream))


def describe(flow: Flow) -> str:
    return repr([getattr(flow, name) for name in FLOW_FIELDS])


def traffic(frames: list[bytes]) -> str:
    """What the interface program counts."""
    with traffic_program().load() as program:
        counters = program.maps[traffic_layout.COUNTERS].mmap()
        traffic_layout.prepare(counters)
        for frame in frames:
            program.test_run(frame)
        return repr(traffic_layout.read_counters(counters, "in"))


def flow_rows(frames: list[bytes]) -> dict[str, tuple[int, ...]]:
    """What a model would see of each flow."""
    with loaded() as program:
        return {name: known.row for name, known in by_kernel(program, at_times(frames)).items()}


def numbers(memory: bytes) -> list[int]:
    return list(struct.unpack(f"={len(memory) // 8}Q", memory))


if __name__ == "__main__":
    main()
