"""What `meshlens flows` costs: a frame alone in the program, and on its way through a veth pair.

The way is that of small UDP datagrams, out of a packet socket in one namespace and through the stack into a
socket of the other. A watched end has the programs in both directions, and a frame passes one of them.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from statistics import fmean, median

from bench.inputs import by_kind, payload
from bench.measure import difference, ns_by_kind, samples
from bench.network import Namespace, Receiver, Sender, joined
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.packet import craft
from meshlens.probes.flow_maps import FlowOptions
from meshlens.probes.flow_program import flow_program
from meshlens.probes.flow_stream import compile_filter
from meshlens.probes.flows import LiveFlows
from meshlens.probes.interfaces import list_interfaces

_BATCH, _WARMING, _BATCHES = 64, 32, 600
_SETTLE_S = 0.05  # what loading and freeing programs leaves for the kernel to do
_NEAR, _FAR = "192.0.2.1", "192.0.2.2"  # RFC 5737
_PORT = 5001
_FRAMES = {"TCP": "client/tcp", "UDP": "client/udp"}
_FILTER = "tcp or udp"


def figures(quick: bool) -> Iterator[Figure]:
    yield from _alone(quick)
    with joined() as ends:
        for namespace, address in zip(ends, (_NEAR, _FAR), strict=True):
            namespace.ip("address", "add", f"{address}/24", "dev", "veth0")
        for flows in (1, 1_000):
            yield from _on_the_way(ends, flows, 8 if quick else 30)


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


def _on_the_way(ends: tuple[Namespace, Namespace], flows: int, turns: int) -> Iterator[Figure]:
    send = _udp(ends, flows)
    actions = [_ns_a_frame(watched, send) for watched in ((), ends[1:], ends)]
    nothing, one, both = samples(actions, turns)
    yield Figure(f"{flows:,} flows: packets a second, nothing attached", 1e9 / median(nothing), "")
    yield Figure(f"{flows:,} flows: rate with one end watched", _percent(nothing, one), "%", at_least=85)
    yield Figure(f"{flows:,} flows: rate with both ends watched", _percent(nothing, both), "%", at_least=85)


def _percent(nothing: list[float], watched: list[float]) -> float:
    """The packet rate that is left, the median over the turns."""
    return 100 * median(base / ours for base, ours in zip(nothing, watched, strict=True))


def _ns_a_frame(watched: Sequence[Namespace], send: Callable[[], None]) -> Callable[[], float]:
    """A frame's way, while the flows at these ends are watched."""

    def action() -> float:
        with ExitStack() as attached:
            watching = []
            for namespace in watched:
                with namespace.inside():
                    stream = LiveFlows(["veth0"], "", FlowOptions(), None)
                    watching.append(attached.enter_context(stream))
            time.sleep(_SETTLE_S)
            for _ in range(_WARMING):
                send()
            begin = time.perf_counter_ns()
            for _ in range(_BATCHES):
                send()
            taken = (time.perf_counter_ns() - begin) / (_BATCHES * _BATCH)
            for stream in watching:
                counted = sum(flow.packets for flow in stream.finish())
                assert counted == (_BATCHES + _WARMING) * _BATCH, "not every frame was seen"
                assert not any(stream.missed.values()), stream.missed
            return taken

    return action


def _udp(ends: tuple[Namespace, Namespace], flows: int) -> Callable[[], None]:
    """What sends a batch of datagrams of so many flows, and has them received."""
    near, far = ends
    with far.inside():
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.bind((_FAR, _PORT))
        (mac,) = (each.mac for each in list_interfaces() if each.name == "veth0")
    packets = (craft.udp(_NEAR, _FAR, 10_000 + number, _PORT, bytes(18)) for number in range(flows))
    frames = [craft.ip_frame("02:00:00:00:00:01", packet, mac) for packet in packets]
    frames = (frames * _BATCH)[: max(flows, _BATCH) // _BATCH * _BATCH]
    senders = [Sender.on(near, "veth0", frames[at : at + _BATCH]) for at in range(0, len(frames), _BATCH)]
    receiver, turn = Receiver(link, _BATCH, 64), 0

    def send() -> None:
        nonlocal turn
        senders[turn % len(senders)].send()
        receiver.receive()
        turn += 1

    return send
