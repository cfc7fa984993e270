"""Structured code becomes the jumps one would write by hand, and mistakes in it are named."""

import pytest

from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    Asm,
    AssemblyError,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
)


def text(a: Asm) -> list[str]:
    maps = {"m": MapSpec("m", MapType.HASH, 4, 8, 1)}
    listing = ProgramSpec("p", ProgramType.XDP, a, maps=maps).disassemble()
    return [line.split(": ", 1)[1] for line in listing.splitlines()]


def test_a_condition_skips_its_body_by_the_opposite_comparison() -> None:
    a = Asm()
    with a.if_(R0, "s>", 5):
        a.mov(R1, 1)
    a.ret(2)
    assert text(a) == ["if r0 s<= 0x5 goto 2", "r1 = 1", "r0 = 2", "exit"]


def test_a_test_of_bits_has_no_opposite_and_still_skips() -> None:
    a = Asm()
    with a.if_(R0, "&", 8, bits=32):
        a.mov(R1, 1)
    a.exit()
    assert text(a) == ["if w0 & 0x8 goto 2", "goto 3", "r1 = 1", "exit"]


def test_else_runs_when_the_condition_does_not_hold() -> None:
    a = Asm()
    with a.if_(R0, "==", 5), a.if_(R1, "!=", R2):
        a.mov(R3, 1)
    with a.else_():
        a.mov(R3, 2)
    a.exit()
    assert text(a) == ["if r0 != 0x5 goto 4", "if r1 == r2 goto 3", "r3 = 1", "goto 5", "r3 = 2", "exit"]


def test_else_without_if_right_before_is_refused() -> None:
    a = Asm()
    with a.if_(R0, "==", 5):
        a.mov(R1, 1)
    a.mov(R1, 2)
    with pytest.raises(AssemblyError, match="follow"), a.else_():
        pass


def test_a_call_puts_arguments_into_place() -> None:
    a = Asm()
    key = a.slot(4)
    a.put(key, 7)
    a.call(Helper.map_update_elem, "m", key, R6, 0)
    a.call(Helper.get_prandom_u32)
    a.call(Helper.skb_load_bytes, R1, R7)
    assert text(a) == [
        "*(u32 *)(r10 -4) = 7",
        "r1 = map[m]",
        "r2 = r10",
        "r2 += -4",
        "r3 = r6",
        "r4 = 0",
        "call bpf_map_update_elem#2",
        "call bpf_get_prandom_u32#7",
        "r2 = r7",
        "call bpf_skb_load_bytes#26",
    ]


def test_an_argument_that_an_earlier_one_overwrote_is_refused() -> None:
    with pytest.raises(AssemblyError, match="argument 2 is R1"):
        Asm().call(Helper.skb_load_bytes, 5, R1)
    with pytest.raises(AssemblyError, match="five"):
        Asm().call(Helper.skb_load_bytes, 1, 2, 3, 4, 5, 6)


def test_a_lookup_runs_its_body_with_the_value_in_r0() -> None:
    a = Asm()
    key = a.slot(4)
    with a.lookup("m", key):
        a.load(R0, R0, 0, 8)
    a.exit()
    assert text(a)[-4:] == [
        "call bpf_map_lookup_elem#1",
        "if r0 == 0x0 goto 7",
        "r0 = *(u64 *)(r0 +0)",
        "exit",
    ]


def test_slots_are_aligned_apart_and_limited() -> None:
    a = Asm()
    one, eight, six, four = a.slot(1), a.slot(8), a.slot(6), a.slot(4)
    assert (one.offset, eight.offset, six.offset, four.offset) == (-1, -16, -24, -28)
    a.slot(480)
    with pytest.raises(AssemblyError, match="520 bytes of stack"):
        a.slot(8)


def test_a_returned_register_is_moved_only_if_it_is_not_r0() -> None:
    for value, expected in ((R0, ["exit"]), (R6, ["r0 = r6", "exit"]), (0, ["r0 = 0", "exit"])):
        a = Asm()
        a.ret(value)
        assert text(a) == expected
