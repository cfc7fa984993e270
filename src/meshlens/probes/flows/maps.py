"""What a flow is, and the maps in which the flow program keeps them."""

from dataclasses import dataclass
from typing import Final

from meshlens.ebpf import MapSpec, MapType
from meshlens.probes.flows.layout import EXPORT, FLOWS, KEY_BYTES, value_bytes
from meshlens.probes.tally import TALLY, read_outcomes, tally_map

__all__ = ["BLANK", "OUTCOMES", "TALLY", "FlowOptions", "flow_maps", "read_tally"]

#: What became of every frame that the filter let pass: it is in a flow; it carries no IP; its IP header
#: cannot be read; there was no room for its flow; or it was in a flow, which ended while the ring was full.
OUTCOMES: Final = ("flow", "not_ip", "unreadable", "map_full", "ring_full")

#: A value of zeros, which new entries begin as: the stack may be smaller than a value.
BLANK: Final = "blank"
_RING_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What a flow is: it ends after `idle_ns` without a packet, and with every period of `active_ns`.

    Periods are counted from the epoch, so that all CPUs and machines end their records at the same times;
    0: without end. `head` packets are kept one by one; `max_flows` is the room in the map.
    """

    idle_ns: int = 15_000_000_000
    active_ns: int = 1_800_000_000_000
    head: int = 8
    max_flows: int = 16_384


def flow_maps(options: FlowOptions) -> dict[str, MapSpec]:
    """The maps that the programs of one interface share.

    Entries are allocated at the start: they lie close together, where those allocated one by one would begin
    at multiples of 512 bytes and drive each other out of the caches (1,000 flows: 270 ns a frame, not 180).
    """
    size = value_bytes(options.head)
    specs = (
        MapSpec(FLOWS, MapType.HASH, KEY_BYTES, size, options.max_flows),
        MapSpec(EXPORT, MapType.RINGBUF, 0, 0, _RING_BYTES),
        tally_map(),
        MapSpec(BLANK, MapType.ARRAY, 4, size, 1),
    )
    return {spec.name: spec for spec in specs}


def read_tally(tally: memoryview) -> dict[str, int]:
    """Packets by outcome, of all CPUs; `tally` is the mapped value."""
    return read_outcomes(tally, OUTCOMES)
