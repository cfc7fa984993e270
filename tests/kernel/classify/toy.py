"""A task for tests of models: a frame's destination is the sample, and a row comes from user space."""

from meshlens.classify.kernel.entry import (
    SAMPLES,
    VERDICT,
    Head,
    emit_action,
    emit_run_model,
    sample_maps,
)
from meshlens.ebpf import R0, R1, R6, R7, Asm, Helper, Program, ProgramSpec, ProgramType
from meshlens.ebpf.contexts import Skb

KEY = bytes(range(2, 8))


def toy_program(features: int, max_entries: int = 4) -> ProgramSpec:
    """For each frame the model runs for the sample of its destination."""
    asm = Asm()
    key, packets, octets = asm.slot(8)._replace(size=6), asm.slot(8), asm.slot(8)
    asm.mov(R6, R1)
    asm.put(packets, 1)
    asm.field(R1, R6, Skb.len)
    asm.put(octets, R1)
    asm.call(Helper.skb_load_bytes, R6, 0, key, 6)
    with asm.lookup(SAMPLES, key):
        asm.mov(R7, R0)
        emit_run_model(asm, key, packets, octets)
        emit_action(asm, R7, packets, octets)
    asm.ret(VERDICT)
    return ProgramSpec("toy", ProgramType.SCHED_CLS, asm, maps=sample_maps(6, features, max_entries))


def put_row(program: Program, row: tuple[int, ...], key: bytes = KEY) -> None:
    """A sample with this row and no verdict."""
    program.maps[SAMPLES].update(key, Head(first_ns=1).pack(row))


def frame(key: bytes = KEY) -> bytes:
    return key.ljust(60, b"\0")


def run(program: Program, key: bytes = KEY) -> Head:
    """What the head is after a frame of the sample."""
    assert program.test_run(frame(key)).retval == 0xFFFFFFFF
    value = program.maps[SAMPLES].lookup(key)
    assert value
    return Head.unpack(value)
