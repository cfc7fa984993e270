"""What `meshlens interfaces` costs: nanoseconds a frame in the kernel, milliseconds a reading.

By kinds of frames: a group address, a VLAN tag and an ethertype that is not looked for first take ways of
their own through the program.
"""

import time
from collections.abc import Iterator
from statistics import fmean, median

import meshlens
from bench.inputs import by_kind, overhead, payload
from bench.measure import difference, ns_by_kind
from bench.network import joined
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.packet import craft
from meshlens.packet.mesh import MeshFrame
from meshlens.probes.traffic.layout import COUNTERS, prepare, read_counters
from meshlens.probes.traffic.program import traffic_program

_TARGET_NS = 15
_MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")


def figures(quick: bool) -> Iterator[Figure]:
    program, empty = load(traffic_program()), empty_program("tc")
    counters = program.maps[COUNTERS].mmap()
    prepare(counters)
    for name, frames in _kinds().items():
        ours, none = ns_by_kind([program, empty], by_kind(frames), quick=quick)
        cost = fmean(difference(ours, none).values())
        yield Figure(f"{name}, above an empty program", cost, "ns", at_most=_TARGET_NS)
    assert read_counters(counters, "in").packets, "nothing was counted"
    yield Figure("a reading of six interfaces, all counters", _reading(20 if quick else 100), "ms")


def _kinds() -> dict[str, list[MeshFrame]]:
    plain = craft.ethernet(*_MACS, 0x88B5, bytes(50))
    return {
        "payload": payload(),
        "overhead of a mesh": overhead(),
        "VLAN tag in the bytes": [MeshFrame("tagged", craft.tag(plain, 7))],
        "ethertype without a name": [MeshFrame("other", craft.ethernet(*_MACS, 0x1234, bytes(50)))],
    }


def _reading(turns: int) -> float:
    """Milliseconds to read all that is told, drops and drivers' counters included."""
    with joined(pairs=6) as (near, _), near.inside(), meshlens.interfaces("veth*") as session:
        taken = []
        for _ in range(turns):
            begin = time.perf_counter()
            assert len(session.interfaces()) == 6
            taken.append(time.perf_counter() - begin)
    return 1e3 * median(taken)
