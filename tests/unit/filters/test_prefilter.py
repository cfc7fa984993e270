"""A prefilter and the filters behind it look at the same frame, each for itself, as with libpcap."""

import pytest

from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.filters.pcap import FilterError, compile_cbpf, matches
from meshlens.packet.craft import tag
from meshlens.packet.mesh import overhead_mix, payload_mix

MAC = "02:00:00:00:00:01"
PLAIN = [
    "ip",
    "arp",
    "vlan",
    "vlan 7 and ip",
    "not ip6",
    "len > 100",
    "udp port 53",
    "ether src $MAC",
    "icmp6",
]
PREFILTERS = [
    *PLAIN,
    "vlan and vlan",
    "not vlan",
    "greater 60 and not tcp",
    "ether[200] = 0",
    "not ether[200] = 0",
]


def frames() -> list[bytes]:
    mixed = [each.data for each in (*overhead_mix(150), *payload_mix(50))]
    return [
        *mixed,
        *(tag(each, 7) for each in mixed[::3]),
        *(tag(each, 7, 8) for each in mixed[::9]),
        b"\0" * 14,
    ]


def listed(prefilter: str, expressions: list[str]) -> FilterList:
    filters = [FilterDef(each, each, line) for line, each in enumerate(expressions, 1)]
    return FilterList(tuple(filters), prefilter=prefilter).with_mac(MAC)


@pytest.mark.parametrize("prefilter", PREFILTERS)
def test_what_is_counted_matches_both_in_libpcap(prefilter: str) -> None:
    own = listed(prefilter, PLAIN)
    compiled = compile_list(own)
    before = compile_cbpf(own.prefilter)
    programs = [compile_cbpf(each.expression) for each in own]
    for frame in frames():
        passed = matches(before, frame)
        expected = {i for i, program in enumerate(programs) if passed and matches(program, frame)}
        assert compiled.match(frame) == expected


@pytest.mark.parametrize("prefilter", ["batadv 15 bcast", "batadv 15 bcast and arp", "not batadv 15 unicast"])
def test_a_prefilter_moves_no_filter_to_the_inner_frame(prefilter: str) -> None:
    expressions = ["arp", "ether proto 0x4305", "batadv 15 bcast and arp", "batadv 15", "len < 80"]
    together = compile_list(listed(prefilter, expressions))
    alone = compile_list(listed("", [prefilter, *expressions]))
    seen = set()
    for frame in frames():
        apart = alone.match(frame)
        expected = {position - 1 for position in apart if position} if 0 in apart else set()
        assert together.match(frame) == expected
        seen |= expected
    assert 1 in seen


def test_it_may_ask_for_the_direction() -> None:
    compiled = compile_list(listed("inbound", ["arp or not arp"]))
    assert compiled.match(bytes(60), direction=0) == {0}
    assert compiled.match(bytes(60), direction=1) == frozenset()


def test_a_wrong_one_is_named_as_such() -> None:
    with pytest.raises(FilterError, match=r"^prefilter: .*arpp"):
        compile_list(listed("arpp", ["ip"]))


def test_the_interfaces_address_stands_in_it_too() -> None:
    assert FilterList((), prefilter="ether src $MAC").uses_mac
    assert not FilterList((), prefilter="arp").uses_mac
    assert FilterList((), prefilter="ether src $MAC").with_mac(MAC).prefilter == f"ether src {MAC}"
