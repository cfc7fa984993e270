"""What the list's filters should count, by the kinds of the frames that were made: no filter is asked."""

import re
from collections.abc import Sequence

from meshlens.packet.mesh import MeshFrame

__all__ = ["NODE_MAC", "is_outgoing", "truth"]

NODE_MAC = "02:ba:7a:00:00:00"  # a node of the generated mesh, ours: what has this source goes out

# Which kinds of frames each filter of the list is about.
KINDS = {
    "ALL": r".*",
    "SENT": r".*",  # if it goes out
    "NO-BATADV": r"client/.*",
    "OGM": r"iv_ogm",
    "OGM:SENT": r"iv_ogm",  # if it goes out
    "ELP": r"elp",
    "OGM2": r"ogm2",
    "TVLV": r"unicast_tvlv",
    "BAT-ICMP": r"icmp",
    "BCAST": r"bcast/.*",
    "BCAST:BLA": r"bcast/bla-.*",
    "BCAST:ARP": r"bcast/arp-.*",
    "BCAST:ARP:REQUEST": r"bcast/arp-(gratuitous-)?request",
    "BCAST:ARP:GRATUITOUS": r"bcast/arp-gratuitous-.*",
    "BCAST:DHCP": r"bcast/dhcp-.*",
    "BCAST:DHCP6": r"bcast/dhcpv6-.*",
    "BCAST:ND": r"bcast/nd-.*",
    "BCAST:RA": r"bcast/router-.*",
    "BCAST:MLD": r"bcast/mld-.*",
    "BCAST:IGMP": r"bcast/igmp-.*",
    "BCAST:MDNS": r"bcast/mdns6?-.*",
    "BCAST:SSDP": r"bcast/ssdp6?-.*",
    "BCAST:NO-IP": r"bcast/(homeplug|ipx|lldp|stp)",
    "MCAST": r"mcast/.*",
    "UCAST": r"unicast/.*",
    "UCAST:ARP": r"unicast/arp-.*",
    "UCAST:TCP": r"unicast/tcp.*",
    "UCAST:UDP": r"unicast/(udp|dns|mdns|ssdp).*",
    "UCAST-4ADDR": r"unicast_4addr/.*",
    "FRAG": r"unicast_frag.*",
}


def is_outgoing(frame: MeshFrame) -> bool:
    """Whether our node sends the frame; else it comes from a neighbour."""
    return frame.data[6:12].hex(":") == NODE_MAC


def truth(frames: Sequence[MeshFrame], times: int) -> dict[str, tuple[int, int, int]]:
    """Packets in, packets out and bytes of each filter, when all `frames` are sent so many times."""
    rows = {}
    for name, kinds in KINDS.items():
        meant = [frame for frame in frames if re.fullmatch(kinds, frame.kind)]
        outgoing = [frame for frame in meant if is_outgoing(frame)]
        if name.endswith("SENT"):
            meant = outgoing
        sizes = sum(len(frame.data) for frame in meant)
        rows[name] = times * (len(meant) - len(outgoing)), times * len(outgoing), times * sizes
    return rows
