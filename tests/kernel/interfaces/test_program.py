"""The interface probe counts what its definition in Python says, frame by frame."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshlens.ebpf import BpfError, ByteOrder, Program, Skb, pack_context
from meshlens.ebpf.emulate import Emulator
from meshlens.packet import craft
from meshlens.packet.ethertypes import NAMES, OTHER
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.snapshot import Direction
from meshlens.probes.traffic.layout import (
    COUNTERS,
    PLACES,
    SIZES,
    frame_of,
    minus,
    prepare,
    read_counters,
    read_missed,
    size_class,
)
from meshlens.probes.traffic.program import traffic_program
from meshlens.probes.traffic.record import Traffic

ORDERS: tuple[ByteOrder, ...] = ("little", "big")
MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")


def expected(frames: Iterable[bytes], direction: Direction = "in") -> Traffic:
    casts, sizes = Counter[str](), Counter[int]()
    ethertypes: dict[int, tuple[int, int]] = {}
    total = 0
    for data in frames:
        frame = frame_of(data)
        assert frame
        casts[frame.cast] += 1
        sizes[size_class(len(data))] += 1
        total += len(data)
        packets, bytes_ = ethertypes.get(frame.ethertype, (0, 0))
        ethertypes[frame.ethertype] = packets + 1, bytes_ + len(data)
    return Traffic(
        direction,
        casts.total(),
        total,
        casts["unicast"],
        casts["multicast"],
        casts["broadcast"],
        dict(sorted(ethertypes.items())),
        tuple(sizes[place] for place in range(SIZES)),
    )


def frames() -> list[bytes]:
    """Mesh traffic, tagged frames, all lengths that a step or a power of two ends at."""
    mixed = [each.data for each in (*overhead_mix(300), *payload_mix(300))]
    tagged = [craft.tag(each, *range(1, depth + 1)) for depth in (1, 2, 3) for each in mixed[::40]]
    edges = {size + more for power in range(4, 12) for size in (1 << power,) for more in (-1, 0, 1)}
    sized = [craft.ethernet(*MACS, 0x88B5, bytes(size - 14)) for size in edges if size > 14]
    llc = [craft.ethernet("01:80:c2:00:00:00", MACS[1], length, bytes(60)) for length in (0, 38, 1535, 1536)]
    cut = [bytes(12) + b"\x81\x00" + bytes(more) for more in range(7)]
    return [*mixed, *tagged, *sized, *llc, *cut]


@pytest.fixture
def program() -> Iterator[Program]:
    with traffic_program().load() as loaded:
        prepare(loaded.maps[COUNTERS].mmap())
        yield loaded


@pytest.mark.kernel
def test_the_kernel_counts_what_the_definition_says(program: Program) -> None:
    counters = program.maps[COUNTERS].mmap()
    for data in frames():
        before = read_counters(counters, "in")
        assert program.test_run(data).retval == 0xFFFFFFFF  # TC_ACT_UNSPEC: the next one decides
        assert minus(read_counters(counters, "in"), before) == expected([data]), data.hex()
    assert read_counters(counters, "in") == expected(frames())
    assert read_missed(counters) == {"unreadable": 0}


@pytest.mark.kernel
@settings(deadline=None, max_examples=200)
@given(data=st.binary(min_size=14, max_size=200) | st.builds(
    lambda head, depth, tail: head + b"\x81\x00\0\7" * depth + tail,
    st.binary(min_size=12, max_size=12), st.integers(0, 3), st.binary(min_size=2, max_size=9)))  # fmt: skip
def test_any_bytes_are_counted_as_defined(data: bytes) -> None:
    with traffic_program().load() as program:
        counters = program.maps[COUNTERS].mmap()
        prepare(counters)
        try:
            program.test_run(data)
        except BpfError:
            assume(False)  # BPF_PROG_TEST_RUN wants whole IP headers
        assert read_counters(counters, "in") == expected([data])


@pytest.mark.kernel
def test_ethertypes_without_room_are_others_and_nothing_is_lost(program: Program) -> None:
    numbers = random.Random(1).sample(range(0x600, 0x8000), 500)
    sent = [craft.ethernet(*MACS, number, bytes(50)) for number in numbers if number not in NAMES]
    known = [craft.ethernet(*MACS, number, bytes(46)) for number in (0x0800, 0x4305)]
    for data in [*sent, *known]:
        program.test_run(data)
    traffic = read_counters(program.maps[COUNTERS].mmap(), "in")
    assert traffic.packets == sum(packets for packets, _ in traffic.ethertypes.values()) == len(sent) + 2
    assert traffic.bytes == sum(map(len, [*sent, *known]))
    assert traffic.ethertypes[0x0800] == traffic.ethertypes[0x4305] == (1, 60), "names have their places"
    free = PLACES - len(NAMES) + 1
    assert free * 3 / 4 < len(traffic.ethertypes.keys() - {OTHER, 0x0800, 0x4305}) <= free
    assert traffic.ethertypes[OTHER][0] > 300


@pytest.mark.kernel
def test_an_skb_of_several_segments_is_as_many_packets_of_their_sizes(program: Program) -> None:
    """TCP over IPv4: 54 bytes of headers, 2 full segments of 1448 bytes and one of 100."""
    data = craft.ip_frame(MACS[0], craft.tcp("10.0.0.1", "10.0.0.2", 1, 2, bytes(2 * 1448 + 100)), MACS[1])
    context = pack_context(Skb, gso_segs=3, gso_size=1448)
    program.test_run(data, ctx=context)
    traffic = read_counters(program.maps[COUNTERS].mmap(), "in")
    assert (traffic.packets, traffic.bytes) == (3, 3 * 54 + 2 * 1448 + 100)
    assert {place: count for place, count in enumerate(traffic.sizes) if count} == {10: 2, 7: 1}
    assert traffic.ethertypes == {0x0800: (3, traffic.bytes)}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("linear_bytes", [None, 0, 15, 17])
def test_byte_order_and_where_the_bytes_are_make_no_difference(
    order: ByteOrder, linear_bytes: int | None
) -> None:
    emulated = Emulator(traffic_program(order))
    tried = frames()[::3]
    for data in tried:
        emulated.run(data, linear_bytes=linear_bytes)
    assert read_counters(native(emulated), "in") == expected(tried)


def native(emulated: Emulator) -> bytes:
    """The counters as this machine would have them."""
    value, order = emulated.maps[COUNTERS], emulated.byteorder
    words = (value[at : at + 8] for at in range(0, len(value), 8))
    return b"".join(
        partial(int.to_bytes, length=8, byteorder="little")(int.from_bytes(w, order)) for w in words
    )


def test_a_tag_in_the_metadata_has_bytes_on_the_wire_and_hides_no_ethertype() -> None:
    emulated = Emulator(traffic_program())
    frame = craft.ethernet(*MACS, 0x0806, bytes(46))
    emulated.run(frame, vlan_present=1, vlan_tci=7, vlan_proto=0x8100)
    traffic = read_counters(bytes(emulated.maps[COUNTERS]), "in")
    assert traffic.ethertypes == {0x0806: (1, 64)}
    assert traffic.sizes[6] == 1


def test_a_frame_without_a_whole_header_is_missed_and_said_so() -> None:
    emulated = Emulator(traffic_program())
    emulated.run(bytes(13))
    counters = bytes(emulated.maps[COUNTERS])
    assert read_missed(counters) == {"unreadable": 1}
    assert read_counters(counters, "in").packets == 0
