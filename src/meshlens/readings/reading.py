"""All that is known at one moment, of all probes: what `top` shows and `serve` gives out."""

from dataclasses import dataclass, field

from meshlens.probes.classified import ClassCount, Classified
from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.wifi.joined.record import WifiStation
from meshlens.wifi.monitor.record import Transmitter

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of all probes at `time_ns` (nanoseconds since the epoch); counts go on from the start.

    `flows` are going on, with what they have had so far; `ended` came to their end since the reading before.
    `wifi` are the stations of Wi-Fi interfaces that are in a network, `transmitters` those heard on monitor
    interfaces. `verdicts` are what a model says of stations or flows, `classes` their packets by class.
    `missed`: by probe ("count", "interfaces", "stations", "flows", "wifi", "transmitters", "classify"),
    packets it could not count by reason.
    """

    time_ns: int
    interfaces: tuple[InterfaceTraffic, ...] = ()
    stations: tuple[Station, ...] = ()
    flows: tuple[Flow, ...] = ()
    ended: tuple[Flow, ...] = ()
    counts: tuple[Count, ...] = ()
    missed: dict[str, dict[str, int]] = field(default_factory=dict)
    costs: tuple[ProbeCost, ...] = ()
    wifi: tuple[WifiStation, ...] = ()
    transmitters: tuple[Transmitter, ...] = ()
    verdicts: tuple[Classified, ...] = ()
    classes: tuple[ClassCount, ...] = ()
