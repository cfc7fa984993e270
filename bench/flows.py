"""What `meshlens flows` costs: a frame alone in the program, and on its way through a veth pair.

The way is that of small UDP datagrams, out of a packet socket in one namespace and through the stack into a
socket of the other. Watched are both ends, with programs in both directions; a frame passes one direction of
each. Before the time is taken, all flows have had their first packets, those that are kept one by one. Beside
it a design that sends an event for every packet, for which nobody pays who would add them up.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import fmean, median
from typing import Protocol

from bench.datagrams import BATCH, Datagrams
from bench.events import emptied, event_program, lost
from bench.inputs import by_kind, payload
from bench.measure import difference, ns_by_kind, samples
from bench.network import Namespace, joined
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.ebpf import attach_tcx
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.program import flow_program
from meshlens.probes.flows.session import LiveFlows
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.stations.session import stations

_BATCHES = 600
_SETTLE_S = 0.05  # what loading and freeing programs leaves for the kernel to do
_FRAMES = {"TCP": "client/tcp", "UDP": "client/udp", "TCP in batman-adv": "unicast/tcp"}
_FILTER = "tcp or udp"
_OPTIONS = FlowOptions()


class Watch(Protocol):
    """Watch a namespace until the stack is closed; what is returned checks in the end how many were seen."""

    def __call__(self, namespace: Namespace, attached: ExitStack) -> Callable[[int], None]: ...


def figures(quick: bool) -> Iterator[Figure]:
    yield from _alone(quick)
    with joined() as ends:
        datagrams = Datagrams(ends)
        for flows in (1, 1_000, 100_000):
            turns = (4 if quick else 30) if flows <= 1_000 else (1 if quick else 5)
            yield from _on_the_way(datagrams, flows, turns)


def _alone(quick: bool) -> Iterator[Figure]:
    """Nanoseconds a frame in BPF_PROG_TEST_RUN."""
    options = FlowOptions()
    filtered = flow_program(options, "in", compiled=compile_filter(_FILTER, 1))
    programs = [load(flow_program(options, "in")), load(filtered), empty_program("tc")]
    for name, kind in _FRAMES.items():
        *ours, empty = ns_by_kind(programs, by_kind(payload(), kind), quick=quick)
        plain, filtering = (fmean(difference(each, empty).values()) for each in ours)
        yield Figure(f"{name}, above an empty program", plain, "ns", at_most=60)
        yield Figure(f"{name}, behind the filter '{_FILTER}'", filtering, "ns")


def _on_the_way(datagrams: Datagrams, flows: int, turns: int) -> Iterator[Figure]:
    datagrams.prepare(flows)
    near, far = datagrams.ends
    watch = _flows if flows < _OPTIONS.max_flows else _many_flows
    rows: tuple[tuple[str, Sequence[Namespace], Sequence[Watch], int | None], ...] = (
        ("flows at one end", (far,), (watch,), 85),
        ("flows at both ends", (near, far), (watch,), 85),
        ("flows and stations at one end", (far,), (watch, _stations), 85),
        ("flows and stations at both ends", (near, far), (watch, _stations), None),
        ("an event for every packet, at both ends", (near, far), (_events,), None),
    )
    actions = [_ns_a_frame(datagrams, ends, watches) for _, ends, watches, _ in rows]
    actions.insert(0, _ns_a_frame(datagrams, (), ()))
    nothing, *watched = samples(actions, turns)
    yield Figure(f"{flows:,} flows: packets a second, nothing attached", 1e9 / median(nothing), "")
    for (name, _, _, target), ours in zip(rows, watched, strict=True):
        kept = 100 * median(base / each for base, each in zip(nothing, ours, strict=True))
        at_least = target if flows == 1_000 else None
        yield Figure(f"{flows:,} flows: rate with {name}", kept, "%", at_least=at_least)


def _ns_a_frame(
    datagrams: Datagrams, namespaces: Sequence[Namespace], watches: Sequence[Watch]
) -> Callable[[], float]:
    """A frame's way, while these namespaces are watched so."""

    def action() -> float:
        with ExitStack() as attached:
            checks = [watch(namespace, attached) for namespace in namespaces for watch in watches]
            time.sleep(_SETTLE_S)
            before = datagrams.sent
            for _ in range(_OPTIONS.head + 1):
                datagrams.send_all_flows()
            taken_ns = median(_timed(datagrams) for _ in range(max(_BATCHES, datagrams.batches)))
            for check in checks:
                check(datagrams.sent - before)
            return taken_ns / BATCH

    return action


def _timed(datagrams: Datagrams) -> int:
    """Nanoseconds of one batch: so short that others seldom get the CPU meanwhile."""
    begin = time.perf_counter_ns()
    datagrams.send()
    return time.perf_counter_ns() - begin


def _flows(
    namespace: Namespace, attached: ExitStack, options: FlowOptions = _OPTIONS
) -> Callable[[int], None]:
    with namespace.inside():
        stream = attached.enter_context(LiveFlows(["veth0"], "", options, None))

    def check(sent: int) -> None:
        assert sum(flow.packets for flow in stream.finish()) == sent, "not every frame was seen"
        assert not any(stream.missed.values()), stream.missed

    return check


def _many_flows(namespace: Namespace, attached: ExitStack) -> Callable[[int], None]:
    return _flows(namespace, attached, replace(_OPTIONS, max_flows=1 << 17))


def _stations(namespace: Namespace, attached: ExitStack) -> Callable[[int], None]:
    with namespace.inside():
        session = attached.enter_context(stations("veth0"))

    def check(sent: int) -> None:
        counted = sum(station.in_packets + station.out_packets for station in session.stations())
        assert counted == sent, f"{counted} of {sent} frames were seen"
        assert not any(session.missed.values()), session.missed

    return check


def _events(namespace: Namespace, attached: ExitStack) -> Callable[[int], None]:
    into = event_program()
    out = event_program(into.maps)
    with namespace.inside():
        for program, side in ((into, "ingress"), (out, "egress")):
            attached.enter_context(attach_tcx(program, namespace.ifindex("veth0"), side))  # type: ignore[arg-type]
    attached.enter_context(emptied(into))

    def check(sent: int) -> None:
        assert lost(into) < sent // 100, "the ring was not emptied in time"

    return check
