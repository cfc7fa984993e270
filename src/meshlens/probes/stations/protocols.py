"""What a frame can be to a station's statistics: a table of names and their tests.

A frame belongs to one *class*: the names that are true of it, as in ("ipv4", "udp", "dns"). The program
counts one class a frame; user space adds the classes up by name. Numbers of ethertypes: IEEE registry and
linux/if_ether.h; of protocols and ports: IANA; of batman-adv, OLSR, Babel, respondd: their own documents.
"""

from functools import lru_cache
from typing import Final

__all__ = [
    "BATADV_CLASS",
    "CLASSES",
    "ETHERTYPE_CLASSES",
    "HAS_PORTS",
    "ICMP6_FACTS",
    "IPV4_CLASS",
    "IPV6_CLASS",
    "IS_DAD",
    "IS_DHCP",
    "IS_SYN",
    "IS_VLAN",
    "LLC_CLASS",
    "NEIGHBOUR_SOLICITATION",
    "OTHER_CLASS",
    "PROTOCOL_CLASSES",
    "SEEN",
    "SEEN_MASK",
    "SERVICE_CLASSES",
    "facts_of",
    "names_of_facts",
]

ICMP6: Final = 58

_ETHERTYPES: Final = {
    0x0806: "arp",
    0x4305: "batadv",
    0x888E: "eapol",
    0x88CC: "lldp",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8863: "pppoe",
    0x8864: "pppoe",
    0x88F7: "ptp",
    0x890D: "tdls",
}
_PROTOCOLS: Final = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    47: "gre",
    50: "esp",
    ICMP6: "icmp6",
    89: "ospf",
    103: "pim",
    132: "sctp",
}
#: By protocol: a port at either end, of which the destination's goes before the source's.
_SERVICES: Final = {
    "tcp": {
        22: "ssh", 53: "dns", 80: "http", 443: "https", 445: "smb", 1883: "mqtt", 8883: "mqtt",
    },
    "udp": {
        53: "dns", 67: "dhcp", 68: "dhcp", 123: "ntp", 137: "netbios", 138: "netbios", 443: "quic",
        546: "dhcpv6", 547: "dhcpv6", 698: "olsr", 1001: "respondd", 1900: "ssdp", 3478: "stun",
        4789: "vxlan", 5353: "mdns", 5355: "llmnr", 6696: "babel",
    },
}  # fmt: skip

#: What is worth to know that a station has sent once: a bit of its `facts` each. Types of ICMPv6: RFC 4861,
#: 2710, 3810; "dad" is a neighbour solicitation from the unspecified address (RFC 4862).
SEEN: Final = (
    "mdns", "ssdp", "llmnr", "dhcp", "dhcpv6", "igmp", "eapol", "lldp", "tdls",
    "router-solicitation", "router-advertisement", "dad", "mldv1", "mldv2",
)  # fmt: skip
_ICMP6_TYPES: Final = {131: "mldv1", 133: "router-solicitation", 134: "router-advertisement", 143: "mldv2"}
NEIGHBOUR_SOLICITATION: Final = 135

SEEN_MASK: Final = (1 << len(SEEN)) - 1
# What else a frame is found to be: bits above those of SEEN. HAS_PORTS: a transport header that was read.
HAS_PORTS, IS_SYN, IS_DHCP, IS_VLAN = 1 << 27, 1 << 28, 1 << 29, 1 << 30


def facts_of(name: str) -> int:
    """The bit of a name in SEEN, 0 if it is not among them."""
    return 1 << SEEN.index(name) if name in SEEN else 0


@lru_cache(maxsize=1024)
def names_of_facts(facts: int) -> frozenset[str]:
    """The names whose bits are set."""
    return frozenset(name for bit, name in enumerate(SEEN) if facts >> bit & 1)


ICMP6_FACTS: Final = {kind: facts_of(name) for kind, name in _ICMP6_TYPES.items()}
IS_DAD: Final = facts_of("dad")

# Classes of IP come twice, for IPv4 and IPv6, in the same order: a class is that of the version plus what
# stands behind it.
_BEHIND_IP: Final[tuple[tuple[str, ...], ...]] = (
    (),
    *((name,) for name in _PROTOCOLS.values()),
    *dict.fromkeys((protocol, name) for protocol, ports in _SERVICES.items() for name in ports.values()),
)
_WITHOUT_IP: Final = (("other",), ("llc",), *((name,) for name in dict.fromkeys(_ETHERTYPES.values())))

#: The names of each class.
CLASSES: Final[tuple[tuple[str, ...], ...]] = (
    *_WITHOUT_IP,
    *(("ipv4", *names) for names in _BEHIND_IP),
    *(("ipv6", *names) for names in _BEHIND_IP),
)
OTHER_CLASS, LLC_CLASS = 0, 1
IPV4_CLASS: Final = len(_WITHOUT_IP)
IPV6_CLASS: Final = IPV4_CLASS + len(_BEHIND_IP)

#: Ethertype -> class.
ETHERTYPE_CLASSES: Final = {number: CLASSES.index((name,)) for number, name in _ETHERTYPES.items()}
BATADV_CLASS: Final = ETHERTYPE_CLASSES[0x4305]
#: Protocol -> what it adds to the class of the version.
PROTOCOL_CLASSES: Final = {number: _BEHIND_IP.index((name,)) for number, name in _PROTOCOLS.items()}
#: Protocol -> port -> what it adds to the class of the version.
SERVICE_CLASSES: Final = {
    number: {port: _BEHIND_IP.index((protocol, name)) for port, name in _SERVICES[protocol].items()}
    for number, protocol in _PROTOCOLS.items()
    if protocol in _SERVICES
}
