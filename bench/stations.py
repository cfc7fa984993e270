"""What `meshlens stations` costs: a frame alone in the program.

Most frames are added to one entry; a unicast packet of batman-adv that comes in is to two, out to three.
"""

from collections.abc import Iterator
from statistics import fmean

from bench.inputs import by_kind, payload
from bench.measure import difference, ns_by_kind
from bench.programs import empty_program
from bench.report import Figure, Skip
from meshlens.ebpf import Program
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.program import load_stations, station_program

_STATIONS = 4_096
_ONE, _TWO = {"TCP": "client/tcp", "UDP": "client/udp"}, {"TCP in batman-adv": "unicast/tcp"}
_FILTER = "tcp or udp"


def figures(quick: bool) -> Iterator[Figure]:
    for name, kind in (_ONE | _TWO).items():
        programs = [_load("in"), _load("out"), _load("in", _FILTER), empty_program("tc")]
        *ours, empty = ns_by_kind(programs, by_kind(payload(), kind), quick=quick)
        incoming, outgoing, filtered = (fmean(difference(each, empty).values()) for each in ours)
        most = 40 if name in _ONE else None
        yield Figure(f"{name}, in, above an empty program", incoming, "ns", at_most=most)
        yield Figure(f"{name}, out", outgoing, "ns", at_most=most)
        if name in _ONE:
            yield Figure(f"{name}, in, behind the filter '{_FILTER}'", filtered, "ns")


def _load(direction: Direction, expression: str = "") -> Program:
    try:
        return load_stations(station_program(_STATIONS, direction, compiled=compile_filter(expression, 1)))
    except (PermissionDenied, NotSupported) as error:
        raise Skip(str(error)) from None
