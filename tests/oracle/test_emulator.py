"""The emulator against the kernel: the same results, and errors where the verifier would refuse."""

import random
import sys

import pytest

from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
)
from meshlens.ebpf.contexts import Skb
from meshlens.ebpf.emulate import EmulationError, Emulator

REGISTERS = (R0, R1, R2, R3, R4, R5)
OPERATIONS = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "s>>=")
COMPARISONS = ("==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&")
#: Values where the arithmetic of 32 and 64 bits, signed and unsigned, parts.
EDGES = (0, 1, 2, 31, 32, 63, 64, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63, (1 << 64) - 1)
PROGRAMS, STEPS = 150, 60


def value(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(rng.choice((8, 16, 32, 64)))


def step(asm: Asm, rng: random.Random) -> None:
    """Append one random instruction that any registers allow."""
    dst, src = rng.choice(REGISTERS), rng.choice(REGISTERS)
    wide = rng.random() < 0.5
    match rng.randrange(8):
        case 0:
            asm.to_be(dst, rng.choice((16, 32, 64)))
        case 1:
            asm.neg(dst)
        case 2:
            size = rng.choice((1, 2, 4, 8))
            asm.store(R10, -8, src, 8)
            asm.store(R10, -size, dst, size)
            asm.load(dst, R10, -8, 8)
        case 3 | 4:
            skipped, compare = asm.new_label(), asm.jump_if if wide else asm.jump32_if
            right = src if rng.random() < 0.5 else rng.choice((0, 1, -1, 0x7FFFFFFF, -0x80000000))
            compare(dst, rng.choice(COMPARISONS), right, skipped)
            asm.alu("+=", rng.choice(REGISTERS), rng.randrange(1000))
            asm.label(skipped)
        case _:
            operation, calculate = rng.choice(OPERATIONS), asm.alu if wide else asm.alu32
            if rng.random() < 0.5:
                calculate(operation, dst, src)
            elif operation in {"<<=", ">>=", "s>>="}:
                calculate(operation, dst, rng.randrange(64 if wide else 32))
            else:  # the verifier refuses to divide by the number 0
                calculate(operation, dst, rng.choice((1, 2, 7, -1, 0x7FFFFFFF, -0x80000000)))


def random_program(seed: int) -> ProgramSpec:
    """Arithmetic on six registers, which all end up in what is returned."""
    rng, asm = random.Random(seed), Asm()
    for register in REGISTERS:
        asm.ld_imm64(register, value(rng))
    for _ in range(STEPS):
        step(asm, rng)
    for register in REGISTERS[1:]:
        asm.alu("^=", R0, register)
    asm.mov(R1, R0)
    asm.alu(">>=", R1, 32)
    asm.alu("^=", R0, R1)
    asm.exit()
    return ProgramSpec("arithmetic", ProgramType.SCHED_CLS, asm)


@pytest.mark.kernel
def test_arithmetic_and_jumps_give_what_the_kernel_gives() -> None:
    for seed in range(PROGRAMS):
        spec = random_program(seed)
        assert Emulator(spec).run(bytes(14)).retval == spec.load().test_run(bytes(14)).retval, seed


def counting_program() -> ProgramSpec:
    """Adds the third word of the packet to a counter, through helpers, a map and the context."""
    asm = Asm()
    asm.mov(R6, R1)
    asm.store(R10, -4, 1, 4)
    asm.map_fd(R1, "sums")
    asm.mov(R2, R10)
    asm.alu("+=", R2, -4)
    asm.call(Helper.map_lookup_elem)
    with asm.if_(R0, "==", 0):
        asm.ret(1)
    asm.store(R10, -16, R0, 8)
    asm.mov(R1, R6)
    asm.mov(R2, 8)
    asm.mov(R3, R10)
    asm.alu("+=", R3, -8)
    asm.mov(R4, 4)
    asm.call(Helper.skb_load_bytes)
    with asm.if_(R0, "!=", 0):
        asm.ret(2)
    asm.load(R1, R10, -8, 4)
    asm.to_be(R1, 32)
    asm.field(R2, R6, Skb.len)
    asm.alu("+=", R1, R2)
    asm.load(R2, R10, -16, 8)
    asm.atomic_add(R2, 8, R1, 8)
    asm.ret(0)
    sums = MapSpec("sums", MapType.ARRAY, key_size=4, value_size=16, max_entries=2)
    return ProgramSpec("counting", ProgramType.SCHED_CLS, asm, maps={"sums": sums})


@pytest.mark.kernel
def test_maps_helpers_and_context_are_those_of_the_kernel() -> None:
    spec, packet = counting_program(), bytes(range(100, 140))
    emulator, program = Emulator(spec), spec.load()
    for _ in range(3):
        assert emulator.run(packet).retval == program.test_run(packet).retval == 0
    assert [program.maps["sums"].lookup(key) for key in (0, 1)] == [
        bytes(emulator.maps["sums"][at : at + 16]) for at in (0, 16)
    ]
    assert int.from_bytes(emulator.maps["sums"][24:32], sys.byteorder) == 3 * (0x6C6D6E6F + 40)


def test_bytes_that_are_not_there_are_an_error_of_the_helper() -> None:
    assert Emulator(counting_program()).run(bytes(11)).retval == 2


def test_a_register_that_was_never_written_cannot_be_read() -> None:
    asm = Asm()
    asm.mov(R0, R2)
    asm.exit()
    with pytest.raises(EmulationError, match="instruction 0"):
        Emulator(ProgramSpec("unset", ProgramType.SCHED_CLS, asm)).run(bytes(14))


def test_memory_beyond_the_packet_cannot_be_read() -> None:
    asm = Asm()
    asm.field(R1, R1, Skb.data)
    asm.load(R0, R1, 14, 1)
    asm.exit()
    emulator = Emulator(ProgramSpec("beyond", ProgramType.SCHED_CLS, asm))
    assert emulator.run(bytes(14) + b"\7") == (7, 3)
    with pytest.raises(EmulationError, match="not there"):
        emulator.run(bytes(14))
