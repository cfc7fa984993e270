"""The flow program at each of its hooks does what the Python definition says."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from meshlens.ebpf import Program
from meshlens.packet import craft
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.flows.layout import FLOWS, Fragment, Key
from meshlens.probes.flows.maps import OUTCOMES, TALLY, FlowOptions, read_tally
from meshlens.probes.flows.packet import NotIp, Unreadable, flow_packet
from meshlens.probes.flows.program import Clock, Hook, flow_program
from meshlens.probes.flows.stream import compile_filter

pytestmark = [pytest.mark.root, pytest.mark.kernel]

HOOKS: tuple[Hook, ...] = ("tc", "xdp", "socket")
NEVER_ENDING = FlowOptions(idle_ns=1 << 62, active_ns=0)
#: BPF_PROG_TEST_RUN takes the first 14 bytes away from a socket filter (net/bpf/test_run.c).
PREFIX = {"tc": b"", "xdp": b"", "socket": bytes(14)}
#: Not in the time module (include/uapi/linux/time.h).
CLOCK_MONOTONIC_COARSE = 6
Sums = Counter[tuple[Key, int, str]]


def frames() -> list[bytes]:
    """A mesh's frames, some of them cut at every place, and IPv6 with extension headers."""
    whole = [frame.data for frame in [*payload_mix(300), *overhead_mix(300)]]
    kinds = {len(data): data for data in whole}
    cut = [data[:size] for data in list(kinds.values())[:12] for size in range(15, min(len(data), 140), 3)]
    return [*whole, *extended(), *filter(can_be_run, cut)]


def can_be_run(data: bytes) -> bool:
    """BPF_PROG_TEST_RUN refuses skbs of IP that end in the IP header."""
    headers = {0x0800: 34, 0x86DD: 54}
    return len(data) >= headers.get(int.from_bytes(data[12:14]), 15)


def extended() -> list[bytes]:
    options = bytes([44, 1]) + bytes(14)
    fragments = [bytes([17, 0, *offset.to_bytes(2)]) + bytes(4) for offset in (0, 1, 8)]
    packets = [
        craft.ip("fe80::1", "fe80::2", 0, options + each + b"\x14\xe9\0\x35" * 4) for each in fragments
    ]
    return [craft.ip_frame("02:00:00:00:00:01", packet, "02:00:00:00:00:02") for packet in packets]


def defined(data: list[bytes]) -> tuple[Sums, Counter[str]]:
    """Packets, bytes and flags of each flow and way, and what became of all frames, by the definition."""
    sums, outcomes = Sums(), Counter[str]()
    for each in data:
        try:
            packet = flow_packet(each)
        except (NotIp, Unreadable) as error:
            outcomes["not_ip" if isinstance(error, NotIp) else "unreadable"] += 1
            continue
        outcomes["flow"] += 1
        sums[packet.key, packet.way, "packets"] += 1
        sums[packet.key, packet.way, "bytes"] += len(each)
        sums[packet.key, packet.way, "flags"] |= packet.flags
    return +sums, outcomes


def done(program: Program, data: list[bytes], prefix: bytes) -> tuple[Sums, Counter[str]]:
    """The same, by the program."""
    for each in data:
        program.test_run(prefix + each)
    sums = Sums()
    values = dict(program.maps[FLOWS].items()).values()  # one for each CPU that we ran on
    for value in values:
        entry = Fragment.unpack(value)
        for way in (0, 1):
            sums[entry.key, way, "packets"] += entry.packets[way]
            sums[entry.key, way, "bytes"] += entry.sizes[way]
            sums[entry.key, way, "flags"] |= entry.flags[way]
    with program.maps[TALLY].mmap() as tally:
        return +sums, +Counter(read_tally(tally))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("clock", ["tick", "exact"])
@pytest.mark.parametrize("head", [0, 8])
def test_a_program_finds_the_flows_of_the_definition_at_every_hook(
    hook: Hook, clock: Clock, head: int
) -> None:
    data, options = frames(), replace(NEVER_ENDING, head=head)
    with flow_program(options, "in", hook=hook, clock=clock).load() as program:
        sums, outcomes = done(program, data, PREFIX[hook])
    expected, expected_outcomes = defined(data)
    assert outcomes == expected_outcomes
    assert sum(outcomes.values()) == len(data)
    assert set(outcomes) == set(OUTCOMES[:3])
    assert {key.version for key, _, _ in sums} == {4, 6, 0x14, 0x16}
    assert sums == expected


@pytest.mark.parametrize("hook", HOOKS)
def test_at_every_hook_only_what_the_filter_matches_is_in_a_flow(hook: Hook) -> None:
    expression = "(batadv 15 unicast and tcp) or (ip6 and udp)"
    compiled = compile_filter(expression, 1)
    assert compiled
    data = [each for each in frames() if len(each) > 80]
    with flow_program(NEVER_ENDING, "in", hook=hook, compiled=compiled).load() as program:
        sums, outcomes = done(program, data, PREFIX[hook])
    matched = [each for each in data if compiled.match(each, direction=0)]
    assert 0 < len(matched) < len(data)
    assert (sums, outcomes) == defined(matched)


def test_packets_of_the_head_have_exact_times_and_later_ones_that_of_the_last_tick(one_cpu: None) -> None:
    udp = craft.ip_frame(
        "02:00:00:00:00:01", craft.udp("10.9.0.1", "10.9.0.2", 1, 2, bytes(20)), "02:00:00:00:00:02"
    )
    with flow_program(NEVER_ENDING, "in").load() as program:
        before_ns = time.monotonic_ns()
        program.test_run(udp, repeat=8)
        head = only_entry(program)
        assert before_ns < head.first_ns < head.last_ns < time.monotonic_ns()
        times = [kept.time_ns for kept in head.head]
        assert times == sorted(set(times))
        while (before_ns := time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)) <= head.last_ns:
            time.sleep(0.001)
        program.test_run(udp)
        assert before_ns <= only_entry(program).last_ns <= time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Each CPU has entries of its own."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def only_entry(program: Program) -> Fragment:
    (value,) = dict(program.maps[FLOWS].items()).values()
    return Fragment.unpack(value)
