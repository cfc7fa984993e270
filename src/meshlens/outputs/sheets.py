"""The sheets of `meshlens top`: interfaces, stations, flows, filters, and those of Wi-Fi."""

from dataclasses import dataclass, field
from typing import Any, Final

from meshlens.outputs.sheet import Sheet, name, number
from meshlens.outputs.sheet_verdicts import VERDICTS
from meshlens.outputs.sheets_wifi import AIR, WIFI
from meshlens.outputs.text import ago, endpoint, shorten
from meshlens.probes.flows.record import Flow
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.readings.rates import (
    Casts,
    EthertypeKey,
    FilterKey,
    InterfaceKey,
    Rate,
    Rates,
    TwoWay,
    flow_key,
    station_key,
)
from meshlens.readings.reading import Reading

__all__ = [
    "FILTERS", "FLOWS", "INTERFACES", "SHEETS", "STATIONS", "FilterLine", "FlowLine", "InterfaceLine",
    "StationLine",
]  # fmt: skip

_STILL: Final = Rate(0.0, 0.0)
_NO_CASTS: Final = Casts(0.0, 0.0, 0.0)
_KINDS: Final = {"station": "", "inner": "inner", "originator": "orig."}


@dataclass(frozen=True, slots=True)
class InterfaceLine:
    """An interface, its rates, and the packets and bytes per second of each ethertype, both directions."""

    interface: InterfaceTraffic
    rate_in: Rate
    rate_out: Rate
    casts: Casts
    ethertypes: dict[int, Rate]

    @property
    def drops(self) -> int:
        """Frames that the driver or the kernel dropped, for whatever reason."""
        return sum(self.interface.drops.values())

    @property
    def use(self) -> float:
        """How much of its speed the busier direction takes, 0 to 1; 0 where the speed is unknown."""
        speed_bps = self.interface.speed_bps
        return 8 * max(self.rate_in.bytes, self.rate_out.bytes) / speed_bps if speed_bps else 0.0


@dataclass(frozen=True, slots=True)
class StationLine:
    """A station, its rates, and how many seconds ago it was seen last."""

    station: Station
    rate: TwoWay
    casts: Casts
    silent_s: float


@dataclass(frozen=True, slots=True)
class FlowLine:
    """A flow, its rates, and how many seconds it has been going on; `over` if it has come to its end."""

    flow: Flow
    rate: TwoWay
    age_s: float
    over: bool


@dataclass(slots=True)
class FilterLine:
    """What a filter matched on all interfaces, and packets per second by interface and direction."""

    filter: str
    packets: int = 0
    bytes: int = 0
    packet_rate: float = 0.0
    byte_rate: float = 0.0
    share: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)


def _interface_lines(reading: Reading, rates: Rates) -> list[InterfaceLine]:
    return [_interface_line(each, rates) for each in reading.interfaces]


def _interface_line(interface: InterfaceTraffic, rates: Rates) -> InterfaceLine:
    ways = [InterfaceKey(interface.name, each.direction) for each in interface.traffic]
    in_, out = (rates.interfaces.get(InterfaceKey(interface.name, way), _STILL) for way in ("in", "out"))
    casts = [rates.interface_casts.get(way, _NO_CASTS) for way in ways]
    ethertypes: dict[int, Rate] = {}
    for each in interface.traffic:
        for ethertype in each.ethertypes:
            rate = rates.ethertypes.get(EthertypeKey(interface.name, each.direction, ethertype), _STILL)
            before = ethertypes.get(ethertype, _STILL)
            ethertypes[ethertype] = Rate(before.packets + rate.packets, before.bytes + rate.bytes)
    sums = Casts(*(sum(column) for column in zip(_NO_CASTS, *casts, strict=True)))
    return InterfaceLine(interface, in_, out, sums, ethertypes)


def _station_lines(reading: Reading, rates: Rates) -> list[StationLine]:
    return [
        StationLine(
            each,
            rates.stations.get(station_key(each), TwoWay(_STILL, _STILL)),
            rates.station_casts.get(station_key(each), _NO_CASTS),
            max(0.0, (reading.time_ns - each.last_ns) / 1e9),
        )
        for each in reading.stations
    ]


def _flow_lines(reading: Reading, rates: Rates) -> list[FlowLine]:
    """Those going on; of those that have ended since the reading before only what did not begin anew."""
    lines = {flow_key(each): (each, True) for each in reading.ended}
    lines |= {flow_key(each): (each, False) for each in reading.flows}
    return [
        FlowLine(
            flow,
            rates.flows.get(key, TwoWay(_STILL, _STILL)),
            max(0.0, ((flow.last_ns if over else reading.time_ns) - flow.first_ns) / 1e9),
            over,
        )
        for key, (flow, over) in lines.items()
    ]


