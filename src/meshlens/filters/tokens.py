"""The words of pcap-filter(7), cut as libpcap's scanner.l cuts them."""

import re
from typing import NamedTuple

from meshlens.filters.errors import FilterError

__all__ = ["DIRECTIONS", "KEYWORDS", "KINDS", "PROTOCOLS", "QUALIFIERS", "Token", "tokenize"]

# fmt: off
PROTOCOLS = frozenset({
    "link", "ether", "ppp", "slip", "fddi", "tr", "wlan", "arp", "rarp", "ip", "ip6", "sctp", "tcp", "udp",
    "icmp", "icmp6", "igmp", "igrp", "pim", "vrrp", "carp", "radio", "ah", "esp", "atalk", "aarp", "decnet",
    "lat", "sca", "moprc", "mopdl", "iso", "esis", "es-is", "isis", "is-is", "l1", "l2", "iih", "lsp", "snp",
    "csnp", "psnp", "clnp", "stp", "ipx", "netbeui",
})
DIRECTIONS = frozenset({
    "src", "dst", "ra", "ta", "addr1", "addr2", "addr3", "addr4", "address1", "address2", "address3",
    "address4",
})
KINDS = frozenset({"host", "net", "port", "portrange", "proto", "protochain", "gateway"})
#: What can stand before an identifier; a direction or a kind needs one.
QUALIFIERS = PROTOCOLS | DIRECTIONS | KINDS

#: Words that begin a primitive without an identifier; `batadv` is ours, the rest is libpcap's.
PRIMITIVES = frozenset({
    "batadv", "broadcast", "byte", "dir", "direction", "geneve", "greater", "ifindex", "ifname", "inbound",
    "len", "length", "less", "llc", "mpls", "multicast", "on", "outbound", "pppoed", "pppoes", "subtype",
    "type", "vlan",
})
# fmt: on
KEYWORDS = QUALIFIERS | PRIMITIVES | {"and", "or", "not", "mask"}

_TOKEN = re.compile(
    r"""
    [\ \r\n\t]* (
      (?= [0-9A-Fa-f]{0,4}[:-] ) (?:
          (?:[0-9A-Fa-f]{1,2}[:-]){5} [0-9A-Fa-f]{1,2} (?![\w:])                # MAC address
        | (?:[0-9A-Fa-f]{1,4}:){7} [0-9A-Fa-f]{1,4}                             # IPv6 address, in full
        | (?:[0-9A-Fa-f]{1,4}:)* (?:[0-9A-Fa-f]{1,4})? :: [0-9A-Fa-f:.]*        # IPv6 address, shortened
      )
    | [A-Za-z0-9] (?:[-_.A-Za-z0-9]*[.A-Za-z0-9])?       # word, number, IPv4 address, range of ports
    | \\ [^\ !()\n\t]+                                   # word that is no keyword here
    | \$ \w+                                             # $MAC, ARCnet address
    | && | \|\| | [<>!=]= | << | >>
    | [-+*/%:\[\]!<>()&|^=]
    )
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """One word, with its place in the expression."""

    text: str
    start: int
    end: int


def tokenize(expression: str) -> list[Token]:
    """All words of `expression`; FilterError on a character that no word can hold."""
    expression = expression.rstrip(" \r\n\t")
    tokens = []
    at = 0
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if found is None:
            illegal = expression[at:].lstrip(" \r\n\t")[0]
            raise FilterError(f"illegal character {illegal!r} in a filter expression")
        tokens.append(Token(found[1], found.start(1), found.end()))
        at = found.end()
    return tokens
