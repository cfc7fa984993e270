"""Programs do in the kernel what their instructions say, and its account of them agrees with ours."""

import os
import re
import struct
import sys

import pytest

from meshlens.ebpf import (
    BPF_F_MMAPABLE,
    R0,
    R1,
    R2,
    R6,
    R10,
    Asm,
    BpfError,
    Helper,
    Insn,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    VerifierError,
)  # fmt: skip
from meshlens.errors import UsageError
from tests.unit.ebpf.test_disassembly import program as sample

pytestmark = [pytest.mark.root, pytest.mark.kernel]

FRAME = bytes(range(64))


def returning(kind: ProgramType, value: int) -> ProgramSpec:
    a = Asm()
    a.mov(R0, value)
    a.exit()
    return ProgramSpec("constant", kind, a)


@pytest.mark.parametrize("kind", [ProgramType.SCHED_CLS, ProgramType.XDP, ProgramType.SOCKET_FILTER])
def test_a_packet_program_runs_and_gives_its_return_value(kind: ProgramType) -> None:
    with returning(kind, 2).load() as program:
        run = program.test_run(FRAME, repeat=10)
        assert run.retval == 2
        assert run.duration_ns < 1_000_000
        assert run.data_out[14:] == FRAME[14:]


def test_programs_count_into_maps_they_refer_to() -> None:
    a = Asm()
    a.map_value(R1, "total", 8)
    a.mov(R2, 1)
    a.atomic_add(R1, 0, R2, 8)
    a.store(R10, -4, 3, 4)
    a.mov(R2, R10)
    a.alu("+=", R2, -4)
    a.map_fd(R1, "each")
    a.call(Helper.map_lookup_elem)
    a.jump_if(R0, "==", 0, "out")
    a.mov(R1, 1)
    a.atomic_add(R0, 0, R1, 8)
    a.label("out")
    a.mov(R0, 0)
    a.exit()
    maps = {
        "total": MapSpec("total", MapType.ARRAY, 4, 16, 1, BPF_F_MMAPABLE),
        "each": MapSpec("each", MapType.PERCPU_ARRAY, 4, 8, 4),
    }
    spec = ProgramSpec("count", ProgramType.SCHED_CLS, a, maps=maps)
    with spec.load() as program:
        program.test_run(FRAME, repeat=1000)
        assert struct.unpack("=QQ", program.maps["total"].mmap()) == (0, 1000)
        values = program.maps["each"].lookup_percpu(3)
        assert values is not None
        assert sum(int.from_bytes(value, sys.byteorder) for value in values) == 1000
        with spec.load(maps={"total": program.maps["total"]}) as second:
            second.test_run(FRAME)
            assert struct.unpack("=QQ", program.maps["total"].mmap()) == (0, 1001)
            assert second.maps["each"] is not program.maps["each"]


def test_a_map_nobody_specified_is_an_error_before_the_kernel_sees_it() -> None:
    a = Asm()
    a.map_fd(R1, "absent")
    with pytest.raises(UsageError, match=r"'p', instruction 0: no map 'absent'"):
        ProgramSpec("p", ProgramType.XDP, a)


def test_the_kernel_prints_the_program_as_we_do() -> None:
    spec = sample("little" if sys.byteorder == "little" else "big")
    ours = [line.split(": ", 1) for line in spec.disassemble().splitlines() if not line.startswith(";")]
    theirs = dict(kernel_disassembly(spec))
    assert ours.pop()[1] == "exit"
    assert [int(slot) for slot, _ in ours] == sorted(theirs)
    for slot, text in ours:
        here, _, target = text.partition("goto ")
        expected = f"{here}goto pc{int(target) - int(slot) - 1:+d}" if target else text
        assert theirs[int(slot)] == expected or "= map" in text


def kernel_disassembly(spec: ProgramSpec) -> list[tuple[int, str]]:
    """What the verifier prints of each instruction, got by a mistake in front of the last one."""
    mistake = Insn(0xBF, dst=0, src=5)
    code = spec.code._replace(insns=(*spec.insns[:-1], mistake, spec.insns[-1]))
    with pytest.raises(VerifierError) as refused:
        ProgramSpec("p", spec.type, code, maps=spec.maps).load()
    log = refused.value.log
    lines = [(int(m[1]), m[2].strip()) for m in re.finditer(r"^(\d+): \(..\) ([^;\n]*)", log, re.MULTILINE)]
    assert lines.pop() == (len(spec.insns) - 1, "r0 = r5")
    return lines


def test_info_agrees_with_the_specification() -> None:
    with returning(ProgramType.XDP, 2).load() as program:
        info = program.info()
        assert (info.name, info.type, info.xlated_bytes) == ("constant", ProgramType.XDP, 16)
        assert info.id > 0
        assert len(info.tag) == 16
        assert info.memlock_bytes >= 4096
        assert info.run_count == 0
        assert info.created_by_uid == os.getuid()
    with sample("little" if sys.byteorder == "little" else "big").load() as program:
        info = program.info()
        assert sorted(info.map_ids) == sorted(one.info().id for one in program.maps.values())
        assert info.verified_insns > 0


def test_a_program_longer_than_a_jump_reaches_runs() -> None:
    a = Asm()
    a.load(R6, R1, 0, 4)
    a.mov(R0, 0)
    a.jump_if(R6, ">", 500, "end")
    for _ in range(100_000):
        a.alu("+=", R0, 1)
    a.label("end")
    a.exit()
    with ProgramSpec("long", ProgramType.SCHED_CLS, a).load() as program:
        assert program.test_run(bytes(400)).retval == 100_000
        assert program.test_run(bytes(600)).retval == 0


def test_context_fields_go_in_and_come_out() -> None:
    a = Asm()
    a.load(R0, R1, 8, 4)  # __sk_buff.mark
    a.store(R1, 8, 77, 4)
    a.exit()
    with ProgramSpec("mark", ProgramType.SCHED_CLS, a).load() as program:
        run = program.test_run(FRAME, ctx=struct.pack("=III", 0, 0, 5).ljust(192, b"\0"))
        assert run.retval == 5
        assert struct.unpack_from("=III", run.ctx_out)[2] == 77


def test_too_little_data_is_an_error_not_a_crash() -> None:
    with returning(ProgramType.XDP, 2).load() as program, pytest.raises(BpfError, match="3 bytes"):
        program.test_run(b"abc")


def test_a_program_for_the_other_byte_order_is_not_loaded() -> None:
    other = "big" if sys.byteorder == "little" else "little"
    a = Asm(other)  # type: ignore[arg-type]
    a.exit()
    with pytest.raises(UsageError, match=f"{other}-endian"):
        ProgramSpec("foreign", ProgramType.XDP, a).load()


def test_a_refused_program_leaves_no_map_behind() -> None:
    before = open_descriptors()
    a = Asm()
    a.map_fd(R1, "kept")
    a.exit()
    spec = ProgramSpec("refused", ProgramType.XDP, a, maps={"kept": MapSpec("kept", MapType.ARRAY, 4, 4, 1)})
    with pytest.raises(Exception, match="refused"):
        spec.load()
    assert open_descriptors() == before


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_closing_twice_is_harmless_and_use_after_it_is_an_error() -> None:
    program: Program = returning(ProgramType.XDP, 2).load()
    program.close()
    program.close()
    with pytest.raises(ValueError, match="closed"):
        program.info()
