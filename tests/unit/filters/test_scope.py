"""Scopes: which frame each primitive of an expression is about, and what libpcap gets to read."""

import pytest

from meshlens.filters.errors import FilterError
from meshlens.filters.lists import load_list
from meshlens.filters.markers import MARK_INNER, MARK_META, META_DIRECTION, META_IFINDEX
from meshlens.filters.pcap import compile_cbpf
from meshlens.filters.scope import Part, Rewritten, rewrite
from meshlens.packet.batadv import PACKET_TYPES
from tests.data import DATA, needs_data
from tests.unit.filters.scope_oracle import (
    FRAMES,
    Batadv,
    arp,
    encapsulated,
    ethernet,
    inner_frame,
    ipv4,
    is_batadv,
    rewritten_matches,
    tagged,
)

GLUON = DATA / "filters" / "gluon-statistics-mcast.mesh.filters"

BCAST = "(ether proto 0x4305 and ether[14:2] = 0x010f)"
INNER_0 = f"(ether[{MARK_INNER:#x}] = 1)"

ARP, DNS = arp(1), ipv4(17, 40000, 53)
BCAST_ARP = encapsulated(15, "bcast", ARP)
BCAST_DNS = encapsulated(15, "bcast", DNS)
UNICAST_ARP = encapsulated(15, "unicast", ARP)
ICMP = encapsulated(15, "icmp", bytes(200))


def texts(expression: str) -> list[str]:
    return [part.text for part in rewrite(expression).parts]


def matched(expression: str, *frames: bytes) -> list[bool]:
    return [rewritten_matches(rewrite(expression), frame) for frame in frames]


@pytest.mark.parametrize(
    "expression",
    [
        "arp",
        "ip  and  port 80 or 443",
        "",
        "no such thing",
        "host \\batadv",
        "port batadv-x",
        "ether[0] & 1 = 0",
    ],
)
def test_an_expression_without_our_words_is_left_as_it_is(expression: str) -> None:
    assert rewrite(expression) == Rewritten(expression)


def test_a_typed_batadv_moves_what_is_to_its_right_to_the_inner_frame() -> None:
    assert rewrite("batadv 15 bcast and arp") == Rewritten(f"{BCAST} and {INNER_0}", (Part("arp", 15, 1),))
    assert matched("batadv 15 bcast and arp", BCAST_ARP, BCAST_DNS, UNICAST_ARP, ARP) == [
        True,
        False,
        False,
        False,
    ]


def test_what_is_to_the_left_keeps_the_outer_frame() -> None:
    assert texts("arp and batadv 15 bcast") == []
    assert matched(
        "ether src 02:00:00:00:00:04 and batadv 15 bcast and ether src 02:00:00:00:00:01", BCAST_ARP
    ) == [True]


@pytest.mark.parametrize(
    "expression",
    [
        "(batadv 15 bcast) && arp",
        "((batadv 15 bcast) and len > 10) and arp",
        "(len > 10 and (batadv 15 bcast)) and (len > 10 and (arp))",
        "batadv 15 bcast and (ip or arp)",
        "batadv 15 bcast and not not arp",
        "batadv and batadv 15 bcast and arp",
    ],
)
def test_a_scope_reaches_through_parentheses(expression: str) -> None:
    assert matched(expression, BCAST_ARP, ICMP, ARP) == [True, False, False]


@pytest.mark.parametrize(
    "expression",
    [
        "batadv 15 bcast or arp",
        "batadv 15 bcast and ip or arp",
        "ip or batadv 15 bcast and arp",
        "(batadv 15 bcast or batadv 15 unicast) and arp",
        "(batadv 15 bcast or batadv 15 bcast) and arp",
        "not batadv 15 bcast and arp",
        "not (not batadv 15 bcast) and arp",
        "arp and not (batadv 15 bcast and ip)",
        "(batadv 15 bcast and ip or ip) or arp",
    ],
)
def test_no_scope_leaks_through_or_out_of_not_or_to_the_left(expression: str) -> None:
    assert "arp" not in texts(expression)
    assert "arp" in rewrite(expression).text


def test_after_or_the_scope_around_holds_again() -> None:
    assert rewrite("batadv 15 bcast and (batadv 15 unicast and ip or arp)").parts == (
        Part("ip", 15, 0x40),
        Part("arp", 15, 1),
    )


def test_the_nearest_typed_batadv_to_the_left_governs() -> None:
    assert rewrite("batadv 15 bcast and arp and batadv 14 unicast and ip").parts == (
        Part("arp", 15, 1),
        Part("ip", 14, 3),
    )


