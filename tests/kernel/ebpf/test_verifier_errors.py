"""Each usual mistake is refused with the instruction, the block's name, the verifier's words and a hint."""

from collections.abc import Callable

import pytest

from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R5,
    R10,
    Asm,
    BpfError,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    VerifierError,
)  # fmt: skip

pytestmark = [pytest.mark.root, pytest.mark.kernel]

MAPS = {
    "array": MapSpec("array", MapType.ARRAY, 4, 8, 1),
    "hash": MapSpec("hash", MapType.HASH, 4, 8, 1),
    "ring": MapSpec("ring", MapType.RINGBUF, 0, 0, 1 << 16),
}


def uninitialised(a: Asm) -> None:
    a.mov(R0, R5)


def packet_unchecked(a: Asm) -> None:
    a.load(R2, R1, 0, 4)
    a.load(R0, R2, 0, 1)


def stack_too_deep(a: Asm) -> None:
    a.store(R10, -600, 0, 8)


def unreachable(a: Asm) -> None:
    a.mov(R0, 2)
    a.exit()
    a.mov(R0, 2)


def no_null_check(a: Asm) -> None:
    a.store(R10, -4, 0, 4)
    a.mov(R2, R10)
    a.alu("+=", R2, -4)
    a.map_fd(R1, "hash")
    a.call(Helper.map_lookup_elem)
    a.load(R0, R0, 0, 8)


def beyond_the_value(a: Asm) -> None:
    a.map_value(R1, "array")
    a.load(R0, R1, 8, 8)


def unbounded_offset(a: Asm) -> None:
    a.call(Helper.get_prandom_u32)
    a.map_value(R1, "array")
    a.alu("+=", R1, R0)


def reference_kept(a: Asm) -> None:
    a.map_fd(R1, "ring")
    a.mov(R2, 8)
    a.mov(R3, 0)
    a.call(Helper.ringbuf_reserve)
    a.mov(R0, 2)


def foreign_helper(a: Asm) -> None:
    a.call(Helper.skb_load_bytes)


def no_such_field(a: Asm) -> None:
    a.load(R0, R1, 100, 4)


def number_as_pointer(a: Asm) -> None:
    a.mov(R2, 5)
    a.load(R0, R2, 0, 4)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (uninitialised, "never written"),
        (packet_unchecked, "data_end"),
        (stack_too_deep, "512 bytes"),
        (unreachable, "no path leads here"),
        (no_null_check, "compare the pointer with 0"),
        (beyond_the_value, "compare the offset"),
        (unbounded_offset, "mask or bound"),
        (reference_kept, "submit or discard"),
        (foreign_helper, "does not have the helper"),
        (no_such_field, "this field of the context"),
        (number_as_pointer, "loaded from"),
    ],
)
def test_a_mistake_is_named_where_it_is(mistake: Callable[[Asm], None], hint: str) -> None:
    a = Asm()
    a.block("before")
    a.mov(R0, 0)
    a.block("the wrong part")
    mistake(a)
    a.exit()
    with pytest.raises(VerifierError) as refused:
        ProgramSpec("faulty", ProgramType.XDP, a, maps=MAPS).load()
    error = refused.value
    assert "'faulty'" in str(error)
    assert "'the wrong part'" in str(error)
    assert hint in str(error)
    assert "\n" not in str(error)
    assert error.slot is not None
    assert error.reason
    assert error.reason.split("; ")[0] in error.log
    marked = [line for line in error.report.splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert marked[0].startswith(f">{error.slot:6}: ")
    assert error.__notes__ == [error.report]


def test_a_helper_for_gpl_programs_only_asks_for_the_licence() -> None:
    a = Asm()
    a.mov(R1, R10)
    a.alu("+=", R1, -8)
    a.mov(R2, 8)
    a.mov(R3, 0)
    a.call(Helper.probe_read_kernel)
    a.exit()
    with pytest.raises(VerifierError, match="Dual MIT/GPL"):
        ProgramSpec("proprietary", ProgramType.SCHED_CLS, a, license="Proprietary").load()


def test_a_program_without_an_end_is_explained_without_an_instruction() -> None:
    a = Asm()
    a.mov(R0, 0)
    with pytest.raises(VerifierError, match=r"exit\(\)") as refused:
        ProgramSpec("endless", ProgramType.XDP, a).load()
    assert refused.value.slot is None


def test_a_million_instructions_are_too_many() -> None:
    a = Asm()
    a._insns = [(0xB7, 0, 0, 0, 0)] * 1_000_001
    with pytest.raises(BpfError, match="1000001 instructions"):
        ProgramSpec("huge", ProgramType.XDP, a).load()


def test_an_endless_loop_stops_at_the_verifiers_limit_with_a_log_of_its_end() -> None:
    a = Asm()
    a.mov(R0, 0)
    a.label("again")
    a.alu("+=", R0, 1)
    a.jump("again")
    with pytest.raises(VerifierError, match=r"paths|loop"):
        ProgramSpec("loop", ProgramType.XDP, a).load()
