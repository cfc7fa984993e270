"""The disassembly reads like the kernel's own, with names of blocks and maps, in both byte orders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R10,
    Asm,
    ByteOrder,
    Code,
    Helper,
    Insn,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
)  # fmt: skip

EXPECTED = """\
; look up
     0: *(u32 *)(r10 -4) = 0
     1: r2 = r10
     2: r2 += -4
     3: r1 = map[hits]
     5: call bpf_map_lookup_elem#1
     6: if r0 == 0x0 goto 11
; count
     7: w1 = 1
     8: lock *(u64 *)(r0 +8) += r1
     9: r3 = map_value[total] +16
; leave
    11: r0 = 0xffffffff00000001
    13: r0 = be16 r0
    14: w0 ^= w0
    15: r0 = -r0
    16: *(u8 *)(r10 -1) = 7
    17: if w0 s< 0xffffffff goto 19
    18: goto 19
    19: r0 = *(u8 *)(r10 -1)
    20: exit
"""


def program(byteorder: ByteOrder) -> ProgramSpec:
    a = Asm(byteorder)
    a.block("look up")
    a.store(R10, -4, 0, 4)
    a.mov(R2, R10)
    a.alu("+=", R2, -4)
    a.map_fd(R1, "hits")
    a.call(Helper.map_lookup_elem)
    a.jump_if(R0, "==", 0, "leave")
    a.block("count")
    a.mov32(R1, 1)
    a.atomic_add(R0, 8, R1, 8)
    a.map_value(R3, "total", 16)
    a.block("leave")
    a.label("leave")
    a.ld_imm64(R0, 0xFFFFFFFF_00000001)
    a.to_be(R0, 16)
    a.alu32("^=", R0, R0)
    a.neg(R0)
    a.store(R10, -1, 7, 1)
    a.jump32_if(R0, "s<", -1, "end")
    a.jump("end")
    a.label("end")
    a.load(R0, R10, -1, 1)
    a.exit()
    maps = {name: MapSpec(name, MapType.ARRAY, 4, 24, 1) for name in ("hits", "total")}
    return ProgramSpec("sample", ProgramType.XDP, a, maps=maps)


@given(st.lists(st.builds(Insn, *[st.integers(0, n) for n in (255, 15, 15, 32767, 1 << 20)]), max_size=9))
def test_any_instruction_has_a_text(insns: list[Insn]) -> None:
    code = Code(tuple(insns), (), (), "little")
    lines = ProgramSpec("any", ProgramType.XDP, code).disassemble().splitlines()
    assert len([line for line in lines if line]) == sum(insn.opcode != 0 for insn in insns)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_program_reads_as_it_was_written(byteorder: ByteOrder) -> None:
    assert program(byteorder).disassemble() == EXPECTED


def test_specifications_are_equal_when_they_say_the_same() -> None:
    assert program("little") == program("little")
    assert hash(program("little")) == hash(program("little"))
    assert program("little") != program("big")
    other = program("little")
    other.license = "MIT"
    assert other != program("little")


def test_an_opcode_without_a_name_is_shown_in_full_and_a_new_helper_by_number() -> None:
    code = Code((Insn(0xE7, 1, 2, -3, 4), Insn(0x85, imm=9999), Insn(0x06)), (), (), "little")
    text = ProgramSpec("odd", ProgramType.XDP, code).disassemble()
    assert ".insn opcode=0xe7 dst=r1 src=r2 offset=-3 imm=0x4" in text
    assert "call unknown#9999" in text
    assert ".insn opcode=0x06" in text


def test_packet_loads_of_classic_programs_have_text_too() -> None:
    code = Code((Insn(0x28, imm=12), Insn(0x50, src=1, imm=14)), (), (), "little")
    lines = ProgramSpec("classic", ProgramType.SOCKET_FILTER, code).disassemble().splitlines()
    assert lines == ["     0: r0 = *(u16 *)skb[12]", "     1: r0 = *(u8 *)skb[r1 + 14]"]


def test_atomic_operations_say_what_they_give_back() -> None:
    a = Asm("little")
    a.atomic_fetch_add(R2, 8, R1, 8)
    a.atomic_exchange(R2, 8, R1, 4)
    a.atomic_compare_exchange(R2, 0, R1, 8)
    a.exit()
    lines = ProgramSpec("atomics", ProgramType.XDP, a).disassemble().splitlines()
    assert [line.split(": ", 1)[1] for line in lines if ": r" in line] == [
        "r1 = fetch_add(*(u64 *)(r2 +8), r1)",
        "r1 = exchange(*(u32 *)(r2 +8), r1)",
        "r0 = compare_exchange(*(u64 *)(r2 +0), r0, r1)",
    ]