def test_a_batadv_inside_a_scope_tests_the_outer_frame() -> None:
    nested = encapsulated(15, "bcast", encapsulated(15, "unicast", ARP))
    assert matched("batadv 15 bcast and not (batadv 15 bcast and ip)", BCAST_ARP, BCAST_DNS) == [True, False]
    assert matched("batadv 15 bcast and batadv 15 unicast", nested) == [False]


@pytest.mark.parametrize("middle", ["batadv", "batadv 15"])
def test_a_batadv_without_a_type_leaves_the_scope_as_it_is(middle: str) -> None:
    assert rewrite(f"{middle} and arp").parts == ()
    assert rewrite(f"batadv 15 bcast and {middle} and arp").parts == (Part("arp", 15, 1),)
    assert rewrite(f"batadv 15 bcast and ({middle} and arp)").parts == (Part("arp", 15, 1),)


def test_a_type_without_a_payload_opens_no_scope() -> None:
    assert rewrite("batadv 15 icmp and ether src 02:00:00:00:00:04").parts == ()
    assert matched("batadv 15 icmp and ether src 02:00:00:00:00:04", ICMP, BCAST_ARP) == [True, False]


def test_an_unknown_type_number_is_tested_and_opens_no_scope() -> None:
    assert rewrite("batadv 15 0x47 and arp") == Rewritten(
        "(ether proto 0x4305 and ether[14:2] = 0x470f) and arp"
    )


@pytest.mark.parametrize(
    ("spelling", "tested"),
    [
        ("batadv", "(ether proto 0x4305)"),
        ("batadv 15", "(ether proto 0x4305 and ether[15] = 15)"),
        ("batadv 0x0e", "(ether proto 0x4305 and ether[15] = 14)"),
        ("batadv 15 iv_ogm", "(ether proto 0x4305 and ether[14:2] = 0x000f)"),
        ("batadv 15 iv-ogm", "(ether proto 0x4305 and ether[14:2] = 0x000f)"),
        ("batadv 15 unicast-4addr", "(ether proto 0x4305 and ether[14:2] = 0x420f)"),
        ("batadv 15 \\icmp", "(ether proto 0x4305 and ether[14:2] = 0x430f)"),
        ("batadv 15 icmp", "(ether proto 0x4305 and ether[14:2] = 0x430f)"),
        ("batadv 15 0x40", "(ether proto 0x4305 and ether[14:2] = 0x400f)"),
        ("batadv 017 0100", "(ether proto 0x4305 and ether[14:2] = 0x400f)"),
        ("batadv 14 3", "(ether proto 0x4305 and ether[14:2] = 0x030e)"),
    ],
)
def test_spellings_of_version_and_type(spelling: str, tested: str) -> None:
    assert rewrite(spelling) == Rewritten(tested)


