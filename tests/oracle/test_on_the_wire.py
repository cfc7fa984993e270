"""Frames through real skbs: with the tag in the metadata, with most bytes outside the linear part."""

import contextlib
import mmap
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import pytest

from meshlens.ebpf.attach import attach_socket, attach_tc
from meshlens.ebpf.link import Link
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.probes.count.program import Hook
from meshlens.probes.snapshot import Direction
from tests.kernel.conftest import NetNs, NetNsPair, make_netns_pair
from tests.oracle.corpus import Sample, captured, clients, mesh_mixes
from tests.oracle.expressions import sections
from tests.oracle.judges import Kernel, Slots, as_list, join
from tests.oracle.mesh_frames import tagged_frames

pytestmark = pytest.mark.root

MTU = 9000
SOL_PACKET = 263
FRAMES = 1200
#: Sections of expressions that have to do with what is special about these frames. Programs for a socket are
#: limited to net.core.optmem_max bytes (sk_filter_charge(), net/core/filter.c).
PLAIN = ("ethernet", "vlan", "length", "far offsets")
PLAIN_TC = (*PLAIN, "mpls", "offsets that depend on the frame", "negations")
SCOPED = ("inside", "vlan", "length", "hook")
#: Until then a frame that was sent has been counted.
PATIENCE_S = 2.0

Send = Callable[[bytes], object]


@pytest.fixture(scope="module")
def wire() -> Iterator[NetNsPair]:
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    with make_netns_pair() as pair:
        for ns in pair:
            ns.shell("ip", "link", "set", "veth0", "mtu", str(MTU))
        yield pair


@pytest.fixture(autouse=True)
def one_cpu() -> Iterator[None]:
    """What a frame causes happens on the CPU that sends it; see oracle.judges.Kernel."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module", params=["tc", "socket"])
def hook(request: pytest.FixtureRequest) -> Hook:
    return cast("Hook", request.param)


@pytest.fixture(scope="module")
def filters(hook: Hook) -> CompiledList:
    plain, scoped = sections("expressions.txt"), sections("scoped.txt")
    names = PLAIN_TC if hook == "tc" else PLAIN
    expressions = [*(plain[name] for name in names), *(scoped[name] for name in SCOPED)]
    return join([compile_list(as_list(each)) for each in expressions])


@pytest.fixture(scope="module")
def frames() -> Sequence[bytes]:
    """Frames with and without tags, none so short that the kernel drops it before tc."""
    sorts = [mesh_mixes(), captured(), tuple(tagged_frames(clients()[:6], seed=1))]
    rng = random.Random(2)
    samples = [sample for sort in sorts if sort for sample in rng.sample(sort, FRAMES // len(sorts))]
    long = [data.ljust(8000, b"\1") for data, _ in rng.sample(samples, 20)]
    return [data for data in (*(sample.data for sample in samples), *long) if 60 <= len(data) <= MTU]


def plain_sender(ns: NetNs) -> socket.socket:
    def make() -> socket.socket:
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind((ns.ifname, 0))
        return sender

    return ns.run(make)


class RingSender:
    """Sends from a ring in memory (packet(7), PACKET_TX_RING): only the Ethernet header becomes linear."""

    FRAME_BYTES, FRAMES = 16384, 8
    PACKET_TX_RING, PACKET_VERSION, TPACKET_V2 = 13, 10, 1
    SEND_REQUEST = 1
    DATA_OFFSET = 32  # TPACKET2_HDRLEN - sizeof(struct sockaddr_ll)

    def __init__(self, ns: NetNs) -> None:
        self.socket, self.number = plain_sender(ns), 0
        self.socket.setsockopt(SOL_PACKET, self.PACKET_VERSION, self.TPACKET_V2)
        block = self.FRAME_BYTES * self.FRAMES
        request = struct.pack("=4I", block, 1, self.FRAME_BYTES, self.FRAMES)
        self.socket.setsockopt(SOL_PACKET, self.PACKET_TX_RING, request)
        self.ring = mmap.mmap(self.socket.fileno(), block)

    def send(self, data: bytes) -> None:
        at = self.number % self.FRAMES * self.FRAME_BYTES
        self.number += 1
        self.ring[at + self.DATA_OFFSET : at + self.DATA_OFFSET + len(data)] = data
        struct.pack_into("=2I", self.ring, at, self.SEND_REQUEST, len(data))
        self.socket.send(b"")

    def close(self) -> None:
        self.ring.close()
        self.socket.close()


def expect(
    kernel: Kernel, send: Send, slots: Callable[[bytes], Iterable[int]], frames: Sequence[bytes]
) -> None:
    """Send one frame after the other, each when the one before has been counted as foretold."""
    for data in frames:
        places = kernel.foretell(slots(data), len(data))
        send(data)
        deadline = time.monotonic() + PATIENCE_S
        while not kernel.agree(places):
            assert time.monotonic() < deadline, f"{len(data)} bytes {data.hex()}"
            time.sleep(0.0005)
    assert kernel.end() == ""


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "mostly not linear"])
@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_real_skb_is_counted_as_its_frame_on_the_wire(
    wire: NetNsPair,
    filters: CompiledList,
    frames: Sequence[bytes],
    hook: Hook,
    direction: Direction,
    linear: bool,
) -> None:
    """Coming in, the kernel has put the outer tag into the metadata; going out, it stands in the bytes."""
    side = wire.far if direction == "in" else wire.near
    kernel, interpreter = Kernel(filters, hook, direction), Slots(filters)
    ifindex, way = side.ifindex, int(direction == "out")

    def slots(data: bytes) -> list[int]:
        return interpreter.of(Sample(data, len(data)), direction=way, ifindex=ifindex)

    def attach() -> Link:
        if hook == "socket":
            return attach_socket(kernel.program, ifindex)
        return attach_tc(kernel.program, ifindex, "ingress" if direction == "in" else "egress")

    sender: RingSender | socket.socket = plain_sender(wire.near) if linear else RingSender(wire.near)
    with contextlib.closing(sender), side.run(attach):
        expect(kernel, sender.send, slots, frames)
