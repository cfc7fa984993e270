"""Flows and stations at XDP, XDP live frames as the source: the rate that is left of an empty program's.

The kernel itself sends frames of 64 bytes out of one end of a veth pair (BPF_F_TEST_XDP_LIVE_FRAMES), each of
the next flow, and of up to 256 stations. At the other end a program counts them and drops them there, as the
empty one does, for the stack behind it would take longer than all of them. Of flows and stations together the
one that is attached ends with a tail call of the other. All is done by one CPU.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from bench.measure import samples
from bench.network import Namespace, joined
from bench.programs import load
from bench.report import Figure
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R6,
    Asm,
    Helper,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    Xdp,
    attach_xdp,
)
from meshlens.packet import craft
from meshlens.probes.chain import NEXT
from meshlens.probes.flows import layout as flow_layout
from meshlens.probes.flows import maps as flow_maps
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.program import flow_program
from meshlens.probes.stations import layout as station_layout
from meshlens.probes.stations.program import station_program
from meshlens.probes.stations.tables import TABLES, fill_tables

_FRAMES, _FRAMES_QUICK = 2_000_000, 400_000
_STATIONS = 4_096
_MAC_AT, _SOURCE_AT, _PORT_AT, _BYTES = 6, 26, 34, 60
_PASS, _DROP = 2, 1
_BOTH = "flows and stations"
_Entry = flow_layout.Fragment | station_layout.Fragment
#: The map of each probe's entries: what they are, the map of what became of all frames, and how it is read.
_COUNTED: dict[str, tuple[type[_Entry], str, Callable[[memoryview], dict[str, int]]]] = {
    flow_layout.FLOWS: (flow_layout.Fragment, flow_maps.TALLY, flow_maps.read_tally),
    station_layout.STATIONS: (station_layout.Fragment, station_layout.TALLY, station_layout.read_tally),
}


def figures(quick: bool) -> Iterator[Figure]:
    frames = _FRAMES_QUICK if quick else _FRAMES
    with joined() as (near, far):
        for flows in (1, 1_000, 100_000):
            with _source(near, flows) as send, ExitStack() as loaded:
                rows = _programs(flows, loaded)
                actions = [_mpps(far, programs[0], send, frames) for programs in rows.values()]
                rates = map(median, samples(actions, 3 if quick else 9))
                for programs in rows.values():
                    _check(programs)
            nothing = next(rates)
            yield Figure(f"{flows:,} flows: an empty program", nothing, "Mpps")
            for name, rate in zip(list(rows)[1:], rates, strict=True):
                target = 5 if name == _BOTH and flows == 1_000 else None
                yield Figure(f"{flows:,} flows: {name}", rate, "Mpps", at_least=target)
                yield Figure(f"{flows:,} flows: {name}, a frame", 1e3 / rate - 1e3 / nothing, "ns")


def _programs(flows: int, loaded: ExitStack) -> dict[str, list[Program]]:
    """What is compared, the empty one first; of several programs the first one is attached."""
    options = FlowOptions() if flows < 10_000 else FlowOptions(max_flows=1 << 17)

    def flow(*, chained: bool) -> Program:
        spec = flow_program(options, "in", hook="xdp", chained=chained)
        return loaded.enter_context(load(_dropping(spec)))

    def station() -> Program:
        spec = station_program(_STATIONS, "in", hook="xdp")
        program = loaded.enter_context(load(_dropping(spec)))
        fill_tables(program.maps[TABLES])
        return program

    together = [flow(chained=True), station()]
    together[0].maps[NEXT].update(0, together[1].fileno())
    return {
        "nothing": [loaded.enter_context(load(_dropping(_empty())))],
        "flows": [flow(chained=False)],
        "stations": [station()],
        _BOTH: together,
    }


def _empty() -> ProgramSpec:
    asm = Asm()
    asm.ret(_PASS)
    return ProgramSpec("empty", ProgramType.XDP, asm)


def _dropping(spec: ProgramSpec) -> ProgramSpec:
    """The program, but it drops where it would pass on: `r0 = 2`, then `exit`."""
    insns = list(spec.insns)
    asm = Asm()
    asm.ret(_PASS)
    passes = asm.assemble().insns
    asm = Asm()
    asm.ret(_DROP)
    drops = asm.assemble().insns
    for at in range(len(insns) - 1):
        if tuple(insns[at : at + 2]) == passes:
            insns[at : at + 2] = drops
    code = spec.code._replace(insns=tuple(insns))
    return ProgramSpec(spec.name, spec.type, code, maps=spec.maps)


def _mpps(far: Namespace, program: Program, send: Callable[[int], float], frames: int) -> Callable[[], float]:
    def action() -> float:
        with far.inside():
            link = attach_xdp(program, far.ifindex("veth0"), "native")
        with link:
            send(frames // 4)
            return frames / send(frames) / 1e6

    return action


@contextmanager
def _source(near: Namespace, flows: int) -> Iterator[Callable[[int], float]]:
    """What sends so many frames, and returns the seconds that took."""
    packet = craft.udp("192.0.2.1", "192.0.2.2", 1, 5001, bytes(18))
    frame = craft.ip_frame("02:00:00:00:00:01", packet, "02:00:00:00:00:02")
    with load(_source_program(near.ifindex("veth0"), flows)) as program:

        def send(frames: int) -> float:
            with near.inside():
                before = time.monotonic()
                program.test_run(frame, repeat=frames, live_frames=True)
                return time.monotonic() - before

        yield send


def _source_program(ifindex: int, flows: int) -> ProgramSpec:
    """The flow's number into source port and source address, what fits of it into the MAC; redirect."""
    asm = Asm()
    asm.mov(R6, R1)
    asm.map_value(R3, "number")
    asm.load(R1, R3, 0, 8)
    asm.alu("+=", R1, 1)
    asm.alu("%=", R1, flows)
    asm.store(R3, 0, R1, 8)
    asm.field(R2, R6, Xdp.data)
    asm.field(R0, R6, Xdp.data_end)
    asm.mov(R3, R2)
    asm.alu("+=", R3, _BYTES)
    with asm.if_(R3, "<=", R0):
        asm.store(R2, _MAC_AT + 5, R1, 1)
        asm.store(R2, _PORT_AT, R1, 2)
        asm.alu(">>=", R1, 16)
        asm.store(R2, _SOURCE_AT + 3, R1, 1)
    asm.call(Helper.redirect, ifindex, 0)
    asm.exit()
    return ProgramSpec(
        "source", ProgramType.XDP, asm, maps={"number": MapSpec("number", MapType.ARRAY, 4, 8, 1)}
    )


def _check(programs: list[Program]) -> None:
    """Every frame is in an entry, and has come to all programs."""
    counted = set()
    for program in programs:
        for name, (entry, tally_name, read_tally) in _COUNTED.items():
            if name in program.maps:
                values = dict(program.maps[name].items()).values()
                packets = sum(sum(entry.unpack(value).packets) for value in values)
                with program.maps[tally_name].mmap() as tally:
                    whole, *other = read_tally(tally).values()
                assert packets == whole > 0, f"{name}: not every frame is in an entry"
                assert not any(other), f"{name}: {other}"
                counted.add(packets)
    assert len(counted) <= 1, f"not every frame has come to both: {counted}"