def _filter_lines(reading: Reading, rates: Rates) -> list[FilterLine]:
    """Without helper filters, those whose name begins with '%'."""
    lines: dict[str, FilterLine] = {}
    for each in reading.counts:
        if each.filter.startswith("%"):
            continue
        line = lines.setdefault(each.filter, FilterLine(each.filter))
        rate = rates.filters.get(FilterKey(each.filter, each.interface, each.direction), _STILL)
        line.packets += each.packets
        line.bytes += each.bytes
        line.packet_rate += rate.packets
        line.byte_rate += rate.bytes
        line.rates[f"{each.interface} {each.direction or ''}".rstrip()] = rate.packets
    most_bytes = max((each.bytes for each in lines.values()), default=0) or 1
    for line in lines.values():
        line.share = line.bytes / most_bytes
    return list(lines.values())


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _use(share: float) -> str:
    return _percent(share) if share else "-"


INTERFACES: Final[Sheet[InterfaceLine]] = Sheet(
    "interfaces",
    _interface_lines,
    (
        name("interface", lambda line: line.interface.name, 9, 15),
        number("in pkt/s", lambda line: line.rate_in.packets),
        number("in bit/s", lambda line: 8 * line.rate_in.bytes),
        number("out pkt/s", lambda line: line.rate_out.packets),
        number("out bit/s", lambda line: 8 * line.rate_out.bytes),
        number("mcast/s", lambda line: line.casts.multicast),
        number("bcast/s", lambda line: line.casts.broadcast),
        number("use", lambda line: line.use, _use),
        number("drops", lambda line: line.drops),
        number("packets", lambda line: sum(each.packets for each in line.interface.traffic), level=1),
        number("bytes", lambda line: sum(each.bytes for each in line.interface.traffic), level=1),
    ),
    sort=2,
    key=lambda line: line.interface.name,
    words=lambda line: (line.interface.name, line.interface.mac),
    speed=lambda line: line.rate_in.bytes + line.rate_out.bytes,
)

STATIONS: Final[Sheet[StationLine]] = Sheet(
    "stations",
    _station_lines,
    (
        name("station", lambda line: line.station.mac, 17),
        name("name", lambda line: line.station.name or line.station.vendor, 8, 30, cut=shorten),
        name("interface", lambda line: line.station.interface, 9, 15),
        name("kind", lambda line: _KINDS[line.station.kind], 5),
        number("pkt/s", lambda line: line.rate.packets),
        number("sent b/s", lambda line: 8 * line.rate.sent.bytes),
        number("rcvd b/s", lambda line: 8 * line.rate.received.bytes),
        number("bcast/s", lambda line: line.casts.broadcast),
        # The one seen last stands first, as large numbers do.
        number("seen", lambda line: -line.silent_s, lambda value: ago(-value)),
        number("mcast/s", lambda line: line.casts.multicast, level=1),
        number("bytes", lambda line: line.station.bytes, level=1),
        name("vendor", lambda line: line.station.vendor, 12, 30, cut=shorten, level=2),
    ),
    sort=4,
    key=lambda line: station_key(line.station),
    words=lambda line: (
        line.station.mac, line.station.name, line.station.vendor, line.station.interface, line.station.kind,
    ),
    speed=lambda line: line.rate.bytes,
)  # fmt: skip

FLOWS: Final[Sheet[FlowLine]] = Sheet(
    "flows",
    _flow_lines,
    (
        name("proto", lambda line: line.flow.protocol, 5, 7),
        name("source", lambda line: endpoint(line.flow.src, line.flow.src_port), 20, 47),
        name("destination", lambda line: endpoint(line.flow.dst, line.flow.dst_port), 19, 47),
        name("interface", lambda line: line.flow.interface, 9, 15),
        number("pkt/s", lambda line: line.rate.packets),
        number("bit/s", lambda line: 8 * line.rate.bytes),
        number("bytes", lambda line: line.flow.bytes),
        number("age", lambda line: line.age_s, ago),
        number("packets", lambda line: line.flow.packets, level=1),
        name("inside", lambda line: line.flow.inside, 6, level=1),
        name("flags", lambda line: line.flow.flags, 8, level=2),
    ),
    sort=5,
    key=lambda line: flow_key(line.flow),
    words=lambda line: (
        line.flow.protocol, line.flow.interface, line.flow.inside,
        endpoint(line.flow.src, line.flow.src_port), endpoint(line.flow.dst, line.flow.dst_port),
    ),
    speed=lambda line: line.rate.bytes,
)  # fmt: skip

FILTERS: Final[Sheet[FilterLine]] = Sheet(
    "filters",
    _filter_lines,
    (
        name("filter", lambda line: line.filter, 20, 60),
        number("pkt/s", lambda line: line.packet_rate),
        number("bit/s", lambda line: 8 * line.byte_rate),
        number("packets", lambda line: line.packets),
        number("bytes", lambda line: line.bytes),
        number("share", lambda line: line.share, _percent, width=6),
    ),
    sort=2,
    key=lambda line: line.filter,
    words=lambda line: (line.filter,),
    speed=lambda line: line.byte_rate,
)

#: In the order of their tabs.
SHEETS: Final[tuple[Sheet[Any], ...]] = (INTERFACES, STATIONS, FLOWS, FILTERS, WIFI, AIR, VERDICTS)
