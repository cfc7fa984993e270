"""Expressions as trees: our parser against libpcap's."""

import pytest

from meshlens.filters.errors import FilterError
from meshlens.filters.expression import Chain, Not, Primitive, parse, primitives, to_text
from meshlens.filters.lists import load_list
from meshlens.filters.pcap import compile_cbpf
from tests.data import DATA, needs_data

SAME_AS_LIBPCAP = [
    "arp",
    "arp or ip and tcp",
    "arp or (ip and tcp)",
    "not arp and ip",
    "not (arp and ip)",
    "! arp && ! ip || tcp",
    "!arp&&!ip||tcp",
    "port 80 or 443",
    "port 80 or 443 and tcp",
    "port (80) or 443",
    "port 22 or (80 or 81) or 443",
    "tcp dst port (21 or 22 and not 23)",
    "port (80 or (81 and not 82))",
    "tcp port not (80 or 81)",
    "port not not 5",
    "not port 80 or 443",
    "port 80 or ! 443 or 22",
    "ip host 10.0.0.1 and (port 5 or 6) or 10.0.0.7",
    "icmp or port 5 or 6",
    "src or dst port 53",
    "dst or src host 10.0.0.1 or 10.0.0.2 or dst port 5",
    "src and dst net 10.0.0.0/8",
    "net 10.0.0.0 mask 255.0.0.0 or 11.0.0.0 mask 255.0.0.0",
    "ip proto (89 or 103 or \\tcp)",
    "ether proto \\arp or 0x88cc",
    "host 0x0a000001",
    "ether host 01:02:03:04:05:06 or 0a-0b-0c-0d-0e-0f or 0102.0304.0506",
    "ip6 host ::1 or fe80::1 or ff02::1:ff00:1 or 1:2:3:4:5:6:7:8 or ::ffff:1.2.3.4",
    "net fe80::/10",
    "portrange 10000-10100 or 5-6",
    "tcp port http or https",
    "(ip[0] & 0xf) != 5",
    "(((ip[0] & 0xf) != 5))",
    "((ip[0]) & (5)) = 3 or arp",
    "arp or (len) > 5 and ((len)) < 1000",
    "udp[0:2] + 1 > 3 and - 5 = ip[0]",
    "5 < ip[8] or 0x0800 = ether[12:2]",
    "port 80 or 443 = ip[2:2] or arp",
    "ether[ip[0] & 0xf:2] % 3 > 5 ^ 3",
    "tcp[tcpflags]&(tcp-syn|tcp-fin)!=0",
    "icmp6[icmp6type] == icmp6-echo or icmp[icmptype] != icmp-echo",
    "ether[0] & 1 = 0 and ether[0:4] > 3",
    "len >= 0 and length < 5",
    "1 << 3 = ip[0] or ip[1] >> 2 = 3",
    "less 5 or greater 100 or byte 0 & 5",
    "ether broadcast or ip multicast or ip6 multicast",
    "vlan 5 and vlan and arp",
    "vlan (5) and ip",
    "mpls 5 and ip",
    "pppoes 7 and ip6",
    "geneve and udp",
    "llc i or llc rr or stp or ipx or netbeui",
    "ip protochain 6",
    "iso proto \\isis or es-is",
    "inbound or not outbound or ifindex 3",
    " arp\tor\n ip ",
]


@pytest.mark.parametrize("expression", SAME_AS_LIBPCAP)
def test_libpcap_makes_the_same_program_of_the_tree_as_of_the_text(expression: str) -> None:
    printed = to_text(parse(expression))
    assert compile_cbpf(printed, optimize=False) == compile_cbpf(expression, optimize=False)
    assert to_text(parse(printed)) == printed


@pytest.mark.parametrize(
    "expression", ["type mgt subtype beacon or wlan type data", "wlan ra 01:02:03:04:05:06 and dir fromds"]
)
def test_wi_fi_expressions_keep_their_program_too(expression: str) -> None:
    assert compile_cbpf(to_text(parse(expression)), 127, optimize=False) == compile_cbpf(
        expression, 127, optimize=False
    )


def test_and_and_or_bind_alike_to_the_left() -> None:
    arp, ip, tcp = (Primitive((word,), word) for word in ("arp", "ip", "tcp"))
    assert parse("arp or ip and not tcp") == Chain(arp, (("or", ip), ("and", Not(tcp))))
    assert parse("arp or (ip and tcp)") == Chain(arp, (("or", Chain(ip, (("and", tcp),))),))


def test_each_identifier_carries_the_qualifiers_it_inherits() -> None:
    texts = [each.text for each in primitives(parse("tcp dst port 21 or (22 and not 23) or arp"))]
    assert texts == ["tcp dst port 21", "tcp dst port 22", "tcp dst port 23", "arp"]


@pytest.mark.parametrize(
    "expression",
    [
        "(port 80) or 443",
        "not (port 80) or 443",
        "port 80 or (arp or 443)",
        "ip[0] = 4 or 5",
        "vlan 5 or 6",
        "10.0.0.1",
        "5",
    ],
)
def test_an_identifier_without_qualifiers_to_inherit_is_refused_as_libpcap_refuses_it(
    expression: str,
) -> None:
    with pytest.raises(FilterError, match="is no pcap-filter primitive"):
        parse(expression)
    with pytest.raises(FilterError):
        compile_cbpf(expression)


@needs_data
def test_every_plain_expression_of_the_real_lists_keeps_its_program() -> None:
    compared = 0
    for path in sorted((DATA / "filters").glob("*filters*")):
        for each in load_list(path).with_mac("02:00:00:00:00:01"):
            if "batadv" not in each.expression:
                printed = to_text(parse(each.expression))
                assert compile_cbpf(printed, optimize=False) == compile_cbpf(
                    each.expression, optimize=False
                ), each.where
                compared += 1
    assert compared > 400
