"""What a task's program does at the end of a packet, with and without a model."""

import struct

import pytest

from meshlens.classify.kernel.entry import (
    ACTIONS,
    CLASS_COUNTS,
    PLACES,
    SAMPLES,
    TICK,
    UNKNOWN,
    Head,
    place_of,
    unpack_row,
)
from meshlens.ebpf.contexts import Skb, pack_context, unpack_context
from tests.kernel.classify.toy import KEY, frame, put_row, run, toy_program

pytestmark = pytest.mark.kernel


def test_without_a_model_nothing_is_decided() -> None:
    with toy_program(3).load() as program:
        put_row(program, (7, 8, 9))
        head = run(program)
        assert (head.label, head.votes, head.runs) == (0, 0, 0)
        assert unpack_row(program.maps[SAMPLES].lookup(KEY) or b"") == (7, 8, 9)


@pytest.mark.parametrize("class_index", [0, 5, 1021, None])
def test_a_packet_gets_the_mark_and_priority_of_its_class_and_is_counted_for_it(
    class_index: int | None,
) -> None:
    place = place_of(class_index)
    label = UNKNOWN if class_index is None else class_index + 1
    with toy_program(1).load() as program:
        actions = program.maps[ACTIONS].mmap()
        struct.pack_into("=II", actions, 8 * place, 21, 6)
        program.maps[SAMPLES].update(KEY, Head(1, label).pack((0,)))
        ran = program.test_run(frame(), ctx=pack_context(Skb, mark=3, priority=2))
        context = unpack_context(Skb, ran.ctx_out)
        assert (context["mark"], context["priority"]) == (21, 6)
        counts = struct.unpack(
            f"={len(program.maps[CLASS_COUNTS].mmap()) // 8}Q", program.maps[CLASS_COUNTS].mmap()
        )
        assert sum(counts[2 * place :: 2 * PLACES]) == 1
        assert sum(counts[2 * place + 1 :: 2 * PLACES]) == 60
        assert sum(counts) == 61


def test_a_packet_of_a_class_without_action_keeps_its_mark_and_priority() -> None:
    with toy_program(1).load() as program:
        program.maps[SAMPLES].update(KEY, Head(1, 4).pack((0,)))
        ran = program.test_run(frame(), ctx=pack_context(Skb, mark=3, priority=2))
        context = unpack_context(Skb, ran.ctx_out)
        assert (context["mark"], context["priority"]) == (3, 2)


def test_a_packet_leaves_the_tick_of_user_space_in_its_entry() -> None:
    with toy_program(1).load() as program:
        put_row(program, (0,))
        struct.pack_into("=I", program.maps[TICK].mmap(), 0, 77)
        assert run(program).seen == 77
