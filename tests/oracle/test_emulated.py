"""Big-endian programs, and skbs as BPF_PROG_TEST_RUN cannot make them: run by the emulator."""

import random

import pytest

from meshlens.ebpf import ByteOrder
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.probes.count.program import Hook
from tests.oracle.corpus import Sample, captured, clients, damaged, mesh_mixes
from tests.oracle.expressions import sections
from tests.oracle.judges import HOOKS, NEXT, Emulated, Slots, as_list, join
from tests.oracle.mesh_frames import tagged_frames
from tests.oracle.real_lists import real_lists

ORDERS: tuple[ByteOrder, ...] = ("little", "big")
#: How many frames each list gets: the long one of all expressions fewer.
FRAMES = {"plain": 60, "scoped": 250, "real": 700}


@pytest.fixture(scope="module", params=FRAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def filters(name: str) -> CompiledList:
    if name == "real":
        return join([compile_list(each, helpers=True) for each in real_lists().values()])
    file = {"plain": "expressions.txt", "scoped": "scoped.txt"}[name]
    return join([compile_list(as_list(each)) for each in sections(file).values()])


@pytest.fixture(scope="module")
def frames(name: str) -> list[bytes]:
    """A few of each sort, as long as XDP has them."""
    inside = tagged_frames(clients()[:10], seed=1)
    sorts = [mesh_mixes(), captured(), tuple(inside), damaged(mesh_mixes()[::5], seed=2)]
    rng = random.Random(3)
    samples = [sample for sort in sorts if sort for sample in rng.sample(sort, FRAMES[name] // len(sorts))]
    return [sample.data for sample in samples if 14 <= len(sample.data) < 3500]


def counts(emulated: Emulated, interpreter: Slots, data: bytes, wire: bytes | None = None) -> bool:
    """Whether a frame is counted as the interpreter says; `wire` are its bytes if a tag is not in `data`."""
    whole = wire or data
    right = emulated.run(data) == NEXT[emulated.hook]
    slots = interpreter.of(Sample(whole, len(whole)))
    return emulated.agree(emulated.foretell(slots, len(whole))) and right


@pytest.mark.parametrize("hook", HOOKS)
def test_a_big_endian_program_counts_the_same_by_as_many_instructions(
    filters: CompiledList, frames: list[bytes], hook: Hook
) -> None:
    interpreter = Slots(filters)
    little, big = (Emulated(filters, hook, order) for order in ORDERS)
    for data in frames:
        assert counts(little, interpreter, data), data.hex()
        assert counts(big, interpreter, data), data.hex()
        assert little.executed == big.executed, data.hex()
    assert little.end() == big.end() == ""


@pytest.mark.parametrize("order", ORDERS)
def test_bytes_outside_the_linear_part_are_looked_at_all_the_same(
    filters: CompiledList, frames: list[bytes], order: ByteOrder
) -> None:
    rng, interpreter, emulated = random.Random(4), Slots(filters), Emulated(filters, "tc", order)
    for data in frames:
        emulated.skb = {"linear_bytes": rng.choice((0, 14, 34, 54, rng.randrange(len(data))))}
        assert counts(emulated, interpreter, data), (emulated.skb, data.hex())
    assert emulated.end() == ""


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hook", ["tc", "socket"])
def test_a_tag_in_the_metadata_is_as_good_as_one_in_the_bytes(
    filters: CompiledList, frames: list[bytes], hook: Hook, order: ByteOrder
) -> None:
    rng, interpreter, emulated = random.Random(5), Slots(filters), Emulated(filters, hook, order)
    for data in frames:
        protocol, tci = rng.choice((0x8100, 0x88A8)), rng.choice((100, 200, 0, 0x2064, 0xFFFF))
        tag = protocol.to_bytes(2, "big") + tci.to_bytes(2, "big")
        emulated.skb = {"vlan_present": 1, "vlan_proto": protocol, "vlan_tci": tci}
        emulated.skb["linear_bytes"] = rng.choice((len(data), 14))
        assert counts(emulated, interpreter, data, data[:12] + tag + data[12:]), (emulated.skb, data.hex())
    assert emulated.end() == ""


def test_bytes_beyond_64_kib_are_looked_at_in_a_large_skb() -> None:
    compiled = compile_list(as_list(["ether[70000:4] != 0", "ether[65534:4] != 0", "len > 65535"]))
    interpreter, emulated = Slots(compiled), Emulated(compiled, "tc")
    for data in (bytes(12) + b"\1" * 80_000, bytes(80_000), b"\1" * 65_538, b"\1" * 65_537):
        for linear in (64, len(data)):
            emulated.skb = {"linear_bytes": linear}
            assert counts(emulated, interpreter, data), (linear, len(data))
