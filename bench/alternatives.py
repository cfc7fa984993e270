"""Gluon's 580 filters against what else the kernel can do with them: a filter at a time.

Straight eBPF: the same filters one after another in one program. Sockets: one packet socket a filter, each
with its classic BPF program, which nobody reads (PACKET_STATISTICS counts). All count the same frames alike;
that is checked.
"""

import ctypes
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import fmean

from bench.flat import flat_cbpf
from bench.inputs import GLUON, by_kind, compiled, overhead
from bench.measure import difference, in_turns, ns_by_kind
from bench.network import Namespace, Sender, joined
from bench.programs import ListCounter, empty_program
from bench.report import Figure
from bench.straight import StraightCounter
from meshlens.ebpf import Program, attach_tcx
from meshlens.filters.pcap import CbpfInsn

_ETH_P_ALL, _SOL_PACKET, _PACKET_STATISTICS = 3, 263, 6
_SO_ATTACH_FILTER = 26


def figures(quick: bool) -> Iterator[Figure]:
    programs = [flat_cbpf(each.expression) for each in compiled(GLUON).filters]
    yield from _straight(programs)
    yield from _sockets(programs, quick)


def _straight(programs: Sequence[Sequence[CbpfInsn]]) -> Iterator[Figure]:
    """In BPF_PROG_TEST_RUN at tc, mean over the kinds of the overhead mix."""
    ours, straight, kinds = ListCounter.of(compiled(GLUON)), StraightCounter(programs), by_kind(overhead())
    for frame in (frame for frames in kinds.values() for frame in frames):
        ours.program.test_run(frame)
        straight.program.test_run(frame)
    assert straight.packets() == [packets for packets, _ in ours.read().filters], "they count differently"
    some = {kind: frames[:1] for kind, frames in kinds.items()}
    one, other, empty = ns_by_kind([ours.program, straight.program, empty_program("tc")], some, quick=True)
    above, straight_above = (fmean(difference(each, empty).values()) for each in (one, other))
    yield Figure("meshlens, above an empty program", above, "ns")
    yield Figure("straight eBPF, above an empty program", straight_above, "ns")
    yield Figure("meshlens against straight eBPF", straight_above / above, "x faster", at_least=10)


def _sockets(programs: Sequence[Sequence[CbpfInsn]], quick: bool) -> Iterator[Figure]:
    """Frames of the overhead mix through veth pairs: on one nobody or meshlens looks, on one the sockets."""
    frames = [frame.data for frame in overhead()[: 200 if quick else 500]]
    ours = ListCounter.of(compiled(GLUON))
    with joined(pairs=2) as (near, far), ExitStack() as opened:
        one, other = (Sender.on(near, name, frames) for name in ("veth0", "veth1"))
        sockets = [_socket(far, "veth1", program) for program in programs]
        opened.callback(_close, sockets)
        passing, counting = _ns_a_frame(one), _ns_a_frame(one, far, ours.program)
        turns = 5 if quick else 20
        nothing, counted, filtered = in_turns([passing, counting, _ns_a_frame(other)], turns)
        packets = [packets for packets, _ in ours.read().filters]
        assert [_packets(each) for each in sockets] == packets, "they count differently"
        nothing, counted = in_turns([passing, counting], 10 * turns)
    above, sockets_above = counted - nothing, filtered - nothing
    yield Figure("a frame through a veth pair, nobody looks", nothing, "ns")
    yield Figure("meshlens, above that, hook included", above, "ns")
    yield Figure("580 sockets, above that", sockets_above, "ns")
    yield Figure("meshlens against one socket a filter", sockets_above / above, "x faster", at_least=50)
    yield Figure("meshlens against one socket a filter, whole path", filtered / counted, "x faster")


def _ns_a_frame(
    sender: Sender, far: Namespace | None = None, program: Program | None = None
) -> Callable[[], float]:
    """Nanoseconds to send a frame and have it received, with `program` at the far end's tc."""

    def action() -> float:
        with ExitStack() as attached:
            if far and program:
                with far.inside():
                    attached.enter_context(attach_tcx(program, socket.if_nametoindex("veth0"), "ingress"))
            sender.send()  # warms the caches, which the sockets have filled with theirs
            begin = time.perf_counter_ns()
            sender.send()
            return (time.perf_counter_ns() - begin) / sender.count

    return action


def _socket(namespace: Namespace, interface: str, program: Sequence[CbpfInsn]) -> socket.socket:
    """A packet socket with a filter and hardly any room, so that what it would keep is dropped at once."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    code = b"".join(struct.pack("=HBBI", *insn) for insn in program)
    with namespace.inside():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    buffer = ctypes.create_string_buffer(code, len(code))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    program_of = struct.pack("@HP", len(program), ctypes.addressof(buffer))  # struct sock_fprog
    packets.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program_of)
    packets.bind((interface, _ETH_P_ALL))
    return packets


def _close(sockets: Sequence[socket.socket]) -> None:
    """Close them at once: each waits for all CPUs (synchronize_net()), and they can wait together."""
    with ThreadPoolExecutor(len(sockets)) as pool:
        for each in sockets:
            pool.submit(each.close)


def _packets(packets: socket.socket) -> int:
    """How many frames passed the filter, kept or not (struct tpacket_stats)."""
    passed, _dropped = struct.unpack("=II", packets.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(passed)
