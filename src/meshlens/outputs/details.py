"""What is known of one thing beyond its line: a label and a text for each fact."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from meshlens.outputs.sheet_verdicts import VERDICTS, verdict_facts
from meshlens.outputs.sheets import (
    FILTERS,
    FLOWS,
    INTERFACES,
    STATIONS,
    FilterLine,
    FlowLine,
    InterfaceLine,
    StationLine,
)
from meshlens.outputs.sheets_wifi import AIR, WIFI, AirLine, WifiLine
from meshlens.outputs.text import ago, bars, endpoint, human
from meshlens.packet.ethertypes import ethertype_name
from meshlens.readings.rates import Rate

__all__ = ["DETAILS", "Facts"]

Facts = list[tuple[str, str]]

#: Names of TCP option kinds (IANA, TCP Parameters) as fingerprints write them.
_TCP_OPTIONS: Final = {
    0: "end",
    1: "nop",
    2: "mss",
    3: "scale",
    4: "sack-ok",
    5: "sack",
    8: "time",
    34: "fast-open",
}
#: A histogram of times counts microseconds.
_TIME_UNITS: Final = ((1_000_000, "s"), (1_000, "ms"), (1, "µs"))


def _interface(line: InterfaceLine) -> Facts:
    interface, casts = line.interface, line.casts
    speed = f"{human(interface.speed_bps)}bit/s" if interface.speed_bps else "speed unknown"
    by_type = sorted(line.ethertypes.items(), key=lambda item: -item[1].bytes)
    return [
        ("interface", f"{interface.name} · {interface.mac} · {'up' if interface.up else 'down'} · {speed}"),
        ("packets/s", _mix(casts._asdict())),
        (
            "carries",
            " · ".join(f"{ethertype_name(each)} {_bits(rate)}" for each, rate in by_type),
        ),
        *((f"sizes {each.direction}", _sizes(each.sizes)) for each in interface.traffic if any(each.sizes)),
        ("drops", _tally(interface.drops)),
        ("XDP", _tally(interface.verdicts)),
    ]


def _station(line: StationLine) -> Facts:
    station = line.station
    maker = station.vendor or ("private address" if station.locally_administered else "")
    who = filter(None, (station.mac, station.name, maker, f"{station.kind} on {station.interface}"))
    casts = {"unicast": station.unicast, "multicast": station.multicast, "broadcast": station.broadcast}
    known = f"for {ago((station.last_ns - station.first_ns) / 1e9)}, last {ago(line.silent_s)} ago"
    return [
        ("station", " · ".join(who)),
        ("sent", f"{_amount(station.in_packets, station.in_bytes)}: {_mix(casts)}"),
        ("received", f"{_amount(station.out_packets, station.out_bytes)}; seen {known}"),
        ("protocols", _mix(station.protocols, of=station.packets)),
        ("sizes", _sizes(station.sizes)),
        ("gaps", _histogram(station.gaps, _time)),
        ("says", ", ".join(sorted(station.seen))),
        *_dhcp(line),
        *_syn(line),
    ]  # fmt: skip


def _dhcp(line: StationLine) -> Facts:
    if (dhcp := line.station.dhcp) is None:
        return []
    asks, options = (",".join(map(str, codes)) for codes in (dhcp.requested, dhcp.options))
    names = " · ".join(filter(None, (dhcp.hostname, dhcp.vendor_class)))
    return [("DHCP", f"{names} · asks for {asks or 'nothing'} · options {options}".removeprefix(" · "))]


def _syn(line: StationLine) -> Facts:
    if (syn := line.station.syn) is None:
        return []
    options = ",".join(_TCP_OPTIONS.get(kind, str(kind)) for kind in syn.options)
    return [
        ("TCP SYN", f"TTL {syn.ttl} · window {syn.window} · MSS {syn.mss or '-'} · options {options or '-'}")
    ]


def _flow(line: FlowLine) -> Facts:
    flow = line.flow
    begin = datetime.fromtimestamp(flow.first_ns / 1e9, UTC).strftime("%H:%M:%S")
    seen = {"in": "coming in", "out": "going out", None: "passing"}[flow.direction]
    state = f"ended after {ago(line.age_s)}" if line.over else f"for {ago(line.age_s)}"
    where = f"{flow.interface}, inside {flow.inside}," if flow.inside else f"{flow.interface},"
    first = zip(flow.head_sizes, flow.head_ways, strict=True)
    return [
        ("flow", f"{flow.protocol} on {where} begun {seen} at {begin} UTC, {state}"),
        ("source", _end(flow.src, flow.src_port, flow.src_packets, flow.src_bytes, line.rate.sent)),
        ("dest.", _end(flow.dst, flow.dst_port, flow.dst_packets, flow.dst_bytes, line.rate.received)),
        ("flags", flow.flags),
        ("first", " ".join(f"{'→' if way > 0 else '←'}{size}" for size, way in first)),
    ]


def _end(address: str, port: int, packets: int, size: int, rate: Rate) -> str:
    return f"{endpoint(address, port)}: {_amount(packets, size)}, {_bits(rate)}"


def _filter(line: FilterLine) -> Facts:
    busiest = sorted(line.rates.items(), key=lambda item: -item[1])
    return [
        ("filter", f"{line.filter}: {_amount(line.packets, line.bytes)}"),
        ("packets/s", " · ".join(f"{where} {human(rate)}" for where, rate in busiest)),
    ]


def _bits(rate: Rate) -> str:
    return f"{human(8 * rate.bytes)}bit/s"


def _amount(packets: int, size: int) -> str:
    return f"{human(packets)} packets, {human(size)}B"


def _mix(parts: Mapping[str, float], of: float | None = None) -> str:
    """Parts in percent, the largest first, those of 0 left out."""
    whole = (sum(parts.values()) if of is None else of) or 1
    largest = sorted(parts.items(), key=lambda item: -item[1])
    return " · ".join(f"{name} {100 * part / whole:.0f}%" for name, part in largest if part)


def _tally(numbers: Mapping[str, int]) -> str:
    return " · ".join(f"{name} {human(value)}" for name, value in numbers.items() if value)


def _sizes(buckets: Sequence[int]) -> str:
    return _histogram(buckets, lambda value: f"{value} B")


def _histogram(buckets: Sequence[int], unit: Callable[[int], str]) -> str:
    """Bars for powers of two, from the first that has something in it to the last."""
    used = [position for position, number in enumerate(buckets) if number]
    if not used:
        return ""
    first, last = used[0], used[-1]
    return f"{unit(1 << first)} ▕{bars(buckets[first : last + 1])}▏ {unit(1 << last + 1)}"


def _time(microseconds: int) -> str:
    for size, unit in _TIME_UNITS:
        if microseconds >= size:
            return f"{microseconds // size} {unit}"
    return "0"


def _told(facts: Callable[[Any], Facts]) -> Callable[[Any], Facts]:
    """Only what there is something to say about."""
    return lambda line: [(label, text) for label, text in facts(line) if text]


#: By the title of the sheet: what there is to say about a line of it.
def _wifi(line: WifiLine) -> Facts:
    station = line.station
    where = filter(None, (station.mac, station.kind, station.ssid, station.bssid, station.interface))
    rates = [f"{each.rate} {human(each.attempts or 0)}" for each in station.tx_rates]
    sources: dict[str, list[str]] = {}
    for name, source in station.sources.items():
        sources.setdefault(source, []).append(name)
    return [
        ("wifi", " · ".join(where)),
        ("rates", " · ".join(rates)),
        ("latency", _spread(station.latencies_us, "µs")),
        ("signals", _spread(station.signals, "dBm")),
        *((source, " ".join(names)) for source, names in sources.items()),
    ]


def _air(line: AirLine) -> Facts:
    heard = line.transmitter
    return [
        ("air", " · ".join(filter(None, (heard.mac or "(not named)", heard.bssid, heard.interface)))),
        ("kinds", " · ".join(f"{name} {human(count.frames)}" for name, count in heard.kinds.items())),
        ("rates", " · ".join(f"{use.rate} {human(use.frames)}" for use in heard.rates)),
        ("signals", _spread(heard.signals, "dBm")),
    ]


def _spread(counts: Mapping[int, int], unit: str) -> str:
    """Bars, and what the first and the last of them stand for."""
    if not counts:
        return ""
    return f"{bars(list(counts.values()))} {min(counts)} to {max(counts)} {unit}"


DETAILS: Final[dict[str, Callable[[Any], Facts]]] = {
    INTERFACES.title: _told(_interface),
    STATIONS.title: _told(_station),
    FLOWS.title: _told(_flow),
    FILTERS.title: _told(_filter),
    WIFI.title: _told(_wifi),
    AIR.title: _told(_air),
    VERDICTS.title: _told(verdict_facts),
}
