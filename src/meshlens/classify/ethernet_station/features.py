"""What is known of a station from the first packets it sends: a table of numbers, and where each stands.

All is about its own packets: what it receives depends on who else is there. Nothing is read of payloads but
the options of DHCP; nothing tells a network from another: no addresses, but how many, and in which order they
are new. Sizes are bytes of frames, times count from the station's first packet.
"""

from collections.abc import Iterable
from typing import Final

from meshlens.classify.features import Feature
from meshlens.probes.stations.protocols import CLASSES

__all__ = [
    "EARLY",
    "EVERY",
    "FEATURES",
    "GAP_BINS",
    "KINDS",
    "KIND_OF_CLASS",
    "PER_KIND",
    "PLACE",
    "PORTS",
    "SIZE_BINS",
    "SLOTS",
    "SMALL",
    "SMALL_STEP",
    "STATE",
    "STEP",
    "WINDOW",
    "WINDOW_US",
    "WORDS",
    "asks",
    "place",
]

#: Packets of a station that count; what it sends later changes nothing and costs a look-up. A device that
#: joins a network has said by then what tells it apart: see docs/classify-ethernet.md for the figures.
WINDOW: Final = 128
#: What comes later than two minutes after the first packet does not count either: a device that has joined
#: does something else then, and a verdict shall stay.
WINDOW_US: Final = 120_000_000
#: The program asks the model at each of the first EVERY packets (a power of two), then at every EVERY-th.
EVERY: Final = 8
#: A model learns also how stations look after so many packets; those before say too little.
EARLY: Final = (8, 16, 32, 64)
#: Of so many packets each is known by itself, of the others sums and histograms.
SLOTS: Final = 24
#: So many sizes of payloads, of queries, of datagrams, and ports are known one by one.
PORTS: Final = 8

#: A packet is of one kind: the most special of these names that is true of it ("dns" before "udp").
KINDS: Final = (
    "other", "arp", "llc", "eapol", "icmp", "igmp", "icmp6", "tcp", "udp",
    "dns", "dhcp", "http", "https", "ssdp", "mdns", "ntp",
)  # fmt: skip


def _kind(names: tuple[str, ...]) -> int:
    return next((KINDS.index(name) for name in reversed(names) if name in KINDS), 0)


#: The kind of each class of `probes.stations.protocols`.
KIND_OF_CLASS: Final = tuple(map(_kind, CLASSES))
#: What is known of the packets of each kind. `since` is 1 more than the milliseconds to the first, 0: none.
PER_KIND: Final = ("packets", "bytes", "first", "least", "most", "since")

#: Sizes below SMALL are told apart in steps of SMALL_STEP bytes, those above in steps of STEP.
SIZE_BINS, SMALL, SMALL_STEP, STEP = 48, 256, 8, 84
#: Gap bin n has 4**n microseconds or more; the last one all above, too.
GAP_BINS: Final = 16


def _series(name: str, count: int, group: str, unit: str = "") -> Iterable[Feature]:
    return (Feature(f"{name}_{number}", group, unit) for number in range(count))


_PER_KIND_GROUPS: Final = {
    "packets": ("protocols", "packets"),
    "bytes": ("sizes", "bytes"),
    "first": ("sizes", "bytes"),
    "least": ("sizes", "bytes"),
    "most": ("sizes", "bytes"),
    "since": ("timing", "ms"),
}

FEATURES: Final[tuple[Feature, ...]] = (
    Feature("oui", "oui"),
    Feature("packets", "protocols", "packets"),
    Feature("bytes", "sizes", "bytes"),
    # By destination: one station, a group, all.
    Feature("unicast", "destinations", "packets"),
    Feature("multicast", "destinations", "packets"),
    Feature("broadcast", "destinations", "packets"),
    # Different IP addresses it sent to, and ports.
    Feature("addresses", "destinations"),
    Feature("ports", "ports"),
    # IPv4 options: the router alert of IGMP (RFC 2236) pads a packet as nothing else does.
    Feature("ip_options", "protocols", "packets"),
    Feature("ttl", "protocols"),
    Feature("span", "timing", "ms"),
    Feature("pause", "timing", "ms"),
    # Packet by packet. `reached`: different addresses so far. A gap is floor(log2(microseconds)) + 1.
    *_series("size", SLOTS, "sizes", "bytes"),
    *_series("kind", SLOTS, "protocols"),
    *_series("reached", SLOTS, "destinations"),
    *_series("gap", SLOTS, "timing"),
    *_series("at", SLOTS, "timing", "ms"),
    # Packets by size, and by the time since the packet before.
    *_series("sized", SIZE_BINS, "sizes", "packets"),
    *_series("gapped", GAP_BINS, "timing", "packets"),
    *(Feature(f"{kind}_{what}", *_PER_KIND_GROUPS[what]) for kind in KINDS for what in PER_KIND),
    # Payloads of TCP, DNS queries, datagrams of no known service, in their order; ports of the latter and of
    # connections it opens.
    Feature("payloads", "sizes", "packets"),
    *_series("payload", PORTS, "sizes", "bytes"),
    *_series("query", PORTS, "sizes", "bytes"),
    *_series("datagram", PORTS, "sizes", "bytes"),
    Feature("opened", "ports"),
    *_series("port", PORTS, "ports"),
    Feature("fins", "protocols", "packets"),
    Feature("resets", "protocols", "packets"),
    # Of the first SYN; `syn_scale` is 1 more than the window scale, 0: none.
    Feature("syns", "protocols", "packets"),
    Feature("syn_window", "syn"),
    Feature("syn_mss", "syn", "bytes"),
    Feature("syn_scale", "syn"),
    Feature("syn_options", "syn", "hash"),
    # Of the first DHCP request: its type (RFC 2132, option 53), options in their order, what it asks for.
    Feature("requests", "dhcp", "packets"),
    Feature("dhcp_type", "dhcp"),
    Feature("dhcp_options", "dhcp", "hash"),
    Feature("dhcp_asked", "dhcp", "hash"),
    Feature("dhcp_vendor", "dhcp", "hash"),
    Feature("dhcp_vendor_bytes", "dhcp", "bytes"),
    Feature("dhcp_name_bytes", "dhcp", "bytes"),
)

#: What the program remembers behind the row: whether it is too late for all that comes; size and kind of the
#: last packet in one, and its time in microseconds; then bits, one for each hash of an address and of a port.
WORDS: Final = 4
STATE: Final = ("closed", "last", "last_us", *(f"address_bits_{n}" for n in range(WORDS)),
                *(f"port_bits_{n}" for n in range(WORDS)))  # fmt: skip

#: Where each feature stands in a row, by its name, and what is remembered behind.
PLACE: Final = {
    name: position for position, name in enumerate((*(feature.name for feature in FEATURES), *STATE))
}


def asks(packets: int) -> bool:
    """Whether the program asks the model when a station has sent so many packets."""
    return packets < EVERY or not packets % EVERY


def place(kind: int, what: str) -> int:
    """Where something about a kind stands."""
    return PLACE[f"{KINDS[kind]}_{what}"]
