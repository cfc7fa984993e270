"""CPUs that write at the same time leave one stream in strict order of time, and lose nothing unseen."""

import os
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from meshlens.ebpf import Program
from meshlens.probes.capture.frame import CapturePoint, frame_at
from meshlens.probes.capture.program import capture_program
from meshlens.probes.capture.ring import CHUNK_BYTES, CaptureRing

pytestmark = [pytest.mark.root, pytest.mark.kernel]

FRAME = bytes(range(64))
EACH = 200_000


@pytest.fixture(params=[4])
def ring(request: pytest.FixtureRequest) -> Iterator[CaptureRing]:
    """A ring of so many chunks."""
    made = CaptureRing(interfaces=2, snapshot_bytes=128, buffer_bytes=request.param * CHUNK_BYTES)
    yield made
    made.close()


def loaded(ring: CaptureRing, interface: int = 0, point: CapturePoint = "tc-in") -> Program:
    return capture_program(ring.layout, None, frame_at(point), interface).load(ring.maps)


def run_on(cpu: int, program: Program) -> None:
    os.sched_setaffinity(0, {cpu})
    program.test_run(FRAME, repeat=EACH)


def blocks(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(interface, time in ns, the whole block) of each."""
    at = 0
    while at < len(stream):
        kind, length, interface, high, low = struct.unpack_from("=5I", stream, at)
        assert kind == 6
        assert struct.unpack_from("=I", stream, at + length - 4) == (length,)
        yield interface, high << 32 | low, stream[at : at + length]
        at += length


@pytest.mark.parametrize("ring", [64], indirect=True)
def test_cpus_share_the_ring_in_strict_order_of_time(ring: CaptureRing) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    pieces: list[bytes] = []
    with ThreadPoolExecutor(2) as threads, loaded(ring, 0) as one, loaded(ring, 1, "tc-out") as other:
        runs: list[Future[None]] = [
            threads.submit(run_on, cpu, program) for cpu, program in zip(cpus[:2], (one, other), strict=True)
        ]
        while not all(run.done() for run in runs):
            pieces += map(bytes, ring.pieces())
        for run in runs:
            run.result()
    pieces += map(bytes, ring.pieces())
    assert ring.drained
    found = list(blocks(b"".join(pieces)))
    counts = ring.counts()
    assert [(each.captured, each.dropped) for each in counts] == [(EACH, 0)] * 2
    for number in (0, 1):
        assert sum(interface == number for interface, _, _ in found) == EACH
    times = [time for _, time, _ in found]
    assert times == sorted(times)
    assert all(FRAME in block for _, _, block in found)


def test_a_full_ring_drops_and_the_next_frame_tells_how_many(ring: CaptureRing) -> None:
    with loaded(ring) as program:
        program.test_run(FRAME, repeat=100_000)
        full = ring.counts()[0]
        assert full.captured + full.dropped == 100_000
        assert full.dropped > 0
        assert full.reported == 0
        cpu = os.sched_getaffinity(0)
        try:
            before = b"".join(map(bytes, ring.pieces()))
            for each in cpu:  # a CPU tells what it dropped itself
                os.sched_setaffinity(0, {each})
                program.test_run(FRAME)
        finally:
            os.sched_setaffinity(0, cpu)
    assert len(list(blocks(before))) == full.captured
    after = [block for _, _, block in blocks(b"".join(map(bytes, ring.pieces())))]
    told = [block[i + 4 : i + 12] for block in after if (i := block.find(struct.pack("=HH", 4, 8))) >= 0]
    assert sum(struct.unpack("=Q", each)[0] for each in told) == full.dropped
    assert ring.counts()[0].reported == full.dropped


def test_a_chunk_ends_where_its_last_block_does(ring: CaptureRing) -> None:
    with loaded(ring) as program:
        program.test_run(FRAME, repeat=20_000)
    pieces = [bytes(piece) for piece in ring.pieces()]
    assert len(pieces) == 3
    assert all(len(list(blocks(piece))) > 1 for piece in pieces)


def test_nothing_is_lost_or_told_twice_around_the_end_of_the_ring(ring: CaptureRing) -> None:
    stream = b""
    with loaded(ring) as program:
        for _ in range(12):
            program.test_run(FRAME, repeat=10_000)
            stream += b"".join(map(bytes, ring.pieces()))
    assert len(stream) > 3 * 4 * CHUNK_BYTES
    times = [time for _, time, _ in blocks(stream)]
    assert len(times) == ring.counts()[0].captured == 120_000
    assert times == sorted(times)
