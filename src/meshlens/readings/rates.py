"""What went through per second, between two readings of the same session."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import sub
from typing import NamedTuple, TypeVar

from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count, Direction
from meshlens.probes.stations.record import Station, StationKind
from meshlens.readings.reading import Reading
from meshlens.wifi.joined.record import WifiStation
from meshlens.wifi.monitor.record import Transmitter

__all__ = [
    "Casts", "EthertypeKey", "FilterKey", "FlowKey", "InterfaceKey", "Rate", "Rates", "StationKey", "TwoWay",
    "WifiKey", "filter_key", "flow_key", "rates", "station_key", "wifi_key",
]  # fmt: skip


class Rate(NamedTuple):
    """Packets and bytes per second."""

    packets: float
    bytes: float


class Casts(NamedTuple):
    """Packets per second by what kind of address they go to."""

    unicast: float
    multicast: float
    broadcast: float


class TwoWay(NamedTuple):
    """What a station, or the source of a flow, sends and is sent."""

    sent: Rate
    received: Rate

    @property
    def packets(self) -> float:
        """Packets per second, both ways."""
        return self.sent.packets + self.received.packets

    @property
    def bytes(self) -> float:
        """Bytes per second, both ways."""
        return self.sent.bytes + self.received.bytes


class InterfaceKey(NamedTuple):
    """One direction of an interface."""

    interface: str
    direction: Direction


class EthertypeKey(NamedTuple):
    """An ethertype in one direction of an interface; -1 gathers those that found no room."""

    interface: str
    direction: Direction
    ethertype: int


class StationKey(NamedTuple):
    """What makes a station one: the same address on two interfaces is two."""

    interface: str
    mac: str
    kind: StationKind


class WifiKey(NamedTuple):
    """A station of a Wi-Fi interface, or a transmitter that one heard."""

    interface: str
    mac: str


class FlowKey(NamedTuple):
    """What makes a flow one, oriented as the flow is."""

    interface: str
    protocol: str
    src: str
    src_port: int
    dst: str
    dst_port: int
    inside: str


class FilterKey(NamedTuple):
    """A filter in one direction of an interface; the direction is None where it is not known."""

    filter: str
    interface: str
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of all that is in the later of two readings, `seconds` apart. What is gone has none.

    `flows` has those that ended in between, too. `casts` of a station are of what it sends. `missed` is in
    packets per second by probe.
    """

    seconds: float = 0.0
    interfaces: dict[InterfaceKey, Rate] = field(default_factory=dict)
    interface_casts: dict[InterfaceKey, Casts] = field(default_factory=dict)
    ethertypes: dict[EthertypeKey, Rate] = field(default_factory=dict)
    stations: dict[StationKey, TwoWay] = field(default_factory=dict)
    station_casts: dict[StationKey, Casts] = field(default_factory=dict)
    flows: dict[FlowKey, TwoWay] = field(default_factory=dict)
    filters: dict[FilterKey, Rate] = field(default_factory=dict)
    missed: dict[str, float] = field(default_factory=dict)
    wifi: dict[WifiKey, TwoWay] = field(default_factory=dict)
    transmitters: dict[WifiKey, Rate] = field(default_factory=dict)


def rates(before: Reading, now: Reading) -> Rates:
    """Return what was added per second since the reading before.

    What is new, or was counted anew, counts from 0: a counter that has become smaller, a station that was
    forgotten and came back. An interface that was not in the reading before has rates of 0 in this one: if it
    was away only, its counts went on where they stood. If no time has passed (or the clock was set back) all
    rates are 0.
    """
    seconds = max(0.0, (now.time_ns - before.time_ns) / 1e9)
    interfaces, interfaces_before = _interfaces(now), _interfaces(before)
    ethertypes, ethertypes_before = _ethertypes(now), _ethertypes(before)
    for key, counters in interfaces.items():
        if key not in interfaces_before:  # it may have been away, and bring its counts along
            interfaces_before[key] = counters
            ethertypes_before |= {each: ethertypes[each] for each in ethertypes if each[:2] == key}
        elif _less(counters, interfaces_before[key]):
            ethertypes_before = {each: was for each, was in ethertypes_before.items() if each[:2] != key}
    interface_rates = _rates(interfaces, interfaces_before, seconds)
    station_rates = _rates(_stations(now.stations), _stations(_still_known(before, now)), seconds)
    flow_rates = _rates(_flows((*now.flows, *now.ended)), _flows(before.flows), seconds)
    return Rates(
        seconds,
        {key: Rate(*each[:2]) for key, each in interface_rates.items()},
        {key: Casts(*each[2:]) for key, each in interface_rates.items()},
        {key: Rate(*each) for key, each in _rates(ethertypes, ethertypes_before, seconds).items()},
        {key: _two_way(each) for key, each in station_rates.items()},
        {key: Casts(*each[4:]) for key, each in station_rates.items()},
        {key: _two_way(each) for key, each in flow_rates.items()},
        {key: Rate(*each) for key, each in _rates(_filters(now), _filters(before), seconds).items()},
        {probe: sum(each) for probe, each in _rates(_missed(now), _missed(before), seconds).items()},
        {key: _two_way(each) for key, each in _rates(_wifi(now), _wifi(before), seconds).items()},
        {
            key: Rate(*each)
            for key, each in _rates(_transmitters(now), _transmitters(before), seconds).items()
        },
    )


