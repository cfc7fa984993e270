"""A flow is the same however its fragments were cut."""

import random

import pytest

from meshlens.probes.flows.layout import FOREVER_NS, Fragment, Key, canonical
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.packet import FlowPacket
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.table import FlowTable, fold, period_end

OPTIONS = FlowOptions(idle_ns=100, active_ns=1000, head=4)
Packet = tuple[int, int, int, int]  # time, way, bytes, flow


def key(number: int) -> Key:
    ports = (number.to_bytes(2), b"\0\7")
    return canonical(b"\x0a\0\0\1", b"\x0a\0\0\2", ports, 6, 4)[0]


def fragments(packets: list[Packet], cpus: int, rng: random.Random) -> list[Fragment]:
    """What `cpus` CPUs have of the packets, some of it fetched in between."""
    entries: dict[tuple[int, Key], Fragment] = {}
    gone = []
    for time_ns, way, size, number in packets:
        place = rng.randrange(cpus), key(number)
        packet = FlowPacket(place[1], way, 1 << way)
        entries[place], ended = fold(entries.get(place), packet, time_ns, size, 0, OPTIONS)
        gone += [ended] if ended else []
        if rng.random() < 0.05 and cpus > 1:
            gone.append(entries.pop(place))
    return [*gone, *entries.values()]


def flows_of(parts: list[Fragment], now_ns: int = 0) -> list[Flow]:
    table = FlowTable(OPTIONS)
    table.add(parts)
    return table.flush("eth0", now_ns)


@pytest.mark.parametrize("seed", range(20))
def test_fragments_of_several_cpus_make_the_flows_that_one_cpu_would_have_seen(seed: int) -> None:
    rng = random.Random(seed)
    times = sorted(rng.sample(range(1, 5000), 300))
    packets = [(each, rng.randrange(2), rng.randrange(60, 1500), rng.randrange(3)) for each in times]
    whole = flows_of(fragments(packets, 1, rng))
    parts = fragments(packets, 4, rng)
    rng.shuffle(parts)
    assert flows_of(parts) == whole
    assert sum(flow.packets for flow in whole) == len(packets)
    assert len(whole) > 3


def test_a_gap_longer_than_the_idle_time_ends_a_flow_and_one_as_long_does_not() -> None:
    rng = random.Random(0)
    assert len(flows_of(fragments([(1, 0, 60, 1), (101, 0, 60, 1)], 1, rng))) == 1
    assert len(flows_of(fragments([(1, 0, 60, 1), (102, 0, 60, 1)], 1, rng))) == 2


def test_a_flow_ends_with_its_period() -> None:
    flows = flows_of(fragments([(990, 0, 60, 1), (1000, 0, 60, 1)], 1, random.Random(0)), now_ns=1500)
    assert [(flow.first_ns, flow.ended) for flow in flows] == [(990, "active"), (1000, "idle")]
    assert period_end(999, 1000) == 1000
    assert period_end(1000, 1000) == 2000
    assert period_end(1, 0) == FOREVER_NS


def test_a_flow_is_handed_out_when_it_has_ended_and_no_fragment_of_it_still_grows() -> None:
    table = FlowTable(OPTIONS)
    table.add(fragments([(1, 0, 60, 1)], 1, random.Random(0)))
    assert table.take("eth0", 101) == []
    assert table.take("eth0", 102, {key(1): [90]}) == []
    assert [flow.ended for flow in table.take("eth0", 102, {key(1): [150]})] == ["idle"]
    assert table.flush("eth0", 102) == []


def test_the_source_is_who_sent_first_and_the_head_says_who_sent_what_when() -> None:
    packets = [(5, 1, 74, 1), (8, 0, 60, 1), (15, 1, 1500, 1)]
    (flow,) = flows_of(fragments(packets, 1, random.Random(0)))
    assert (flow.src_packets, flow.src_bytes, flow.dst_packets, flow.dst_bytes) == (2, 1574, 1, 60)
    assert flow.head_sizes == (74, 60, 1500)
    assert flow.head_ways == (1, -1, 1)
    assert flow.head_gaps_ns == (0, 3, 7)
    assert (flow.src_flags, flow.dst_flags) == (2, 1)


def test_an_entry_survives_the_way_into_the_map_and_back() -> None:
    (entry,) = fragments([(5, 1, 74, 1), (8, 0, 60, 1), (15, 1, 1500, 1)], 1, random.Random(0))
    assert Fragment.unpack(entry.pack(OPTIONS.head, cpu=3)) == entry


def test_an_skb_of_several_packets_is_as_many_in_the_head() -> None:
    (entry,) = fragments([(5, 0, 74, 1)], 1, random.Random(0))
    entry.head.append(entry.head[0]._replace(time_ns=9, size=1514 * 2 + 100, segment=1514, packets=3))
    (flow,) = flows_of([entry])
    assert flow.head_sizes == (74, 1514, 1514, 100)
    assert flow.head_gaps_ns == (0, 4, 0, 0)
