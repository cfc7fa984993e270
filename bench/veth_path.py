"""What payload pays on its way through a veth pair, with 580 filters at tc on its way out and its way in.

Against nothing, and against an empty program at both hooks. Each frame passes both, out of one namespace
into the other, and is counted twice. UDP goes the whole way, from socket to socket. TCP in batman-adv unicast
goes half of it, from a packet socket to where the stack drops it, since batman-adv is not here to take it.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

from bench.inputs import GLUON, compiled, payload
from bench.measure import samples
from bench.network import Namespace, Receiver, Sender, joined
from bench.programs import ListCounter, empty_program
from bench.report import Figure
from meshlens.ebpf import Program, attach_tcx
from meshlens.ebpf.clsact import Side

_BATCH, _BATCHES = 64, 100
_DATAGRAM = bytes(1400)
_NEAR, _FAR = "192.0.2.1", "192.0.2.2"  # RFC 5737
_PORT = 5001

_SIDES: tuple[Side, Side] = ("egress", "ingress")

Send = Callable[[], None]  # sends a batch of frames, and has them received


def figures(quick: bool) -> Iterator[Figure]:
    counters = [ListCounter.of(compiled(GLUON)) for _ in range(2)]  # one for each interface
    empty = [empty_program("tc") for _ in range(2)]
    with joined() as ends:
        near, far = ends
        ways = (("UDP", _udp(near, far), 3), ("TCP in batman-adv unicast, half the way", _batadv(near), None))
        for name, send, limit in ways:
            ours = [counter.program for counter in counters]
            actions = [_ns_a_frame(ends, send, programs) for programs in ([], empty, ours)]
            nothing, without, counting = samples(actions, 10 if quick else 100)
            yield Figure(f"{name}: a frame, no program", median(nothing), "ns")
            yield Figure(f"{name}: with empty programs", _percent(without, nothing), "% more")
            yield Figure(f"{name}: with 580 filters", _percent(counting, nothing), "% more")
            more = _percent(counting, without)
            yield Figure(f"{name}: 580 filters against empty programs", more, "% more", at_most=limit)
    for counter in counters:
        counter.check()


def _percent(some: list[float], base: list[float]) -> float:
    """How much more `some` is than `base`, the median over the turns."""
    return 100 * (median(one / other for one, other in zip(some, base, strict=True)) - 1)


def _ns_a_frame(
    ends: tuple[Namespace, Namespace], send: Send, programs: list[Program]
) -> Callable[[], float]:
    """With a program at the near end's way out, another at the far end's way in."""

    def action() -> float:
        with ExitStack() as attached:
            for namespace, program, side in zip(ends, programs, _SIDES, strict=False):
                with namespace.inside():
                    attached.enter_context(attach_tcx(program, socket.if_nametoindex("veth0"), side))
            send()
            return median(_timed(send) for _ in range(_BATCHES)) / _BATCH

    return action


def _timed(send: Send) -> int:
    """Nanoseconds of one batch: so short that others seldom get the CPU meanwhile."""
    begin = time.perf_counter_ns()
    send()
    return time.perf_counter_ns() - begin


def _udp(near: Namespace, far: Namespace) -> Send:
    for namespace, address in ((near, _NEAR), (far, _FAR)):
        namespace.ip("address", "add", f"{address}/24", "dev", "veth0")
    with far.inside():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((_FAR, _PORT))
    with near.inside():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect((_FAR, _PORT))
    out, in_ = Sender(sender, [_DATAGRAM] * _BATCH), Receiver(receiver, _BATCH, len(_DATAGRAM))

    def send() -> None:
        out.send()
        in_.receive()

    return send


def _batadv(near: Namespace) -> Send:
    frames = [frame.data for frame in payload() if frame.kind.startswith("unicast/tcp")]
    return Sender.on(near, "veth0", (frames * _BATCH)[:_BATCH]).send
