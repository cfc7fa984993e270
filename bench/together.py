"""What each probe costs a frame, alone and with the others: interfaces, stations, flows.

In BPF_PROG_TEST_RUN each alone, above an empty program. Then at tc on the way into a veth, where the kernel
times each program (BPF_ENABLE_STATS); what it says of an empty one, two readings of the clock, is taken off.
"TCP and UDP" are some connections whose first packets are over, the mixes are those of a mesh in random
order, in which each second frame is the first or second of its flow.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from random import Random
from statistics import fmean

from bench.inputs import by_kind, overhead, payload
from bench.measure import difference, in_turns, ns_by_kind
from bench.network import Namespace, Sender, joined
from bench.programs import empty_program, load
from bench.report import Figure, Skip
from meshlens.ebpf import Program, ProgramInfo, attach_tcx
from meshlens.ebpf.statistics import run_statistics
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.packet.mesh import MeshFrame
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.program import flow_program
from meshlens.probes.stations.program import load_stations, station_program
from meshlens.probes.traffic import layout as traffic_layout
from meshlens.probes.traffic.program import traffic_program

_STATIONS = 4_096
_SETTLE_S = 0.005
_MOST_NS = {"interfaces": 15, "stations": 40, "flows": 60}
_TOGETHER_NS = 100


def figures(quick: bool) -> Iterator[Figure]:
    probes, empty = _probes(), empty_program("tc")
    kinds = by_kind(payload(), "client/tcp") | by_kind(payload(), "client/udp")
    *alone, nothing = ns_by_kind([*probes.values(), empty], kinds, quick=quick)
    for name, times in zip(probes, alone, strict=True):
        above = fmean(difference(times, nothing).values())
        yield Figure(f"{name}, alone", above, "ns", at_most=_MOST_NS[name])
    with run_statistics(), joined() as (near, far):
        usual = [frame for frames in kinds.values() for frame in frames]
        mixes = {
            "TCP and UDP": usual * 100,
            "payload mix": _shuffled(payload()),
            "overhead mix": _shuffled(overhead()),
        }
        for name, frames in mixes.items():
            sender = Sender.on(near, "veth0", frames)
            rows = ([empty], *([each] for each in probes.values()), list(probes.values()))
            base, *ours, all_ = in_turns([_ns_a_frame(row, far, sender) for row in rows], 5 if quick else 50)
            for probe, taken in zip(probes, ours, strict=True):
                yield Figure(f"{name}: {probe}, alone", taken - base, "ns")
            together = all_ - len(probes) * base
            at_most = _TOGETHER_NS if name == "TCP and UDP" else None
            yield Figure(f"{name}: all together", together, "ns", at_most=at_most)


def _shuffled(mix: Sequence[MeshFrame]) -> list[bytes]:
    frames = [frame.data for frame in mix]
    Random(1).shuffle(frames)
    return frames


def _probes() -> dict[str, Program]:
    traffic = load(traffic_program())
    with traffic.maps[traffic_layout.COUNTERS].mmap() as counters:
        traffic_layout.prepare(counters)
    try:
        stations = load_stations(station_program(_STATIONS, "in"))
    except (PermissionDenied, NotSupported) as error:
        raise Skip(str(error)) from None
    return {
        "interfaces": traffic,
        "stations": stations,
        "flows": load(flow_program(FlowOptions(), "in")),
    }


def _ns_a_frame(programs: Sequence[Program], far: Namespace, sender: Sender) -> Callable[[], float]:
    """What these programs take for a frame, one behind the other."""

    def action() -> float:
        with ExitStack() as attached:
            with far.inside():
                ifindex = socket.if_nametoindex("veth0")
                for program in programs:
                    attached.enter_context(attach_tcx(program, ifindex, "ingress"))
            before = _sent(programs, sender)
            after = _sent(programs, sender)
        return sum(
            (now.run_time_ns - then.run_time_ns) / (now.run_count - then.run_count)
            for now, then in zip(after, before, strict=True)
        )

    return action


def _sent(programs: Sequence[Program], sender: Sender) -> list[ProgramInfo]:
    """What the kernel says of programs when they have seen all that was sent."""
    seen = -1
    sender.send()
    while seen < (seen := programs[-1].info().run_count):
        time.sleep(_SETTLE_S)
    return [program.info() for program in programs]
