"""Instructions become the bytes that RFC 9669 and the kernel say, in both byte orders."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlens.ebpf import R0, R1, R2, R10, Asm, AssemblyError, Insn, Reg, decode, encode

insns = st.lists(
    st.builds(
        Insn,
        st.integers(0, 255),
        st.integers(0, 15),
        st.integers(0, 15),
        st.integers(-(1 << 15), (1 << 15) - 1),
        st.integers(-(1 << 31), (1 << 31) - 1),
    ),
    max_size=20,
)


@given(insns, st.sampled_from(["little", "big"]))
def test_decoding_gives_back_what_was_encoded(program, byteorder) -> None:  # type: ignore[no-untyped-def]
    assert list(decode(encode(program, byteorder), byteorder)) == program


@given(insns)
def test_the_byte_orders_differ_in_the_order_of_nibbles_and_of_bytes(program: list[Insn]) -> None:
    expected = b"".join(struct.pack(">BBhi", i.opcode, i.dst << 4 | i.src, i.offset, i.imm) for i in program)
    assert encode(program, "big") == expected
    expected = b"".join(struct.pack("<BBhi", i.opcode, i.src << 4 | i.dst, i.offset, i.imm) for i in program)
    assert encode(program, "little") == expected


def test_half_an_instruction_is_no_program() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        decode(bytes(12))


@pytest.mark.parametrize("number", [1 << 31, 0xFFFFFFFF, 1 << 40, -(1 << 31) - 1])
def test_a_number_that_would_change_by_sign_extension_is_refused(number: int) -> None:
    with pytest.raises(AssemblyError, match="ld_imm64"):
        Asm().mov(R1, number)
    with pytest.raises(AssemblyError, match="ld_imm64"):
        Asm().jump_if(R1, "==", number, "x")


def test_the_32_bit_forms_take_signed_and_unsigned_numbers_of_32_bits() -> None:
    a = Asm()
    a.mov32(R1, 0xFFFFFFFF)
    a.mov32(R1, -1)
    first, second = a.assemble().insns
    assert first == second
    with pytest.raises(AssemblyError, match="does not fit 32 bits"):
        a.mov32(R1, 1 << 32)


def test_a_jump_to_nowhere_and_a_label_placed_twice_are_refused() -> None:
    a = Asm()
    a.jump("there")
    with pytest.raises(AssemblyError, match=r"'there'.*never placed"):
        a.assemble()
    a.label("there")
    with pytest.raises(AssemblyError, match="twice"):
        a.label("there")


def test_unknown_operators_and_sizes_are_refused_with_what_there_is() -> None:
    with pytest.raises(AssemblyError, match=r"no operation '=<' here: there are ==, >"):
        Asm().jump_if(R0, "=<", 1, "x")
    with pytest.raises(AssemblyError, match=r"no operation 3 here: there are 4, 2, 1, 8"):
        Asm().load(R0, R1, 0, 3)


def test_offsets_outside_16_bits_are_refused() -> None:
    with pytest.raises(AssemblyError, match="40000"):
        Asm().load(R0, R1, 40000, 4)


def test_40000_instructions_assemble_and_encode() -> None:
    a = Asm()
    for n in range(10_000):
        a.jump_if(R0, "==", n, n)
        a.alu("+=", R1, R2)
        a.store(R10, -8, R1, 8)
        a.label(n)
        a.load(Reg(3), R10, -8, 8)
    encoded = encode(a.assemble().insns)
    assert len(encoded) == 8 * 40_000
