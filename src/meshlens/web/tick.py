"""What happened between two readings, in rows ready to be cut to what one viewer looks at."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, Final, Literal

from meshlens.packet.ethertypes import ethertype_name
from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.record import Station
from meshlens.readings.rates import Rate, Rates, TwoWay, flow_key, station_key
from meshlens.readings.reading import Reading
from meshlens.web.tables import Row

__all__ = ["BYS", "By", "Tick", "of_interface", "rounded", "tick", "top_rows"]

_NOTHING: Final = Rate(0.0, 0.0)
_SILENT: Final = TwoWay(_NOTHING, _NOTHING)
#: By what rows are chosen: the place of the rate in its pair.
By = Literal["packets", "bytes"]
BYS: Final[dict[By, int]] = {"packets": 0, "bytes": 1}


@dataclass(frozen=True, slots=True)
class Tick:
    """The rates up to one reading; a rate is a pair [packets per second, bytes per second].

    Filters, stations and flows without a packet are left out; `stations_known` and `flows_going_on` count all
    of them by interface.
    """

    time_ns: int
    seconds: float
    interfaces: tuple[Row, ...]
    filters: tuple[Row, ...]
    stations: tuple[Row, ...]
    flows: tuple[Row, ...]
    ethertypes: tuple[Row, ...]
    stations_known: dict[str, int]
    flows_going_on: dict[str, int]
    missed: dict[str, dict[str, int]]
    costs: tuple[Row, ...]

    def json(self, interface: str = "", top: int = 20, by: By = "bytes", watch: Collection[str] = ()) -> str:
        """Compact JSON, in each table the `top` rows with the most packets or bytes of both ways together.

        Filters and stations that are watched are there besides. With an interface, of that one only.
        """
        tables = {"filters": self.filters, "stations": self.stations, "flows": self.flows}
        chosen = {name: top_rows(of_interface(rows, interface), top, by) for name, rows in tables.items()}
        for name in ("filters", "stations") if watch else ():
            seen = {id(row) for row in chosen[name]}
            also = (row for row in of_interface(tables[name], interface) if row["name"] in watch)
            chosen[name] += [row for row in also if id(row) not in seen]
        chosen |= {
            "interfaces": list(self.interfaces),
            "ethertypes": list(of_interface(self.ethertypes, interface)),
        }
        event = {
            "time": self.time_ns / 1e9,
            "seconds": round(self.seconds, 3),
            **{name: [rounded(row) for row in rows] for name, rows in chosen.items()},
            "stations_known": _sum(self.stations_known, interface),
            "flows_going_on": _sum(self.flows_going_on, interface),
            "missed": self.missed,
            "costs": self.costs,
        }
        return json.dumps(event, separators=(",", ":"))


def tick(before: Reading, now: Reading, difference: Rates) -> Tick:
    """The tick from one reading to a later one, `difference` being the rates between them."""
    return Tick(
        now.time_ns,
        difference.seconds,
        tuple(_interfaces(now, difference)),
        tuple(_filters(difference)),
        tuple(_stations(now.stations, difference)),
        tuple(_flows((*now.flows, *now.ended), difference)),
        tuple(_ethertypes(difference)),
        _number_by_interface(now.stations),
        _number_by_interface(now.flows),
        now.missed,
        tuple(_costs(before.costs, now.costs, difference.seconds)),
    )


def _interfaces(reading: Reading, difference: Rates) -> Iterable[Row]:
    by_name: dict[str, dict[Direction, Rate]] = defaultdict(dict)
    for key, rate in difference.interfaces.items():
        by_name[key.interface][key.direction] = rate
    for each in reading.interfaces:
        yield {"name": each.name, "up": each.up, "speed_bps": each.speed_bps, **_ways(by_name[each.name])}


def _filters(difference: Rates) -> Iterable[Row]:
    by_place: dict[tuple[str, str], dict[Direction | None, Rate]] = defaultdict(dict)
    for key, rate in difference.filters.items():
        if rate.packets:
            by_place[key.filter, key.interface][key.direction] = rate
    for (name, interface), ways in by_place.items():
        yield {"name": name, "interface": interface, **_ways(ways)}


def _stations(stations: Iterable[Station], difference: Rates) -> Iterable[Row]:
    for each in stations:
        rate = difference.stations.get(station_key(each), _SILENT)
        if rate.packets:
            yield {
                "name": each.mac, "interface": each.interface, "kind": each.kind, "host": each.name,
                "vendor": each.vendor, "in": rate.sent, "out": rate.received,
            }  # fmt: skip


def _flows(flows: Iterable[Flow], difference: Rates) -> Iterable[Row]:
    for key, each in {flow_key(each): each for each in flows}.items():
        rate = difference.flows.get(key, _SILENT)
        if rate.packets:
            yield {
                "interface": each.interface, "protocol": each.protocol, "src": each.src,
                "src_port": each.src_port, "dst": each.dst, "dst_port": each.dst_port, "inside": each.inside,
                "sent": rate.sent, "received": rate.received,
            }  # fmt: skip


def _ethertypes(difference: Rates) -> Iterable[Row]:
    by_place: dict[tuple[int, str], dict[Direction, Rate]] = defaultdict(dict)
    for key, rate in difference.ethertypes.items():
        if rate.packets:
            by_place[key.ethertype, key.interface][key.direction] = rate
    for (ethertype, interface), ways in by_place.items():
        yield {"name": ethertype_name(ethertype), "interface": interface, **_ways(ways)}


def _costs(before: Iterable[ProbeCost], now: Iterable[ProbeCost], seconds: float) -> Iterable[Row]:
    """Cost by probe: of its programs together, what they took since the reading before."""
    was = {(each.probe, each.interface, each.direction): each for each in before}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for each in now:
        old = was.get((each.probe, each.interface, each.direction))
        # A program loaded anew, on an interface that came back, counts from 0.
        same = old is not None and old.run_count <= each.run_count
        runs, time_ns = (old.run_count, old.run_time_ns) if old and same else (0, 0)
        added = (1, each.memory_bytes, each.run_count - runs, each.run_time_ns - time_ns, each.run_count)
        sums[each.probe] = [total + more for total, more in zip(sums[each.probe], added, strict=True)]
    for probe, (programs, memory_bytes, runs, time_ns, runs_ever) in sums.items():
        yield {
            "probe": probe,
            "programs": programs,
            "memory_bytes": memory_bytes,
            "ns_per_run": round(time_ns / runs, 1) if runs else None,
            "cores": round(time_ns / seconds / 1e9, 5) if seconds and runs_ever else None,
        }


def _ways(rates_by_way: Mapping[Any, Rate]) -> Row:
    """Both directions; one that is not known counts as "in"."""
    incoming = rates_by_way.get("in") or rates_by_way.get(None, _NOTHING)
    return {"in": incoming, "out": rates_by_way.get("out", _NOTHING)}


def rounded(row: Row) -> Row:
    """A row with its rates as short numbers: only few of all rows are ever shown."""
    return {
        name: [round(value.packets, 1), round(value.bytes, 1)] if isinstance(value, Rate) else value
        for name, value in row.items()
    }


def of_interface(rows: Iterable[Row], interface: str) -> Iterable[Row]:
    """The rows of one interface; without a name, all."""
    return (row for row in rows if not interface or row["interface"] == interface)


def top_rows(rows: Iterable[Row], top: int, by: By) -> list[Row]:
    """The `top` rows with the most packets or bytes, both ways together."""
    place = BYS[by]

    def rate(row: Row) -> float:
        one, other = ("sent", "received") if "sent" in row else ("in", "out")
        both: float = row[one][place] + row[other][place]
        return both

    return nlargest(top, rows, rate)


def _number_by_interface(things: Iterable[Station | Flow]) -> dict[str, int]:
    return dict(Counter(each.interface for each in things))


def _sum(numbers: Mapping[str, int], interface: str) -> int:
    return numbers.get(interface, 0) if interface else sum(numbers.values())
