"""Freifunk Hannover's 26 filters on an interface of clients: overhead and payload without batman-adv.

Nanoseconds a frame above an empty program, as in overhead_mix.
"""

from collections.abc import Iterator
from statistics import fmean

from bench.inputs import HANNOVER, by_kind, compiled, overhead, payload
from bench.measure import difference, ns_by_kind
from bench.programs import HOOKS, ListCounter, empty_program
from bench.report import Figure


def figures(quick: bool) -> Iterator[Figure]:
    kinds = by_kind([*overhead(), *payload()], "client/")
    for hook in HOOKS:
        counter = ListCounter.of(compiled(HANNOVER), hook)
        times = ns_by_kind([counter.program, empty_program(hook)], kinds, quick=quick)
        counter.check()
        above = difference(*times)
        worst = max(above, key=above.__getitem__)
        mean_ns = None if hook == "socket" else 20
        yield Figure(f"{hook}: mean of {len(kinds)} kinds", fmean(above.values()), "ns", at_most=mean_ns)
        yield Figure(f"{hook}: worst kind", above[worst], "ns", worst)
