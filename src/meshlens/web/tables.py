"""A reading as tables: the records' own fields, and the rates beside them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from meshlens.outputs.transmitters import transmitter_record
from meshlens.outputs.wifi_stations import station_record
from meshlens.probes.flows.record import Flow
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.readings.rates import (
    InterfaceKey,
    Rate,
    Rates,
    TwoWay,
    filter_key,
    flow_key,
    station_key,
    wifi_key,
)  # fmt: skip
from meshlens.readings.reading import Reading

__all__ = ["TABLES", "Row", "Table", "whole"]

#: One line of a table, as JSON.
Row = dict[str, Any]

_NOTHING: Final = Rate(0.0, 0.0)
_SILENT: Final = TwoWay(_NOTHING, _NOTHING)


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a reading, and by what they are sorted unless one asks otherwise ("-": falling)."""

    rows: Callable[[Reading, Rates], Iterable[Row]]
    order: str


def whole(reading: Reading, rates: Rates) -> Row:
    """All tables at once, each with all its rows."""
    tables = {name: list(table.rows(reading, rates)) for name, table in TABLES.items()}
    return {"time_ns": reading.time_ns, "seconds": rates.seconds, **tables}


def _interfaces(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.interfaces:
        ways = [_traffic(each, at, rates) for at in range(len(each.traffic))]
        sums = {name: sum(way[name] for way in ways) for name in ("packets", "bytes", *_per_s(_NOTHING))}
        yield {**_shallow(each), "traffic": ways, **sums}


def _traffic(interface: InterfaceTraffic, at: int, rates: Rates) -> Row:
    traffic = interface.traffic[at]
    rate = rates.interfaces.get(InterfaceKey(interface.name, traffic.direction), _NOTHING)
    # Keys of JSON objects are strings; everybody knows ethertypes by their hexadecimal numbers.
    names = {kind: "other" if kind < 0 else f"0x{kind:04x}" for kind in traffic.ethertypes}
    kinds = {names[kind]: counted for kind, counted in traffic.ethertypes.items()}
    return {**_shallow(traffic), "ethertypes": kinds, **_per_s(rate)}


def _stations(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.stations:
        yield {
            **_shallow(each),
            "seen": sorted(each.seen),
            "dhcp": each.dhcp and asdict(each.dhcp),
            "syn": each.syn and asdict(each.syn),
            **_both(each, rates.stations.get(station_key(each), _SILENT), "in_", "out_"),
            "locally_administered": each.locally_administered,
        }


def _flows(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.flows:
        rate = rates.flows.get(flow_key(each), _SILENT)
        more = {"duration_ns": each.duration_ns, "flags": each.flags}
        yield {**_shallow(each), **_both(each, rate, "src_", "dst_"), **more}


def _counts(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.counts:
        yield {**_shallow(each), **_per_s(rates.filters.get(filter_key(each), _NOTHING))}


def _wifi(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.wifi:
        rate = rates.wifi.get(wifi_key(each), _SILENT)
        yield {
            **station_record(each), **_per_s(Rate(rate.packets, rate.bytes)), **_per_s(rate.sent, "rx_"),
            **_per_s(rate.received, "tx_"),
        }  # fmt: skip


def _verdicts(reading: Reading, _: Rates) -> Iterable[Row]:
    return (asdict(each) for each in reading.verdicts)


def _transmitters(reading: Reading, rates: Rates) -> Iterable[Row]:
    for each in reading.transmitters:
        yield {**transmitter_record(each), **_per_s(rates.transmitters.get(wifi_key(each), _NOTHING))}


def _missed(reading: Reading, _: Rates) -> Iterable[Row]:
    for probe, reasons in reading.missed.items():
        for reason, packets in reasons.items():
            yield {"probe": probe, "reason": reason, "packets": packets}


def _costs(reading: Reading, _: Rates) -> Iterable[Row]:
    for each in reading.costs:
        yield {**_shallow(each), "ns_per_run": each.run_time_ns / each.run_count if each.run_count else None}


#: By the last word of their address.
TABLES: Final[Mapping[str, Table]] = {
    "interfaces": Table(_interfaces, "name"),
    "stations": Table(_stations, "-bytes_per_s"),
    "flows": Table(_flows, "-bytes_per_s"),
    "counts": Table(_counts, "-bytes_per_s"),
    "wifi": Table(_wifi, "-bytes_per_s"),
    "transmitters": Table(_transmitters, "-bytes_per_s"),
    "verdicts": Table(_verdicts, "-confidence"),
    "missed": Table(_missed, "-packets"),
    "costs": Table(_costs, "-run_time_ns"),
}


def _shallow(record: Any) -> Row:
    """The fields of a record; unlike asdict() it copies nothing of what is in them."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def _both(record: Station | Flow, rate: TwoWay, sent: str, received: str) -> Row:
    """Sums of both ways, and the rates of each."""
    return {
        "packets": record.packets,
        "bytes": record.bytes,
        **_per_s(Rate(rate.packets, rate.bytes)),
        **_per_s(rate.sent, sent),
        **_per_s(rate.received, received),
    }


def _per_s(rate: Rate, prefix: str = "") -> Row:
    return {
        f"{prefix}packets_per_s": round(rate.packets, 3),
        f"{prefix}bytes_per_s": round(rate.bytes, 3),
    }
