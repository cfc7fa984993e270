"""Views read what the C expression of the same words would, and say what a kernel does not have."""

import ctypes
import sys

import pytest

from meshlens.ebpf import R6, R7, R8, Asm, MapSpec, MapType, ProgramSpec, ProgramType
from meshlens.ebpf.assembler import AssemblyError
from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.tracing import Function, KernelTypes, Trace, View, cast, exists, first_of, size_of
from meshlens.ebpf.view import Place
from meshlens.errors import NotSupported, UsageError
from tests.unit.ebpf.btf_maker import Maker, add_structure

INTEGERS = (
    ctypes.c_uint8, ctypes.c_int8, ctypes.c_uint16, ctypes.c_int16, ctypes.c_uint32, ctypes.c_int32,
    ctypes.c_uint64, ctypes.c_int64,
)  # fmt: skip


class Rate(ctypes.Structure):
    """As struct ieee80211_tx_rate in net/mac80211.h, and a few worse ones."""

    _pack_ = 1
    _fields_ = [
        ("idx", ctypes.c_int8), ("count", ctypes.c_uint16, 5), ("flags", ctypes.c_uint16, 11),
        ("signal", ctypes.c_int32, 7), ("noise", ctypes.c_int32, 9), ("wide", ctypes.c_uint64, 33),
        ("plain", ctypes.c_uint16), ("negative", ctypes.c_int32), ("long", ctypes.c_uint64),
    ]  # fmt: skip


@pytest.mark.root
@pytest.mark.kernel
@pytest.mark.parametrize("seed", range(4))
def test_fields_have_the_values_that_c_gives_them(seed: int) -> None:
    maker = Maker()
    integers = {
        kind: maker.integer(kind.__name__, ctypes.sizeof(kind), not kind.__name__.startswith("c_u"))
        for kind in INTEGERS
    }
    type = add_structure(maker, Rate, integers)
    btf = Btf(maker.encode())
    data = bytes(
        (37 * number + 91 * seed) % 256 ^ (number * seed) % 251 for number in range(ctypes.sizeof(Rate))
    )
    expected = Rate.from_buffer_copy(data)
    names = [field[0] for field in Rate._fields_]
    read = read_in_kernel(btf, type, names, data)
    assert read == {name: getattr(expected, name) & (1 << 64) - 1 for name in names}


def read_in_kernel(btf: Btf, type: int, names: list[str], data: bytes) -> dict[str, int]:
    """Each field of `data` in a map's value, as a program reads it."""
    a = Trace("fentry", Function("test", btf, (), 0))
    a.map_value(R6, "in")
    view = View(Place(btf, R6, (0,), type, "rate", direct=1))
    a.map_value(R7, "out")
    for number, name in enumerate(names):
        a.read(R8, view[name])
        a.store(R7, 8 * number, R8, 8)
    a.ret(0)
    maps = {
        "in": MapSpec("in", MapType.ARRAY, 4, len(data), 1),
        "out": MapSpec("out", MapType.ARRAY, 4, 8 * len(names), 1),
    }
    with ProgramSpec("read", ProgramType.SOCKET_FILTER, a, maps=maps).load() as program:
        zero = (0).to_bytes(4, sys.byteorder)
        program.maps["in"].update(zero, data)
        program.test_run(bytes(64))
        out = program.maps["out"].lookup(zero)
    assert out is not None
    return {
        name: int.from_bytes(out[8 * number : 8 * number + 8], sys.byteorder)
        for number, name in enumerate(names)
    }


def status_types() -> KernelTypes:
    """Struct status { info *info; u8 address[6]; struct rate rates[2]; u8 *data; struct unknown *next; }."""
    maker = Maker()
    u8, u32 = maker.integer("u8", 1), maker.integer("u32", 4)
    info = maker.compound("info", 0x9008, ("flags", u32, 32, 0), ("far", u32, 0x9000 * 8, 0))
    rate = maker.compound("rate", 3, ("idx", u8, 0, 0), ("count", u32, 8, 5))
    six, two = (maker.add(Kind.ARRAY, "", 0, *words) for words in ((u8, u32, 6), (rate, u32, 2)))
    unknown = maker.add(Kind.FWD, "unknown")
    status = maker.compound(
        "status", 40, ("info", maker.pointer(info), 0, 0), ("address", six, 64, 0), ("rates", two, 14 * 8, 0),
        ("data", maker.pointer(u8), 24 * 8, 0), ("next", maker.pointer(unknown), 32 * 8, 0),
    )  # fmt: skip
    maker.function("report", u32, ("count", u8), ("status", maker.pointer(status)))
    maker.add(Kind.ENUM, "", 4, maker.text("ACKED"), 512, count=1)
    return KernelTypes(btfs={"": Btf(maker.encode())})


def traced(hook: str = "fentry") -> Trace:
    return Trace("kprobe" if hook == "kprobe" else "fentry", status_types().function("report"))


def listing(a: Asm) -> list[str]:
    lines = ProgramSpec("p", ProgramType.TRACING, a).disassemble().splitlines()
    return [line.split(": ", 1)[1] for line in lines]