def station_key(station: Station) -> StationKey:
    """The key of a station in `Rates`."""
    return StationKey(station.interface, station.mac, station.kind)


def flow_key(flow: Flow) -> FlowKey:
    """The key of a flow in `Rates`."""
    ends = flow.src, flow.src_port, flow.dst, flow.dst_port
    return FlowKey(flow.interface, flow.protocol, *ends, flow.inside)


def filter_key(count: Count) -> FilterKey:
    """The key of a filter's count in `Rates`."""
    return FilterKey(count.filter, count.interface, count.direction)


def wifi_key(each: WifiStation | Transmitter) -> WifiKey:
    """The key of a station of a Wi-Fi interface, or of a transmitter, in `Rates`."""
    return WifiKey(each.interface, each.mac)


#: Counters that only grow, and begin anew together.
Counters = tuple[int, ...]
K = TypeVar("K")


def _interfaces(reading: Reading) -> dict[InterfaceKey, Counters]:
    return {
        InterfaceKey(interface.name, each.direction):
            (each.packets, each.bytes, each.unicast, each.multicast, each.broadcast)
        for interface in reading.interfaces
        for each in interface.traffic
    }  # fmt: skip


def _ethertypes(reading: Reading) -> dict[EthertypeKey, Counters]:
    return {
        EthertypeKey(interface.name, each.direction, ethertype): counters
        for interface in reading.interfaces
        for each in interface.traffic
        for ethertype, counters in each.ethertypes.items()
    }


def _stations(stations: Iterable[Station]) -> dict[StationKey, Counters]:
    return {
        station_key(each): (
            each.in_packets, each.in_bytes, each.out_packets, each.out_bytes,
            each.unicast, each.multicast, each.broadcast,
        )
        for each in stations
    }  # fmt: skip


def _still_known(before: Reading, now: Reading) -> list[Station]:
    """The stations of the reading before that were not forgotten since, be they back or not."""
    first_ns = {station_key(each): each.first_ns for each in now.stations}
    return [each for each in before.stations if first_ns.get(station_key(each), 0) <= each.last_ns]


def _flows(flows: Iterable[Flow]) -> dict[FlowKey, Counters]:
    """Flows of the same ends added up: one may end and another begin between two readings."""
    sums: dict[FlowKey, Counters] = {}
    for each in flows:
        counters = (each.src_packets, each.src_bytes, each.dst_packets, each.dst_bytes)
        before = sums.get(flow_key(each), (0, 0, 0, 0))
        sums[flow_key(each)] = tuple(map(sum, zip(counters, before, strict=True)))
    return sums


def _wifi(reading: Reading) -> dict[WifiKey, Counters]:
    """What is not told goes on at 0."""
    return {
        wifi_key(each): (each.rx_frames or 0, each.rx_bytes or 0, each.tx_frames or 0, each.tx_bytes or 0)
        for each in reading.wifi
    }


def _transmitters(reading: Reading) -> dict[WifiKey, Counters]:
    return {wifi_key(each): (each.frames, each.bytes) for each in reading.transmitters}


def _filters(reading: Reading) -> dict[FilterKey, Counters]:
    return {filter_key(each): (each.packets, each.bytes) for each in reading.counts}


def _missed(reading: Reading) -> dict[str, Counters]:
    return {probe: (sum(reasons.values()),) for probe, reasons in reading.missed.items()}


def _rates(
    now: Mapping[K, Counters], before: Mapping[K, Counters], seconds: float
) -> dict[K, tuple[float, ...]]:
    # By the way of tuples and lists, not of generators: there are thousands of filters, every second.
    divisor = seconds or math.inf
    return {
        key: tuple([each / divisor for each in _added(counters, before.get(key))])
        for key, counters in now.items()
    }


def _added(now: Counters, before: Counters | None) -> Counters:
    if before is None:
        return now
    added = tuple(map(sub, now, before))
    return now if min(added) < 0 else added  # counters only grow, unless they began anew


def _less(now: Counters, before: Counters) -> bool:
    """Whether counting began anew: counters only grow."""
    return any(each < was for each, was in zip(now, before, strict=True))


def _two_way(each: tuple[float, ...]) -> TwoWay:
    return TwoWay(Rate(*each[:2]), Rate(*each[2:4]))
