"""What passed through an interface, as it is handed out."""

from dataclasses import dataclass, field

from meshlens.probes.snapshot import Direction

__all__ = ["InterfaceTraffic", "Traffic"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Frames that went through an interface in one direction since counting began, as on the wire.

    `ethertypes` maps an ethertype (behind VLAN tags) to packets and bytes; -1 gathers those that found no
    room. `sizes[n]` counts packets of 2**n to 2**(n+1)-1 bytes.
    """

    direction: Direction
    packets: int
    bytes: int
    unicast: int
    multicast: int
    broadcast: int
    ethertypes: dict[int, tuple[int, int]]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InterfaceTraffic:
    """An interface, what went through it, and what its driver and the kernel say of frames that did not.

    `drops` are the kernel's own counters by their names in `struct rtnl_link_stats64`, those that are not 0;
    `verdicts` what XDP programs decided, as far as the driver counts it. `speed_bps` is None where unknown.
    """

    name: str
    index: int
    mac: str
    up: bool
    speed_bps: int | None
    traffic: tuple[Traffic, ...]
    drops: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
