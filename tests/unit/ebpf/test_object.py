"""Objects of clang become specifications; what needs libbpf, and what is no object, is refused by name.

The objects in tests/objects are prebuilt; the sources and the command stand beside them.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlens.ebpf import BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, MapSpec, MapType, ProgramType
from meshlens.ebpf.object import ObjectFile
from meshlens.errors import MeshlensError, NotSupported, UsageError

OBJECTS = Path(__file__).parents[2] / "objects"
COUNTER = OBJECTS / "counter.o"


def opened(name: str) -> ObjectFile:
    return ObjectFile(str(OBJECTS / name))


def test_programs_have_the_types_and_sides_of_their_sections() -> None:
    assert [(each.name, each.section, each.type, each.side) for each in opened("counter.o").programs] == [
        ("count_xdp", "xdp", ProgramType.XDP, "ingress"),
        ("count_in", "tcx/ingress", ProgramType.SCHED_CLS, "ingress"),
        ("drop_out", "tc", ProgramType.SCHED_CLS, None),
    ]


def test_maps_are_those_that_the_program_uses_as_the_source_says() -> None:
    counter = opened("counter.o")
    spec = counter.spec(counter.program("count_xdp"))
    assert spec.maps == {
        "lengths": MapSpec("lengths", MapType.HASH, 4, 8, 64, 1),
        "sums": MapSpec("sums", MapType.ARRAY, 4, 16, 3),
        ".data": MapSpec(".data", MapType.ARRAY, 4, 8, 1, BPF_F_MMAPABLE, (40).to_bytes(8, "little")),
        ".bss": MapSpec(".bss", MapType.ARRAY, 4, 8, 1, BPF_F_MMAPABLE, bytes(8)),
        ".rodata": MapSpec(
            ".rodata", MapType.ARRAY, 4, 4, 1, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG, (2).to_bytes(4, "little")
        ),
    }
    assert counter.spec(counter.program("drop_out")).maps == {}
    legacy = opened("legacy.o")
    assert legacy.spec(legacy.program("count")).maps == {"hits": MapSpec("hits", MapType.ARRAY, 4, 8, 2)}
    assert (counter.license, legacy.license) == ("GPL", "Dual MIT/GPL")


def test_functions_stand_behind_the_program_that_calls_them() -> None:
    counter = opened("counter.o")
    code = counter.spec(counter.program("count_xdp")).code
    assert [name for _, name in code.blocks] == ["count_xdp", "four_times", "twice"]
    assert [name for _, name in counter.spec(counter.program("count_in")).code.blocks] == [
        "count_in",
        "twice",
    ]


def test_both_byte_orders_are_read_alike() -> None:
    little, big = opened("counter.o"), opened("counter-big.o")
    assert (little.byteorder, big.byteorder) == ("little", "big")
    for one, other in zip(little.programs, big.programs, strict=True):
        assert little.spec(one).insns == big.spec(other).insns
        assert [spec[:6] for spec in little.spec(one).maps.values()] == [
            spec[:6] for spec in big.spec(other).maps.values()
        ]


@pytest.mark.parametrize(
    ("file", "program", "said"),
    [
        ("core.o", "core", r"program 'core' has CO-RE relocations \(struct sk_buff\), which need libbpf"),
        ("core.o", "hash", r"program 'hash' calls the kernel function bpf_xdp_metadata_rx_hash"),
        ("pinned.o", "touch", r"map 'shared' has 'pinning', which only libbpf does"),
    ],
)
def test_what_needs_libbpf_is_refused_by_name(file: str, program: str, said: str) -> None:
    refused = opened(file)
    with pytest.raises(NotSupported, match=said):
        refused.spec(refused.program(program))


def test_a_program_beside_one_that_is_refused_is_read() -> None:
    core = opened("core.o")
    assert len(core.spec(core.program("fine")).insns) == 2


def test_a_program_is_named_by_function_or_section_and_a_wrong_name_lists_them() -> None:
    counter = opened("counter.o")
    assert counter.program("tcx/ingress") == counter.program("count_in")
    with pytest.raises(UsageError, match=r"no one program 'nix'; it has: count_xdp \(xdp\), count_in"):
        counter.program("nix")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no ELF object: compile with clang -O2 -g -target bpf -c"),
        (b"int main() {}", "is no ELF object"),
        (b"\x7fELF", "is damaged"),
    ],
)
def test_what_is_no_object_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "it.o"
    path.write_bytes(content)
    with pytest.raises(MeshlensError, match=said):
        ObjectFile(str(path))


def test_a_program_of_this_machine_is_not_for_ebpf() -> None:
    with pytest.raises(UsageError, match="not for eBPF: compile with clang -target bpf"):
        ObjectFile(str(Path("/proc/self/exe").resolve()))
    with pytest.raises(UsageError, match=r"cannot read /nix\.o: No such file"):
        ObjectFile("/nix.o")


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_whatever_is_wrong_with_an_object_is_told_as_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(COUNTER.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "mutant.o"
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    with contextlib.suppress(MeshlensError):
        mutant = ObjectFile(str(path))
        for program in mutant.programs:
            mutant.spec(program, ProgramType.XDP)


@pytest.mark.skipif(not shutil.which("clang") or not shutil.which("llvm-strip"), reason="no clang")
def test_the_objects_are_made_from_their_sources(tmp_path: Path) -> None:
    for path in (*OBJECTS.glob("*.c"), OBJECTS / "bpf.h", OBJECTS / "Makefile"):
        shutil.copy(path, tmp_path)
    subprocess.run(["make", "-B", "-s"], cwd=tmp_path, check=True, capture_output=True)
    for path in OBJECTS.glob("*.o"):
        made, kept = ObjectFile(str(tmp_path / path.name)), opened(path.name)
        assert [each[:5] for each in made.programs] == [each[:5] for each in kept.programs]