def test_pointers_that_the_verifier_knows_are_followed_without_a_helper() -> None:
    a = traced()
    a.read(R6, a.argument("status").info.flags)
    assert listing(a) == [
        "r9 = r1", "r6 = *(u64 *)(r9 +8)", "r6 = *(u64 *)(r6 +0)", "r6 = *(u32 *)(r6 +4)",
    ]  # fmt: skip


def test_a_field_further_away_than_an_offset_reaches() -> None:
    a = traced()
    info = a.hold(R7, a.argument("status").info)
    a.read(R6, info.far)
    assert listing(a)[-3:] == ["r6 = r7", "r6 += 36864", "r6 = *(u32 *)(r6 +0)"]


def test_what_the_verifier_does_not_know_is_read_by_a_helper() -> None:
    a = traced()
    a.read(R6, a.argument("status").data[3])
    assert listing(a)[1:] == [
        "r6 = *(u64 *)(r9 +8)", "r6 = *(u64 *)(r6 +24)", "r3 = r6", "r3 += 3",
        "r1 = r10", "r1 += -8", "r2 = 1",
        "call bpf_probe_read_kernel#113", "r6 = *(u8 *)(r10 -8)",
    ]  # fmt: skip
    behind = traced()
    behind.read(R6, behind.hold(R7, behind.argument("status").data)[3])
    assert sum("call" in line for line in listing(behind)) == 1


def test_elements_members_and_casts_add_up() -> None:
    a = traced()
    status = a.argument("status")
    a.read(R6, status.rates[1].count)
    assert listing(a)[2] == "r6 = *(u8 *)(r6 +18)"
    assert size_of(status.address) == 6
    a.read(R6, cast(status.rates, "struct info").flags)
    assert listing(a)[-1] == "r6 = *(u32 *)(r6 +18)"
    assert repr(status.info) == "<report(status).info: struct info *>"


def test_what_is_missing_is_named_all_of_it_and_once_the_program_is_made() -> None:
    a = traced()
    status = a.argument("status")
    slot = a.slot(8)
    a.read(R6, status.inof.flags)
    a.read(R6, status.rates[2].idx)
    a.copy(slot, cast(status.data, "struct ethhdr").h_dest)
    a.read(R6, status.next.count)
    a.read(R6, a.argument("sta"))
    a.ret(0)
    with pytest.raises(NotSupported) as refused:
        a.program("acks")
    assert str(refused.value).split(": ", 1)[1].split("; ") == [
        "report(status).inof: struct status has no field 'inof'",
        "report(status).rates[2]: there are 2 elements",
        "(struct ethhdr)report(status).data: this kernel has no struct ethhdr",
        "report(status).next.count: struct unknown has no fields",
        "report(sta): the arguments are count, status",
    ]


def test_alternatives_are_tried_in_turn() -> None:
    a = traced()
    status = a.argument("status")
    found = first_of(status.deflink.flags, status.info.flags)
    assert exists(found)
    assert repr(found) == "<report(status).info.flags: u32>"
    assert not exists(first_of(status.deflink, status.link))
    types = status_types()
    assert types.function("report_ext", "report").name == "report"
    assert types.constant("FINE", "ACKED") == 512
    with pytest.raises(NotSupported, match="no function report_ext or report2"):
        types.function("report_ext", "report2")
    with pytest.raises(NotSupported, match="no constant FINE"):
        types.constant("FINE")


def test_what_no_register_holds_is_an_error_of_the_programmer() -> None:
    a = traced()
    with pytest.raises(AssemblyError, match="has 6 bytes, which no register holds: copy"):
        a.read(R6, a.argument("status").address)
    with pytest.raises(UsageError, match="a fentry runs before there is a result"):
        a.result()


def test_a_module_knows_the_type_that_the_kernel_only_names() -> None:
    base = Maker()
    u32 = base.integer("u32", 4)
    forward = base.add(Kind.FWD, "wireless")
    device = base.compound("device", 8, ("wireless", base.pointer(forward), 0, 0))
    base.function("receive", u32, ("device", base.pointer(device)))
    module = Maker(base.next, base.strings)
    module.compound("wireless", 8, ("channel", u32, 32, 0))
    kernel = Btf(base.encode())
    types = KernelTypes(btfs={"cfg80211": Btf(module.encode(), kernel)})
    a = Trace("fentry", types.function("receive"))
    assert a.function.module == ""
    a.read(R6, a.argument("device").wireless.channel)
    assert listing(a)[-1] == "r6 = *(u32 *)(r10 -8)"  # by the helper: to the verifier it is a number


def test_a_kprobe_reads_registers_from_its_context_and_the_rest_by_the_helper() -> None:
    a = Trace("kprobe", kernel_function("netif_rx"))
    a.read(R6, a.argument("skb").dev.ifindex)
    helper_calls = [line for line in listing(a) if "call" in line]
    assert listing(a)[1].startswith("r6 = *(u64 *)(r9 +")
    assert len(helper_calls) == 2
    with pytest.raises(UsageError, match="a kretprobe has no arguments"):
        Trace("kretprobe", kernel_function("netif_rx")).argument("skb")


def kernel_function(name: str) -> Function:
    try:
        return KernelTypes().function(name)
    except NotSupported as error:
        pytest.skip(str(error))
