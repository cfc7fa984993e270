"""Programs out of clang's objects run in the kernel as their C source says."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshlens.ebpf import Program, VerifierError
from meshlens.ebpf.object import ObjectFile
from meshlens.errors import PermissionDenied, UsageError

pytestmark = [pytest.mark.kernel, pytest.mark.root]

OBJECTS = Path(__file__).parents[2] / "objects"


def load(file: str, program: str) -> Program:
    opened = ObjectFile(str(OBJECTS / file))
    return opened.spec(opened.program(program)).load()


@pytest.fixture
def xdp() -> Iterator[Program]:
    with load("counter.o", "count_xdp") as program:
        yield program


def number(program: Program, name: str, key: int = 0) -> int:
    value = program.maps[name].lookup(key)
    assert value
    return int(struct.unpack("=Q", value[-8:])[0])


def test_maps_data_and_calls_work_as_in_the_source(xdp: Program) -> None:
    for length in (60, 60, 100):
        assert xdp.test_run(bytes(length)).retval == 2  # the constant in .rodata
    assert number(xdp, ".data") == 43  # 40 in the beginning
    assert number(xdp, ".bss") == 4 * 100
    assert number(xdp, "sums") == 4 * (60 + 60 + 100)
    assert {key: value for key, value in xdp.maps["lengths"].items()} == {  # noqa: C416
        struct.pack("=I", 60): struct.pack("=Q", 2),
        struct.pack("=I", 100): struct.pack("=Q", 1),
    }


def test_constants_are_frozen(xdp: Program) -> None:
    with pytest.raises(PermissionDenied):
        xdp.maps[".rodata"].update(0, bytes(4))
    assert xdp.test_run(bytes(60)).retval == 2


def test_maps_from_before_btf_count(xdp: Program) -> None:
    with load("legacy.o", "count") as program:
        program.test_run(bytes(60))
        assert (number(program, "hits", 0), number(program, "hits", 1)) == (0, 1)


def test_the_verifiers_refusal_names_the_function() -> None:
    with pytest.raises(VerifierError, match="in 'careless': invalid access to packet"):
        load("wrong.o", "careless")


def test_another_byte_order_is_refused() -> None:
    with pytest.raises(UsageError, match="program 'count_xdp' is for a big-endian kernel"):
        load("counter-big.o", "count_xdp")
