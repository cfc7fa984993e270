"""Gluon's 580 filters on what nodes and clients send to find each other.

Nanoseconds a frame above an empty program of the same type, both in BPF_PROG_TEST_RUN, counting included.
"""

from collections.abc import Iterator
from statistics import fmean

from bench.inputs import GLUON, by_kind, compiled, overhead, weighted_mean
from bench.measure import difference, ns_by_kind
from bench.programs import HOOKS, ListCounter, empty_program
from bench.report import Figure


def figures(quick: bool) -> Iterator[Figure]:
    kinds = by_kind(overhead())
    for hook in HOOKS:
        counter = ListCounter.of(compiled(GLUON), hook)
        times = ns_by_kind([counter.program, empty_program(hook)], kinds, quick=quick)
        counter.check()
        above = difference(*times)
        worst = max(above, key=above.__getitem__)
        mean_ns, worst_ns = (None, None) if hook == "socket" else (30, 60)
        yield Figure(f"{hook}: mean of {len(kinds)} kinds", fmean(above.values()), "ns", at_most=mean_ns)
        yield Figure(f"{hook}: mean of the mix", weighted_mean(above, overhead()), "ns", at_most=mean_ns)
        yield Figure(f"{hook}: worst kind", above[worst], "ns", worst, at_most=worst_ns)
