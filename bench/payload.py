"""Gluon's 580 filters on what the mesh is there for: TCP in batman-adv unicast, and plain TCP.

Nanoseconds a frame above a program that counts every frame in one counter: by our own code, and as most
programs do, by a lookup in a per-CPU array.
"""

from collections.abc import Iterator
from statistics import fmean

from bench.inputs import GLUON, by_kind, compiled, payload
from bench.measure import difference, ns_by_kind
from bench.programs import HOOKS, ListCounter, count_all, count_all_by_lookup, empty_program
from bench.report import Figure

_CARRIERS = {"TCP in batman-adv unicast": "unicast/tcp", "plain TCP": "client/tcp"}


def figures(quick: bool) -> Iterator[Figure]:
    for hook in HOOKS:
        counter, all_frames = ListCounter.of(compiled(GLUON), hook), count_all(hook)
        programs = [counter.program, all_frames.program, count_all_by_lookup(hook), empty_program(hook)]
        limit_ns = None if hook == "socket" else 5
        for name, kind in _CARRIERS.items():
            times = ns_by_kind(programs, by_kind(payload(), kind), quick=quick)
            ours, *bases = times
            above = [fmean(difference(ours, base).values()) for base in bases]
            yield Figure(f"{hook}: {name}, above one counter", above[0], "ns", at_most=limit_ns)
            yield Figure(f"{hook}: {name}, above one counter by lookup", above[1], "ns", at_most=limit_ns)
            yield Figure(f"{hook}: {name}, above an empty program", above[2], "ns")
