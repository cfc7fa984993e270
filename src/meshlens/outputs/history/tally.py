"""What was added between readings: counters become amounts that can be stored, and added up again."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count, Direction
from meshlens.probes.stations.record import Station
from meshlens.readings.reading import Reading

__all__ = ["NOTHING", "Amount", "Key", "RecordKind", "Tally", "flow_name", "plus", "station_name"]

#: Kinds of series in the store: those that can be asked about; how many packets were missed, by "probe:
#: reason"; for how many milliseconds anything was recorded at all.
RecordKind = str

#: What went in and out: packets in, bytes in, packets out, bytes out.
Amount = tuple[int, int, int, int]
NOTHING: Final[Amount] = (0, 0, 0, 0)

#: What is not in a reading any more is remembered for so long, should it come back with its counts.
_REMEMBERED_NS: Final = 3600 * 10**9
_TIDY_NS: Final = 300 * 10**9


class Key(NamedTuple):
    """What a series is about."""

    kind: RecordKind
    interface: str
    name: str


#: A counter: the series it belongs to, and what tells one life of it from the next (a station that was
#: forgotten and came back begins anew).
_Identity = tuple[Key, object]


class Tally:
    """Tells for each reading what was added since the one before; since their start for new counters.

    A counter that has become smaller was begun anew, and counts from 0.
    """

    def __init__(self) -> None:
        self._known: dict[_Identity, tuple[Amount, int]] = {}
        self._counts: dict[tuple[str, str, Direction | None], tuple[int, int]] = {}
        self._time_ns = 0
        self._tidied_ns = 0

    def added(self, reading: Reading) -> dict[Key, Amount]:
        """What was added; series without any are absent."""
        sums: dict[Key, Amount] = {}
        for identity, now in _counters(reading):
            before, _ = self._known.get(identity, (NOTHING, 0))
            self._known[identity] = now, reading.time_ns
            if now == before:
                continue
            if any(each < was for each, was in zip(now, before, strict=True)):
                before = NOTHING
            key = identity[0]
            sums[key] = plus(sums.get(key, NOTHING), now, before)
        self._add_counts(reading.counts, sums)
        for flow in reading.ended:
            self._known.pop(_flow_identity(flow), None)
        if self._time_ns and reading.time_ns > self._time_ns:
            sums[Key("recorded", "", "")] = ((reading.time_ns - self._time_ns) // 10**6, 0, 0, 0)
        self._time_ns = reading.time_ns
        self._tidy()
        return sums

    def begin_at(self, reading: Reading) -> None:
        """Take this reading as the one before the next: of counters that another process has begun."""
        self._known = {identity: (now, reading.time_ns) for identity, now in _counters(reading)}
        self._counts = {}
        self._add_counts(reading.counts, {})

    def _add_counts(self, counts: Iterable[Count], sums: dict[Key, Amount]) -> None:
        """As for other counters, but there are thousands of these, and each lasts as long as the process."""
        known = self._counts
        for each in counts:
            where = each.filter, each.interface, each.direction
            packets, octets = known.get(where, (0, 0))
            if each.packets == packets:
                continue
            known[where] = each.packets, each.bytes
            if each.packets < packets:
                packets = octets = 0
            added = each.packets - packets, each.bytes - octets
            key = Key("filters", each.interface, each.filter)
            if each.direction == "out":
                sums[key] = (*sums.get(key, NOTHING)[:2], *added)
            else:
                sums[key] = (*added, *sums.get(key, NOTHING)[2:])

    def _tidy(self) -> None:
        if not self._tidied_ns <= self._time_ns < self._tidied_ns + _TIDY_NS:
            self._tidied_ns = self._time_ns
            horizon = self._time_ns - _REMEMBERED_NS
            self._known = {
                identity: known
                for identity, known in self._known.items()
                if known[1] >= horizon or identity[1] is None
            }


def plus(one: Amount, other: Amount, less: Amount = NOTHING) -> Amount:
    """one + other - less."""
    return (
        one[0] + other[0] - less[0],
        one[1] + other[1] - less[1],
        one[2] + other[2] - less[2],
        one[3] + other[3] - less[3],
    )


def flow_name(flow: Flow) -> str:
    """The name of the series that a flow belongs to: with all others of these ends to this port."""
    return f"{flow.protocol} {flow.src} {flow.dst} {flow.dst_port}"


def station_name(station: Station) -> str:
    """The name of a station's series: its address; behind it what it is, if it is not in the outer header."""
    return station.mac if station.kind == "station" else f"{station.mac} {station.kind}"


def _counters(reading: Reading) -> Iterator[tuple[_Identity, Amount]]:
    for interface in reading.interfaces:
        ways = {each.direction: (each.packets, each.bytes) for each in interface.traffic}
        key = Key("interfaces", interface.name, interface.name)
        yield (key, None), (*ways.get("in", (0, 0)), *ways.get("out", (0, 0)))
    for station in reading.stations:
        amount = station.in_packets, station.in_bytes, station.out_packets, station.out_bytes
        key = Key("stations", station.interface, station_name(station))
        yield (key, (station.first_ns,)), amount
    for flow in (*reading.flows, *reading.ended):
        yield _flow_identity(flow), (flow.src_packets, flow.src_bytes, flow.dst_packets, flow.dst_bytes)
    for probe, reasons in reading.missed.items():
        for reason, packets in reasons.items():
            yield (Key("missed", "", f"{probe}: {reason}"), None), (packets, 0, 0, 0)


def _flow_identity(flow: Flow) -> _Identity:
    return Key("flows", flow.interface, flow_name(flow)), (flow.src_port, flow.first_ns)
