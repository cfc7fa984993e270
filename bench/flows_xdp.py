"""Flows at XDP, XDP live frames as the source: the rate that is left of what an empty program lets through.

The kernel itself sends frames of 64 bytes out of one end of a veth pair (BPF_F_TEST_XDP_LIVE_FRAMES), source
port by source port. At the other end a program counts them and drops them there, as the empty one does, for
the stack behind it would take longer than all of them. All is done by one CPU.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from meshlens.probes.flows.layout import FLOWS, Fragment
from meshlens.probes.flows.maps import OUTCOMES, TALLY, FlowOptions, read_tally
from meshlens.probes.flows.program import flow_program

_FRAMES, _FRAMES_QUICK = 2_000_000, 400_000
_SOURCE_AT, _PORT_AT, _BYTES = 26, 34, 60
_PASS, _DROP = 2, 1


def figures(quick: bool) -> Iterator[Figure]:
    frames = _FRAMES_QUICK if quick else _FRAMES
    with joined() as (near, far):
        for flows in (1, 1_000, 100_000):
            options = FlowOptions() if flows < 10_000 else FlowOptions(max_flows=1 << 17)
            counter = _dropping(flow_program(options, "in", hook="xdp"))
            with _source(near, flows) as send, _dropping(_empty()) as empty, counter as counting:
                actions = [_mpps(far, program, send, frames) for program in (empty, counting)]
                nothing, ours = map(median, samples(actions, 3 if quick else 9))
                _check(counting)
            name, at_least = f"{flows:,} flows", 5 if flows == 1_000 else None
            yield Figure(f"{name}: an empty program", nothing, "Mpps")
            yield Figure(f"{name}: the flow program", ours, "Mpps", at_least=at_least)
            yield Figure(f"{name}: the flow program, a frame", 1e3 / ours - 1e3 / nothing, "ns")


def _empty() -> ProgramSpec:
    asm = Asm()
    asm.ret(_PASS)
    return ProgramSpec("empty", ProgramType.XDP, asm)


@contextmanager
def _dropping(spec: ProgramSpec) -> Iterator[Program]:
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
    with load(ProgramSpec(spec.name, spec.type, code, maps=spec.maps)) as program:
        yield program


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
    """The flow's number into the lower half of the source address and into the source port; redirect."""
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
        asm.store(R2, _PORT_AT, R1, 2)
        asm.alu(">>=", R1, 16)
        asm.store(R2, _SOURCE_AT + 3, R1, 1)
    asm.call(Helper.redirect, ifindex, 0)
    asm.exit()
    return ProgramSpec(
        "source", ProgramType.XDP, asm, maps={"number": MapSpec("number", MapType.ARRAY, 4, 8, 1)}
    )


def _check(program: Program) -> None:
    """Every frame that was counted is in a flow."""
    with program.maps[TALLY].mmap() as tally:
        outcomes = read_tally(tally)
    values = dict(program.maps[FLOWS].items()).values()
    packets = sum(sum(Fragment.unpack(value).packets) for value in values)
    assert packets == outcomes["flow"] > 0, "not every frame is in a flow"
    assert not any(outcomes[reason] for reason in OUTCOMES[1:]), outcomes
