"""Every record sent arrives once, whole and in order, around the ring's end and past discarded ones."""

import struct
import sys
from collections.abc import Iterator

import pytest

from meshlens.ebpf import (
    R0,
    R1,
    R6,
    R7,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    RingBuffer,
    Skb,
)  # fmt: skip
from meshlens.errors import UsageError

pytestmark = [pytest.mark.root, pytest.mark.kernel]

RING = MapSpec("ring", MapType.RINGBUF, 0, 0, 4096)


@pytest.fixture
def sender() -> Iterator[Program]:
    """Sends the length of its frame, in records as long as the frame's first byte says (8 or more)."""
    a = Asm()
    length, record = a.slot(1), a.slot(64)
    a.mov(R6, R1)
    a.call(Helper.skb_load_bytes, R6, 0, length, 1)
    for at in range(8, 64, 8):
        a.store(R10, record.offset + at, 0, 8)
    a.field(R1, R6, Skb.len)
    a.store(R10, record.offset, R1, 8)
    a.get(R7, length)
    a.alu("&=", R7, 63)
    with a.if_(R7, "<", 8):
        a.mov(R7, 8)
    a.call(Helper.ringbuf_output, "ring", record, R7, 0)
    a.ret(R0)
    with ProgramSpec("sender", ProgramType.SCHED_CLS, a, maps={"ring": RING}).load() as program:
        yield program


def send(program: Program, length: int, number: int) -> int:
    """Sends one record; 0 if it found room."""
    return program.test_run(bytes([length]) + bytes(99 + number)).retval


def test_records_arrive_whole_and_in_order_around_the_end(sender: Program) -> None:
    with RingBuffer(sender.maps["ring"]) as ring:
        assert list(ring.read()) == []
        for turn in range(40):
            for number in range(20):
                assert send(sender, 8 + (turn + number) % 50, number) == 0
            records = list(ring.read())
            assert [len(record) for record in records] == [8 + (turn + number) % 50 for number in range(20)]
            numbers = [struct.unpack_from("=Q", record)[0] for record in records]
            assert numbers == [100 + number for number in range(20)]
            assert all(not any(record[8:]) for record in records)


def test_a_full_ring_refuses_and_takes_again_once_read(sender: Program) -> None:
    with RingBuffer(sender.maps["ring"]) as ring:
        sent = 0
        while send(sender, 56, 0) == 0:
            sent += 1
        assert sent == 4096 // 64 - 1, "one byte stays free, so that full is not empty"
        assert len(list(ring.read())) == sent
        assert send(sender, 56, 0) == 0
        assert len(list(ring.read())) == 1


def test_waiting_ends_with_a_record_or_with_time(sender: Program) -> None:
    with RingBuffer(sender.maps["ring"]) as ring:
        assert not ring.wait(0.01)
        send(sender, 8, 0)
        assert ring.wait(5)


def test_discarded_records_are_skipped() -> None:
    a = Asm()
    a.call(Helper.ringbuf_reserve, "ring", 16, 0)
    with a.if_(R0, "!=", 0):
        a.mov(R6, R0)
        a.call(Helper.get_prandom_u32)
        a.mov(R7, R0)
        a.store(R6, 0, R7, 8)
        a.store(R6, 8, 1, 8)
        with a.if_(R7, "&", 1):
            a.call(Helper.ringbuf_discard, R6, 0)
            a.ret(1)
        a.call(Helper.ringbuf_submit, R6, 0)
        a.ret(0)
    a.ret(2)
    with (
        ProgramSpec("half", ProgramType.SCHED_CLS, a, maps={"ring": RING}).load() as program,
        RingBuffer(program.maps["ring"]) as ring,
    ):
        outcomes = [program.test_run(bytes(64)).retval for _ in range(100)]
        records = list(ring.read())
        assert set(outcomes) == {0, 1}
        assert len(records) == outcomes.count(0)
        assert all(int.from_bytes(record[:8], sys.byteorder) % 2 == 0 for record in records)


def test_other_maps_are_no_ring_buffers() -> None:
    with (
        MapSpec("a", MapType.ARRAY, 4, 4, 1).create() as array,
        pytest.raises(UsageError, match="no ring buffer"),
    ):
        RingBuffer(array)