def test_every_type_of_both_versions_by_name_matches_its_packets_and_no_others() -> None:
    kinds = [(version, kind) for version, kinds in PACKET_TYPES.items() for kind in kinds]
    frames = [encapsulated(version, kind.name, bytes(100)) for version, kind in kinds]
    for version, kind in kinds:
        for name in kind.names:
            hits = matched(f"batadv {version} {name}", *frames)
            assert [frame for frame, hit in zip(frames, hits, strict=True) if hit] == [
                encapsulated(version, kind.name, bytes(100))
            ]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("batadv 15 bcst", "did you mean bcast?"),
        ("batadv 15 vis", "types: iv_ogm, bcast,"),
        ("batadv 14 ogm2", "no batman-adv 14 type 'ogm2'"),
        ("batadv 16", "compat versions are 14 and 15, not 16"),
        ("batadv bcast", "compat versions are 14 and 15, not bcast"),
        ("batadv 15 256", "one byte"),
        ("batadv 15 bcast arp", "batadv [VERSION [TYPE]]"),
        ("batadv[0] = 1", "batadv [VERSION [TYPE]]"),
        ("batadv and icmpv6", "did you mean icmp6?"),
        ("batadv and", "after `batadv and`"),
        ("(batadv and arp", "missing `)`"),
        ("batadv) and arp", "unexpected `)` after `batadv`"),
        ("batadv and arp or 5", "`5` is no pcap-filter primitive"),
        ("batadv and arp;ip", "illegal character ';'"),
        ("batadv and ip proto tcp", "written `\\tcp`"),
        ("mpls and batadv 15 bcast", "`batadv 15 bcast` has no meaning after `mpls`"),
        ("batadv 15 bcast and geneve and batadv and arp", "no meaning after `geneve`"),
        ("geneve and inbound", "no meaning after `geneve`"),
        ("inbound 5", "should be `inbound`"),
        ("ifindex eth0", "no number"),
        ("ifindex", "ifindex NUMBER"),
        ("ifname nosuch0", "no interface is called 'nosuch0'"),
        ("(" * 200 + "batadv" + ")" * 200, "nested more than"),
        ("not " * 200 + "batadv", "nested more than"),
    ],
)
def test_a_bad_expression_is_refused_with_what_would_be_right(expression: str, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        rewrite(expression)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_identifier_takes_its_qualifiers_along_into_another_frame() -> None:
    rewritten = rewrite("batadv 15 bcast and tcp port 80 or 443")
    assert rewritten == Rewritten(f"{BCAST} and {INNER_0} or tcp port 443", (Part("tcp port 80", 15, 1),))


@pytest.mark.parametrize(
    "scoped",
    [
        "tcp dst port (21 or 22)",
        "(ip[0] & 0xf) != 5",
        "udp[0:2] + 1 > 3",
        "not (arp or ip6) and len <= 200",
        "ether[0] & 1 = 0",
        "ip6 host ff02::1",
        "ether host 02:00:00:00:00:01 or 02:00:00:00:00:02",
        "src or dst port 53",
        "net 10.0.0.0 mask 255.0.0.0",
        "portrange 10000-10100",
        "vlan 5 and arp",
        "ip proto \\icmp",
        "greater 100",
        "ip multicast",
        "icmp6[icmp6type] = icmp6-echo",
    ],
)
def test_a_piece_means_in_the_inner_frame_what_libpcap_means_by_it(scoped: str) -> None:
    (part,) = rewrite(f"batadv 15 bcast and ({scoped})").parts
    assert compile_cbpf(part.text, optimize=False) == compile_cbpf(scoped, optimize=False)


def test_len_in_a_scope_is_the_length_of_the_inner_frame() -> None:
    inner_bytes = len(ARP)
    assert matched(f"batadv 15 bcast and len = {inner_bytes}", BCAST_ARP) == [True]
    assert matched(f"batadv 15 bcast and greater {inner_bytes + 1}", BCAST_ARP) == [False]
    assert matched(f"len = {inner_bytes + 28} and batadv 15 bcast", BCAST_ARP) == [True]


def test_a_neighbourhood_of_scoped_primitives_is_one_piece() -> None:
    assert texts("batadv 15 bcast and ip and udp and not port 53 or arp") == ["ip and udp and not port 53"]


def test_equal_pieces_are_one_part() -> None:
    rewritten = rewrite("(batadv 15 bcast and ip and udp) or (batadv 15 bcast and ip and udp)")
    assert rewritten.parts == (Part("ip and udp", 15, 1),)
    assert rewritten.text.count(INNER_0) == 2


def test_vlan_before_batadv_moves_its_header() -> None:
    double = tagged(tagged(BCAST_ARP, 7), 5)
    assert rewrite("vlan and batadv 15 bcast and arp") == Rewritten(
        f"vlan and (ether proto 0x4305 and ether[18:2] = 0x010f) and {INNER_0}", (Part("arp", 15, 1, 1),)
    )
    assert matched("vlan 5 and batadv 15 bcast and arp", tagged(BCAST_ARP, 5), BCAST_ARP) == [True, False]
    assert matched("vlan 5 and vlan 7 and batadv 15 and batadv 15 bcast and arp", double) == [True]
    assert matched("vlan and batadv", tagged(BCAST_ARP, 5), BCAST_ARP) == [True, False]


def test_vlan_in_a_scope_moves_only_what_follows_in_that_scope() -> None:
    tagged_inside = encapsulated(15, "bcast", tagged(ARP, 5))
    assert matched("batadv 15 bcast and vlan 5 and arp", tagged_inside, BCAST_ARP) == [True, False]
    assert matched("batadv 15 bcast and vlan 5 and batadv 15 bcast", tagged_inside) == [True]
    assert matched("batadv 15 bcast and vlan 5 and (batadv 15 bcast and vlan and arp)", tagged_inside) == [
        True
    ]
    assert matched(
        "(batadv 15 bcast and vlan 6) or (batadv 15 bcast and ether proto 0x8100)", tagged_inside
    ) == [True]


def test_vlan_moves_what_follows_even_when_a_batadv_stands_between() -> None:
    tagged_inside = encapsulated(15, "bcast", tagged(ARP, 5))
    assert texts("batadv 15 bcast and vlan 5 and batadv and arp") == ["vlan 5", "(1 = 1 or vlan 5) and (arp)"]
    assert matched("batadv 15 bcast and vlan 5 and batadv and arp", tagged_inside) == [True]
    assert matched("batadv 15 bcast and vlan 5 and (batadv and (ip or arp))", tagged_inside) == [True]


def test_what_the_hook_knows_becomes_a_marked_load() -> None:
    assert rewrite("inbound and arp").text == f"(ether[{META_DIRECTION:#x}] = 0) and arp"
    assert rewrite("not outbound").text == f"not (ether[{META_DIRECTION:#x}] = 1)"
    assert rewrite("ifindex 0x10").text == f"(ether[{META_IFINDEX:#x}:4] = 16)"
    assert rewrite("arp or ifname br-client", lambda name: {"br-client": 9}[name]).text.endswith(":4] = 9)")
    assert rewrite("on lo") == rewrite("ifname lo") == rewrite("ifindex 1")


def test_what_the_hook_knows_is_the_same_in_a_scope() -> None:
    rewritten = rewrite("batadv 15 bcast and inbound and arp")
    assert rewritten.parts == (Part(f"(ether[{META_DIRECTION:#x}] = 0) and arp", 15, 1),)
    assert rewritten_matches(rewritten, BCAST_ARP, outbound=False)
    assert not rewritten_matches(rewritten, BCAST_ARP, outbound=True)
    assert rewritten_matches(rewrite("batadv 15 bcast and arp and ifindex 7"), BCAST_ARP, ifindex=7)


def test_marked_loads_pass_libpcap_s_optimizer_untouched() -> None:
    marks = [MARK_INNER, MARK_INNER + 1, MARK_INNER + 999, MARK_META]
    expression = " and ".join(f"(ether proto 0x4305 or not (ether[{mark:#x}] = 1))" for mark in marks)
    loads = [each.k for each in compile_cbpf(expression) if each.code == 0x30]
    assert sorted(set(loads)) == marks
    assert (0x20, 0, 0, META_IFINDEX) in compile_cbpf(f"ether[{META_IFINDEX:#x}:4] = 7 and arp")


def test_more_parts_than_a_byte_counts_keep_their_own_marks() -> None:
    expression = " or ".join(f"(batadv 15 bcast and udp port {port})" for port in range(1, 301))
    rewritten = rewrite(expression)
    assert len(rewritten.parts) == 300
    marks = {each.k for each in compile_cbpf(rewritten.text) if each.k >= MARK_INNER}
    assert marks == {MARK_INNER + index for index in range(300)}


def test_other_rules_of_gluon_count_what_their_siblings_leave() -> None:
    other = "(batadv 15 bcast) && not (((batadv 15 bcast) && (ip)) || ((batadv 15 bcast) && (arp)))"
    lldp = encapsulated(15, "bcast", ethernet(0x88CC, b""))
    assert matched(other, BCAST_ARP, BCAST_DNS, lldp, UNICAST_ARP, ARP) == [False, False, True, False, False]


def test_gluon_s_prefilter_keeps_unicast_payload_out_and_lets_the_rest_in() -> None:
    unicast_ip = "((ip and not ip multicast and not igmp) or (ip6 and not ip6 multicast))"
    prefilter = (
        f"not {unicast_ip} and not (batadv 15 unicast and {unicast_ip}) and not batadv 15 unicast_frag"
    )
    http = ipv4(6, 40000, 80)
    frames = [http, encapsulated(15, "unicast", http), UNICAST_ARP, encapsulated(15, "bcast", http), ARP]
    assert matched(prefilter, *frames) == [False, False, True, True, True]


@needs_data
def test_every_expression_of_gluon_s_list_compiles() -> None:
    for each in load_list(GLUON):
        rewritten = rewrite(each.expression)
        compile_cbpf(rewritten.text)
        for part in rewritten.parts:
            compile_cbpf(part.text)


@needs_data
def test_a_scoped_rule_of_gluon_s_list_is_its_plain_rule_on_the_inner_frame() -> None:
    rules = {each.id: rewrite(each.expression) for each in load_list(GLUON)}
    scopes = {"BAT:BAT-BCAST:": Batadv(15, "bcast"), "BAT:BAT-UCAST:": Batadv(15, "unicast")}
    compared = 0
    for prefix, scope in scopes.items():
        packets = [frame for frame in FRAMES if is_batadv(frame, scope)]
        for name, scoped in rules.items():
            plain = rules.get(name.removeprefix(prefix))
            if not name.startswith(prefix) or plain is None:
                continue
            for frame in packets:
                of_inner = rewritten_matches(plain, inner_frame(frame, scope))
                assert rewritten_matches(scoped, frame) == of_inner, name
                compared += 1
    assert compared > 1000


def test_an_expression_says_whether_it_is_about_batman_adv() -> None:
    assert rewrite("batadv 15 iv_ogm").batadv
    assert rewrite("inbound and batadv 15 bcast and arp").batadv
    assert not rewrite("inbound and arp").batadv
    assert not rewrite("arp").batadv
