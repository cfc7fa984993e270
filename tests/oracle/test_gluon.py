"""Gluon's whole list on made-up mesh traffic: packets and bytes of every filter as known beforehand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.packet.mesh import MeshFrame, overhead_mix, payload_mix
from meshlens.probes.count.program import COUNTERS, Hook, count_program
from meshlens.probes.count.readout import Layout, read_counters
from tests.data import needs_data
from tests.oracle.conftest import Compare
from tests.oracle.corpus import Sample, clients, damaged, mesh_mixes
from tests.oracle.judges import DIRECTION, HOOKS, LONGEST_XDP, PREFIX
from tests.oracle.mesh_frames import tagged_frames
from tests.oracle.real_lists import real_lists
from tests.oracle.scopes import Oracle

Totals = dict[str, tuple[int, int]]

NAME = "gluon-statistics-mcast.mesh.filters"
#: Gluon's own, which keeps unicast payload away from bpfcountd (gluon.prefilter.sh beside the list).
UNICAST_4 = "(ip and not ip multicast and not igmp and not (ip proto (89 or 103 or 138)))"
UNICAST_6 = "(ip6 and not ip6 multicast and not ip6 proto 0 and not (ip6 proto (89 or 103 or 138)))"
UNICAST = f"({UNICAST_4} or {UNICAST_6})"
PREFILTER = f"not {UNICAST} and not (batadv 15 unicast and {UNICAST}) and not batadv 15 unicast_frag"

#: The scope of each packet type that carries a frame (compat version 15), and what matches the others.
CARRIERS = {
    "bcast": "BAT:BAT-BCAST",
    "unicast": "BAT:BAT-UCAST",
    "unicast_4addr": "BAT:BAT-UCAST4",
}
OTHERS = {
    "iv_ogm": ["BAT:BAT-OGM_IV"],
    "ogm2": ["BAT:BAT-OGM_V"],
    "elp": ["BAT:BAT-ELP"],
    "icmp": ["BAT:BAT-ICMP"],
    "coded": ["BAT:BAT-CODED"],
    "unicast_frag": ["BAT:BAT-UCAST_FRAG"],
    "mcast": ["BAT:BAT-OTHER"],  # the list does not know this type
    # Its filters look for a frame inside, but there is none: they are about the outer one, which is `OTHER`.
    "unicast_tvlv": ["BAT:BAT-UCAST_TVLV", "BAT:BAT-UCAST_TVLV:OTHER"],
}
#: What a scope's `OTHER` excludes.
FAMILIES = {"IP4", "IP6", "BLA", "ARP", "IPX", "NETBEUI", "LLDP"}


def client_truth() -> dict[str, list[str]]:
    """The plain filters that match each kind of frame of clients."""
    lines = Path(__file__).with_name("gluon_truth.txt").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {kind: ids.split() for kind, ids in pairs}


def matching(kind: str, known: set[str], *, version: int, inner_tagged: bool) -> set[str]:
    """The ids, of those in the list, of the filters that match a frame of that kind."""
    carrier, _, inner = kind.partition("/")
    plain = [] if inner_tagged or not inner else client_truth()[inner]
    if carrier == "client":
        return set(plain)
    if version == 14:
        return {"BAT", "BAT:BAT-OTHER"}
    if carrier not in CARRIERS:
        return {"BAT", *OTHERS[carrier]}
    scope = CARRIERS[carrier]
    other = [] if FAMILIES.intersection(plain) else [f"{scope}:OTHER"]
    return {"BAT", scope, *other, *(f"{scope}:{each}" for each in plain)} & known


def truth(compiled: CompiledList, frames: Sequence[MeshFrame], *, version: int, inner_tagged: bool) -> Totals:
    known = {each.id for each in compiled.filters}
    totals: Totals = dict.fromkeys((each.id for each in compiled.filters), (0, 0))
    for frame in frames:
        for each in matching(frame.kind, known, version=version, inner_tagged=inner_tagged):
            packets, size = totals[each]
            totals[each] = packets + 1, size + len(frame.data)
    return totals


def differing(got: Totals, wanted: Totals) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """(got, wanted) where they differ."""
    assert got.keys() == wanted.keys()
    return {each: (got[each], wanted[each]) for each in wanted if got[each] != wanted[each]}


@pytest.fixture(scope="module")
def gluon() -> CompiledList:
    return compile_list(real_lists()[NAME])


def traffic(version: int, inner_vlans: Sequence[int]) -> list[MeshFrame]:
    mixes = [
        mix(4000, version=version, inner_vlans=inner_vlans, seed=seed)
        for mix in (overhead_mix, payload_mix)
        for seed in (7, 8)
    ]
    return [frame for mix in mixes for frame in mix]


CASES = pytest.mark.parametrize(("version", "inner_vlans"), [(15, ()), (14, ()), (15, (200,))])


@needs_data
@CASES
def test_the_interpreter_finds_what_is_known(
    gluon: CompiledList, version: int, inner_vlans: Sequence[int]
) -> None:
    frames = traffic(version, inner_vlans)
    totals: Totals = dict.fromkeys((each.id for each in gluon.filters), (0, 0))
    for frame in frames:
        for position in gluon.match(frame.data):
            packets, size = totals[gluon.filters[position].id]
            totals[gluon.filters[position].id] = packets + 1, size + len(frame.data)
    assert differing(totals, truth(gluon, frames, version=version, inner_tagged=bool(inner_vlans))) == {}


@needs_data
@pytest.mark.kernel
@pytest.mark.parametrize("hook", HOOKS)
@CASES
def test_the_kernel_counts_what_is_known(
    gluon: CompiledList, hook: Hook, version: int, inner_vlans: Sequence[int]
) -> None:
    frames = traffic(version, inner_vlans)
    program = count_program(gluon, hook, DIRECTION[hook]).load()
    for frame in frames:
        assert len(frame.data) <= LONGEST_XDP
        program.test_run(PREFIX[hook] + frame.data)
    counted = read_counters(program.maps[COUNTERS].mmap(), Layout.of(gluon))
    assert not any(counted.missed.values())
    wanted = truth(gluon, frames, version=version, inner_tagged=bool(inner_vlans))
    assert differing(dict(zip(wanted, counted.filters, strict=True)), wanted) == {}


@needs_data
def test_an_outer_tag_hides_the_packet_from_a_list_without_vlan(gluon: CompiledList) -> None:
    assert not any(gluon.match(frame.data) for frame in overhead_mix(500, vlans=(100,)))


@needs_data
def test_every_filter_that_the_traffic_can_reach_is_reached(gluon: CompiledList) -> None:
    """The truth is not empty: all families, scopes and `OTHER` rules have counts."""
    totals = truth(gluon, traffic(15, ()), version=15, inner_tagged=False)
    counted = {each for each, (packets, _) in totals.items() if packets}
    assert len(counted) > 150
    assert {"BAT:BAT-OTHER", "BAT:BAT-BCAST:OTHER", "BAT:BAT-UCAST_TVLV:OTHER"} <= counted
    assert {each for each in counted if each.endswith("ARP:REP:OTHER")} >= {
        "ARP:REP:OTHER",
        "BAT:BAT-UCAST:ARP:REP:OTHER",
    }


@needs_data
@pytest.mark.parametrize("direction", ["", "inbound and ", "outbound and "])
def test_behind_a_prefilter_each_filter_counts_what_both_match(compare: Compare, direction: str) -> None:
    prefilter = f"{direction}({PREFILTER})"
    compiled = compile_list(replace(real_lists()[NAME], prefilter=prefilter))
    before, behind = Oracle([prefilter]), Oracle([each.expression for each in compiled.filters])
    frames = (*mesh_mixes(), *tagged_frames(clients()[:8], seed=1))
    samples = tuple(dict.fromkeys((*frames, *damaged(frames[::3], seed=2))))

    def answer(sample: Sample) -> int:
        return behind.answer(sample) if before.answer(sample) else 0

    assert compare(compiled, samples, answer).complaint("interpreter", *HOOKS) == ""
