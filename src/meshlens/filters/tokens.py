"""The words of pcap-filter(7), cut as libpcap's scanner.l cuts them."""

import re
from typing import NamedTuple

from meshlens.filters.errors import FilterError

__all__ = ["KEYWORDS", "QUALIFIERS", "Token", "tokenize"]

#: Words that can begin a qualified identifier: protocols, then directions, then what is named.
PROTOCOLS = frozenset(
    "link ether ppp slip fddi tr wlan arp rarp ip ip6 sctp tcp udp icmp icmp6 igmp igrp pim vrrp carp "
    "radio ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp "
    "psnp clnp stp ipx netbeui".split()
)
DIRECTIONS = frozenset("src dst ra ta addr1 addr2 addr3 addr4 address1 address2 address3 address4".split())
KINDS = frozenset("host net mask port portrange proto protochain gateway".split())
QUALIFIERS = PROTOCOLS | DIRECTIONS | KINDS

#: Words that are a primitive of their own, or begin one.
PRIMITIVES = frozenset(
    "len length less greater byte broadcast multicast inbound outbound ifindex ifname on vlan mpls pppoed "
    "pppoes geneve llc type subtype dir direction batadv".split()
)
KEYWORDS = QUALIFIERS | PRIMITIVES | {"and", "or", "not"}

_TOKEN = re.compile(
    r"""
    (?:[0-9A-Fa-f]{1,2}[:-]){5}[0-9A-Fa-f]{1,2}(?![\w:])      # MAC address
    | (?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}                # IPv6 address, in full
    | (?:[0-9A-Fa-f]{1,4}:)*(?:[0-9A-Fa-f]{1,4})?::[0-9A-Fa-f:.]*   # IPv6 address, shortened
    | [A-Za-z0-9](?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?             # word, number, IPv4 address, port range
    | \\[^\ !()\n\t]+                                         # escaped word
    | \$\w+                                                   # $MAC, ARCnet address
    | && | \|\| | [<>!=]= | << | >>
    | [-+*/%:\[\]!<>()&|^=]
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \r\n\t]*")


class Token(NamedTuple):
    """One word, with its place in the expression."""

    text: str
    start: int
    end: int


def tokenize(expression: str) -> list[Token]:
    """All words of `expression`; FilterError on a character that no word can hold."""
    tokens = []
    at = _SPACE.match(expression).end()  # type: ignore[union-attr]  # matches the empty string
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if found is None:
            raise FilterError(f"illegal character {expression[at]!r} in a filter expression")
        tokens.append(Token(found[0], at, found.end()))
        at = _SPACE.match(expression, found.end()).end()  # type: ignore[union-attr]
    return tokens
