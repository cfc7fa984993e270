"""Which metrics a reading has: names, help texts, and how their samples are taken from it.

Names and units by prometheus.io/docs/practices/naming: base units, `_total` for what only grows. Interfaces
are counted by node_exporter's words (receive, transmit), so that its queries work with another prefix. None
of its `node_wifi_*` is used: those are what nl80211 says of 802.11 frames, not of Ethernet's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import Final, NamedTuple

from meshlens.outputs.exposition import Family, header, label_text, sample
from meshlens.outputs.metrics_wifi import WIFI_FAMILIES
from meshlens.outputs.verdicts import verdict_name
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.record import Station
from meshlens.readings.reading import Reading

__all__ = ["MAX_STATIONS", "TABLES", "Row", "Table", "counter", "gauge", "size_lines", "text"]

#: Of more stations than these only the busiest are told one by one: each is nine series, which Prometheus
#: keeps for as long as its retention is.
MAX_STATIONS: Final = 1000

_SECOND_NS: Final = 1e9
_CASTS: Final = ("unicast", "multicast", "broadcast")

#: A line's labels as text, and a value for each family of the table.
Row = tuple[str, tuple[float, ...]]


class Table(NamedTuple):
    """Families whose samples have the same labels, and these samples."""

    families: tuple[Family, ...]
    rows: Callable[[Reading], Iterable[Row]]


def counter(name: str, help: str) -> Family:
    """What only grows."""
    return Family(f"meshlens_{name}_total", help)


def gauge(name: str, help: str) -> Family:
    """What goes up and down."""
    return Family(f"meshlens_{name}", help, "gauge")


def text(**labels: str) -> str:
    """Labels as they stand in a line."""
    return label_text(labels.items())


def _interfaces(reading: Reading) -> Iterator[Row]:
    for each in reading.interfaces:
        yield text(interface=each.name), (int(each.up),)


def _speeds(reading: Reading) -> Iterator[Row]:
    for each in reading.interfaces:
        if each.speed_bps is not None:
            yield text(interface=each.name), (each.speed_bps / 8,)


def _traffic(direction: Direction, reading: Reading) -> Iterator[Row]:
    for interface in reading.interfaces:
        for each in interface.traffic:
            if each.direction == direction:
                yield text(interface=interface.name), (each.packets, each.bytes)


def _casts(reading: Reading) -> Iterator[Row]:
    for interface in reading.interfaces:
        for each in interface.traffic:
            for cast in _CASTS:
                labels = text(interface=interface.name, direction=each.direction, cast=cast)
                yield labels, (getattr(each, cast),)


def _ethertypes(reading: Reading) -> Iterator[Row]:
    for interface in reading.interfaces:
        for each in interface.traffic:
            for kind, counts in each.ethertypes.items():
                name = "other" if kind < 0 else f"{kind:#06x}"
                yield text(interface=interface.name, direction=each.direction, ethertype=name), counts


def _drops(reading: Reading) -> Iterator[Row]:
    for each in reading.interfaces:
        for reason, number in each.drops.items():
            yield text(interface=each.name, reason=reason), (number,)


def _verdicts(reading: Reading) -> Iterator[Row]:
    for each in reading.interfaces:
        for verdict, number in each.verdicts.items():
            yield text(interface=each.name, verdict=verdict), (number,)


def _stations(reading: Reading) -> Iterator[Row]:
    for each in _busiest(reading.stations):
        labels = text(interface=each.interface, mac=each.mac, kind=each.kind)
        counts = each.in_packets, each.in_bytes, each.out_packets, each.out_bytes
        yield labels, (*counts, each.last_ns / _SECOND_NS)


def _station_casts(reading: Reading) -> Iterator[Row]:
    for each in _busiest(reading.stations):
        for cast in _CASTS:
            yield (
                text(interface=each.interface, mac=each.mac, kind=each.kind, cast=cast),
                (getattr(each, cast),),
            )


def _station_names(reading: Reading) -> Iterator[Row]:
    for each in _busiest(reading.stations):
        labels = text(
            interface=each.interface, mac=each.mac, kind=each.kind, name=each.name, vendor=each.vendor
        )
        yield labels, (1,)


def _busiest(stations: tuple[Station, ...]) -> Iterable[Station]:
    if len(stations) <= MAX_STATIONS:
        return stations
    return sorted(stations, key=lambda each: -each.bytes)[:MAX_STATIONS]


def _station_numbers(reading: Reading) -> Iterator[Row]:
    for (interface, kind), number in Counter((s.interface, s.kind) for s in reading.stations).items():
        yield text(interface=interface, kind=kind), (number,)


def _flow_numbers(reading: Reading) -> Iterator[Row]:
    for (interface, protocol), number in Counter((f.interface, f.protocol) for f in reading.flows).items():
        yield text(interface=interface, protocol=protocol), (number,)


def _classes(reading: Reading) -> Iterator[Row]:
    for each in reading.classes:
        name = verdict_name(each.verdict)
        yield text(interface=each.interface, task=each.task, verdict=name), (
            each.samples, each.packets, each.bytes
        )  # fmt: skip


def _missed(reading: Reading) -> Iterator[Row]:
    for probe, reasons in reading.missed.items():
        for reason, packets in reasons.items():
            yield text(probe=probe, reason=reason), (packets,)


def _costs(reading: Reading) -> Iterator[Row]:
    for each in reading.costs:
        labels = text(probe=each.probe, interface=each.interface, direction=each.direction)
        yield labels, (each.run_count, each.run_time_ns / _SECOND_NS, each.instructions, each.memory_bytes)


def size_lines(reading: Reading) -> Iterator[str]:
    """The histogram of frame sizes: buckets are sums of all smaller ones, and have a label of their own."""
    family = Family("meshlens_interface_frame_size_bytes", "Sizes of frames on the wire.", "histogram")
    name, traffic = family.name, [(i.name, each) for i in reading.interfaces for each in i.traffic]
    yield from header(family) if traffic else ()
    for interface, each in traffic:
        labels = text(interface=interface, direction=each.direction)
        for bucket, packets in enumerate(accumulate(each.sizes)):
            yield sample(f"{name}_bucket", f'{labels},le="{2 ** (bucket + 1) - 1}"', packets)
        yield sample(f"{name}_bucket", f'{labels},le="+Inf"', each.packets)
        yield sample(f"{name}_sum", labels, each.bytes)
        yield sample(f"{name}_count", labels, each.packets)


TABLES: Final = (
    Table((gauge("interface_up", "Whether an interface is up."),), _interfaces),
    Table((gauge("interface_speed_bytes", "Speed of an interface, bytes a second."),), _speeds),
    Table(
        (
            counter("interface_receive_packets", "Packets that an interface received."),
            counter("interface_receive_bytes", "Bytes that an interface received."),
        ),
        partial(_traffic, "in"),
    ),
    Table(
        (
            counter("interface_transmit_packets", "Packets that an interface transmitted."),
            counter("interface_transmit_bytes", "Bytes that an interface transmitted."),
        ),
        partial(_traffic, "out"),
    ),
    Table((counter("interface_cast_packets", "Packets by the kind of their destination."),), _casts),
    Table(
        (
            counter("interface_ethertype_packets", "Packets by ethertype, behind VLAN tags."),
            counter("interface_ethertype_bytes", "Bytes by ethertype, behind VLAN tags."),
        ),
        _ethertypes,
    ),
    Table((counter("interface_drops", "Packets that the kernel dropped, by its counters."),), _drops),
    Table((counter("interface_xdp_verdicts", "What XDP programs decided."),), _verdicts),
    Table((gauge("stations", "Stations that are known now."),), _station_numbers),
    Table(
        (
            counter("station_receive_packets", "Packets that came from a station."),
            counter("station_receive_bytes", "Bytes that came from a station."),
            counter("station_transmit_packets", "Packets that went to a station."),
            counter("station_transmit_bytes", "Bytes that went to a station."),
            gauge("station_last_seen_timestamp_seconds", "When a station was last seen."),
        ),
        _stations,
    ),
    Table(
        (counter("station_cast_packets", "Packets from a station by kind of destination."),), _station_casts
    ),
    Table((gauge("station_info", "Name and vendor of a station."),), _station_names),
    Table((gauge("flows", "Flows that are going on."),), _flow_numbers),
    *(Table((family,), rows) for family, rows in WIFI_FAMILIES),
    Table(
        (
            gauge("class_samples", "Stations or flows of a class; before the first verdict: undecided."),
            counter("class_packets", "Packets of the stations or flows of a class."),
            counter("class_bytes", "Bytes of the stations or flows of a class."),
        ),
        _classes,
    ),
    Table((counter("missed_packets", "Packets that a probe could not count, by reason."),), _missed),
    Table(
        (
            counter("program_runs", "Runs of an eBPF program; 0 unless run statistics are on."),
            counter("program_run_seconds", "Time in an eBPF program; 0 unless run statistics are on."),
            gauge("program_instructions", "Instructions of an eBPF program."),
            gauge("program_memory_bytes", "Kernel memory of an eBPF program and of its maps."),
        ),
        _costs,
    ),
)
