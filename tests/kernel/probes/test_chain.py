"""Two programs at one place: both see every frame, and the verdict is the last one's."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from meshlens.ebpf import R1, R6, Asm, Program, ProgramSpec, ProgramType
from meshlens.packet.mesh import payload_mix
from meshlens.probes.chain import NEXT, emit_verdict, next_map
from meshlens.probes.flows import maps as flow_maps
from meshlens.probes.flows.program import flow_program
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.stations import layout as station_layout
from meshlens.probes.stations.program import load_stations, station_program

pytestmark = [pytest.mark.root, pytest.mark.kernel]

_DROP, _PASS = 1, 2
FRAMES = [frame.data for frame in payload_mix(40)]


@pytest.fixture
def loaded() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def counted_flows(program: Program) -> int:
    with program.maps[flow_maps.TALLY].mmap() as tally:
        return sum(flow_maps.read_tally(tally).values())


def counted_stations(program: Program) -> int:
    with program.maps[station_layout.TALLY].mmap() as tally:
        return sum(station_layout.read_tally(tally).values())


def verdict(loaded: ExitStack, value: int) -> Program:
    asm = Asm()
    asm.mov(R6, R1)
    emit_verdict(asm, value, chained=True)
    return loaded.enter_context(ProgramSpec("verdict", ProgramType.XDP, asm, maps=next_map()).load())


def test_flows_and_stations_at_one_xdp_hook_both_see_every_frame(loaded: ExitStack) -> None:
    flows = flow_program(flow_maps.FlowOptions(), "in", hook="xdp", chained=True).load()
    stations = load_stations(station_program(4096, "in", hook="xdp"))
    for program in (flows, stations):
        loaded.enter_context(program)
    flows.maps[NEXT].update(0, stations.fileno())
    assert {flows.test_run(data).retval for data in FRAMES} == {_PASS}
    assert counted_flows(flows) == counted_stations(stations) == len(FRAMES)


def test_what_the_first_ones_filter_does_not_match_goes_on_to_the_next(loaded: ExitStack) -> None:
    first = station_program(4096, "in", hook="xdp", compiled=compile_filter("less 1", 1), chained=True)
    stations, flows = load_stations(first), flow_program(flow_maps.FlowOptions(), "in", hook="xdp").load()
    for program in (stations, flows):
        loaded.enter_context(program)
    stations.maps[NEXT].update(0, flows.fileno())
    assert {stations.test_run(data).retval for data in FRAMES} == {_PASS}
    assert (counted_stations(stations), counted_flows(flows)) == (0, len(FRAMES))


def test_the_verdict_is_that_of_the_last_program_and_without_one_the_own(loaded: ExitStack) -> None:
    first, last = verdict(loaded, _PASS), verdict(loaded, _DROP)
    assert first.test_run(FRAMES[0]).retval == _PASS
    first.maps[NEXT].update(0, last.fileno())
    assert first.test_run(FRAMES[0]).retval == _DROP
    first.maps[NEXT].delete(0)
    assert first.test_run(FRAMES[0]).retval == _PASS
