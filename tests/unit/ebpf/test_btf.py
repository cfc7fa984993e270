"""BTF is read as bpftool reads it, and what is no BTF is refused."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meshlens.ebpf.btf import Btf, Kind, Member
from meshlens.errors import MeshlensError
from tests.unit.ebpf.btf_maker import Maker

VMLINUX = Path("/sys/kernel/btf/vmlinux")
Type = dict[str, Any]


@pytest.fixture(scope="module")
def ours() -> Btf:
    if not VMLINUX.exists():
        pytest.skip("this kernel has no BTF")
    return Btf(VMLINUX.read_bytes())


@pytest.fixture(scope="module")
def theirs() -> list[Type]:
    if not shutil.which("bpftool"):
        pytest.skip("no bpftool")
    command = ["bpftool", "-j", "btf", "dump", "file", str(VMLINUX)]
    types: list[Type] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["types"]
    return types


def test_each_type_of_this_kernel_is_as_bpftool_reads_it(ours: Btf, theirs: list[Type]) -> None:
    assert len(ours) == len(theirs) + 1
    for type in theirs:
        number = type["id"]
        assert (ours.kind(number).name, ours.name(number) or "(anon)") == (type["kind"], type["name"])
        match type["kind"]:
            case "STRUCT" | "UNION":
                assert list(ours.members(number)) == [member_of(each) for each in type["members"]]
                assert ours.size(number) == type["size"]
            case "FUNC_PROTO":
                expected = [(named(each), each["type_id"]) for each in type["params"]]
                assert ours.parameters(number) == expected
                assert ours.target(number) == type["ret_type_id"]
            case "ARRAY":
                assert ours.array(number) == (type["type_id"], type["nr_elems"])
            case "PTR" | "TYPEDEF" | "CONST" | "VOLATILE" | "FUNC" | "TYPE_TAG":
                assert ours.target(number) == type["type_id"]
            case "INT":
                assert ours.signed(number) == (type["encoding"] == "SIGNED")
                assert ours.size(number) == type["size"]


def member_of(member: Type) -> Member:
    return Member(named(member), member["type_id"], member["bits_offset"], member.get("bitfield_size", 0))


def named(thing: Type) -> str:
    return "" if thing["name"] == "(anon)" else str(thing["name"])


def test_types_and_constants_are_found_by_name(ours: Btf, theirs: list[Type]) -> None:
    first: dict[tuple[str, str], int] = {}
    constants: dict[str, set[int]] = {}
    for type in theirs:
        first.setdefault((type["kind"], type["name"]), type["id"])
        for constant in type.get("values", ()):
            constants.setdefault(constant["name"], set()).add(constant["val"])
    sample = random.Random(1)
    for kind in ("STRUCT", "UNION", "FUNC", "TYPEDEF", "ENUM"):
        names = sorted(name for each, name in first if each == kind and name != "(anon)")
        for name in sample.sample(names, min(60, len(names))):
            assert ours.find(name, Kind[kind]) == first[kind, name]
    for name in sample.sample(sorted(constants), 200):
        assert ours.enumerator(name) in constants[name]
    assert ours.find("no_such_type", *Kind) is None
    assert ours.find("sk_buff", Kind.UNION, Kind.FUNC) is None
    assert ours.enumerator("no_such_constant") is None
    assert ours.enumerator("sk_buff") is None


def kernel() -> Maker:
    maker = Maker()
    maker.integer("int", 4, signed=True)
    maker.compound("device", 8, ("index", 1, 32, 0))
    return maker


def test_a_module_counts_on_from_the_kernel_and_refers_to_it() -> None:
    base = kernel()
    module = Maker(base.next, base.strings)
    pointer = module.pointer(2)
    station = module.compound("station", 16, ("device", pointer, 0, 0), ("index", 1, 64, 0))
    btf = Btf(module.encode(), Btf(base.encode()))
    assert (pointer, station, len(btf)) == (3, 4, 5)
    assert btf.find("station", Kind.STRUCT) == 4
    assert btf.find("device", Kind.STRUCT) == 2
    assert [each.name for each in btf.members(4)] == ["device", "index"]
    assert btf.describe(btf.members(4).__next__().type) == "struct device *"
    assert btf.pointer_to(2) == 3
    assert Btf(base.encode()).find("station", Kind.STRUCT) is None


def test_a_module_s_first_name_is_found() -> None:
    base = kernel()
    module = Maker(base.next, base.strings)
    module.compound("first", 4)
    assert not module.strings.startswith(b"\0")
    assert Btf(module.encode(), Btf(base.encode())).find("first", Kind.STRUCT) == base.next


def test_fields_of_unnamed_unions_are_the_outer_structures() -> None:
    maker = kernel()
    inner = maker.compound("", 4, ("rate", 1, 0, 0), ("power", 1, 16, 3), kind=Kind.UNION)
    outer = maker.compound("status", 12, ("flags", 1, 0, 0), ("", inner, 64, 0))
    btf = Btf(maker.encode())
    assert btf.member(outer, "power") == Member("power", 1, 80, 3)
    assert btf.member(outer, "speed") is None


def test_both_byte_orders_are_read() -> None:
    little, big = Btf(kernel().encode("<")), Btf(kernel().encode(">"))
    for btf in (little, big):
        assert btf.find("device", Kind.STRUCT) == 2
        assert list(btf.members(2)) == [Member("index", 1, 32, 0)]


def test_negative_constants_and_those_of_64_bits() -> None:
    maker = Maker()
    maker.add(Kind.ENUM, "small", 4, maker.text("MINUS"), 0xFFFFFFFF, maker.text("TWO"), 2, count=2, flag=1)
    maker.add(Kind.ENUM64, "large", 8, maker.text("HIGH"), 1, 1 << 31, count=1)
    btf = Btf(maker.encode())
    assert [btf.enumerator(name) for name in ("MINUS", "TWO", "HIGH")] == [-1, 2, 1 | 1 << 63]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no BTF: it begins with nothing"),
        (b"\x7fELF" + bytes(60), "no BTF: it begins with 7f45"),
        (kernel().encode()[:-5], "cut BTF"),
        (kernel().encode()[:30], "cut BTF"),
    ],
)
def test_what_is_no_btf_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(MeshlensError, match=complaint):
        Btf(data)


def test_a_type_that_runs_over_the_end_is_refused() -> None:
    maker = kernel()
    maker.add(Kind.STRUCT, "long", 8, count=5)
    with pytest.raises(MeshlensError, match="its last type is cut"):
        Btf(maker.encode())


def test_a_number_without_type_is_named() -> None:
    with pytest.raises(MeshlensError, match="no type number 3 in this BTF: there are 1 to 2"):
        Btf(kernel().encode()).name(3)
