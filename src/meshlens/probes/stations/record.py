"""A station as it is handed out: a MAC address, what it sent and received, and what tells its kind."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["DhcpFingerprint", "Station", "StationKind", "SynSignature"]

#: Seen in the Ethernet header itself; in a frame inside batman-adv; as the originator of batman-adv packets.
StationKind = Literal["station", "inner", "originator"]


@dataclass(frozen=True, slots=True)
class DhcpFingerprint:
    """What a DHCP client says of itself (RFC 2132): the codes of its options in their order, those that it
    asks for (option 55), its vendor class (60) and its host name (12).
    """

    options: tuple[int, ...]
    requested: tuple[int, ...]
    vendor_class: str
    hostname: str


@dataclass(frozen=True, slots=True)
class SynSignature:
    """What a TCP stack writes into its first SYN: TTL or hop limit, window, MSS (0: none), option kinds."""

    ttl: int
    window: int
    mss: int
    options: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """A MAC address on an interface. `in_`: frames it sent, that came in; `out_`: frames sent to it.

    Times are nanoseconds since the epoch. `unicast`, `multicast`, `broadcast` split `in_packets` by their
    destination; `protocols` counts packets of both directions by name ("arp", "ipv6", "tcp", "mdns", …).
    `sizes[n]` counts packets of 2**n to 2**(n+1)-1 bytes; `gaps[n]` the times between two packets that came
    in, of 2**n to 2**(n+1)-1 microseconds: of the first 1,024 packets all, then one in 16. `seen` names what
    a fingerprint asks for: "mdns", "ssdp", "llmnr", "router-solicitation", "dad", …
    """

    interface: str
    mac: str
    kind: StationKind
    first_ns: int
    last_ns: int
    in_packets: int
    in_bytes: int
    out_packets: int
    out_bytes: int
    unicast: int
    multicast: int
    broadcast: int
    protocols: dict[str, int]
    sizes: tuple[int, ...]
    gaps: tuple[int, ...]
    seen: frozenset[str]
    dhcp: DhcpFingerprint | None = None
    syn: SynSignature | None = None
    name: str = ""
    vendor: str = ""

    @property
    def packets(self) -> int:
        """Packets of both directions."""
        return self.in_packets + self.out_packets

    @property
    def bytes(self) -> int:
        """Bytes of both directions."""
        return self.in_bytes + self.out_bytes

    @property
    def locally_administered(self) -> bool:
        """Whether the address was made up, as phones do to stay private (IEEE 802, the U/L bit)."""
        return bool(int(self.mac[:2], 16) & 2)
