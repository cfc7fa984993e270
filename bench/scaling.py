"""What a frame costs against the number of filters: 1 to 1,000, half of them random, half from Gluon's list.

Nanoseconds above an empty program at tc, mean over all kinds of mesh traffic and over frames made to match
random filters. The halves are shown apart as well: random filters cross each other (any source with any
port), and a list that would need too many classes is marked on the way, in several graphs if need be.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random
from statistics import fmean
from typing import NamedTuple

from bench.inputs import GLUON, by_kind, filter_list, overhead, payload
from bench.measure import difference, ns_by_kind
from bench.programs import ListCounter, empty_program, kernel_bytes
from bench.report import Figure
from meshlens.decision.merge import DecisionGraph
from meshlens.ebpf import Program, VerifierError
from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import parse_list
from meshlens.packet.craft import ip_frame, tcp, udp

_MOST_RANDOM, _FRAMES = 1000, 40
_FORMS = (
    "host {a}",
    "port {p}",
    "src host {a} and tcp dst port {q}",
    "udp src port {p}",
    "net {net}/24",
    "dst portrange {p}-{p100}",
    "udp port {p} or tcp port {q}",
    "ether host {mac}",
    "src host {a} and dst host {b}",
)
_NEGATIONS = ("not host {a}", "not src port {p} and udp dst port {q}")


class _Flow(NamedTuple):
    """The addresses and ports that one random filter asks for."""

    a: str
    b: str
    net: str
    mac: str
    p: int
    q: int

    @classmethod
    def draw(cls, random: Random) -> "_Flow":
        a, b = (f"10.{random.randrange(8)}.{random.randrange(256)}.{random.randrange(256)}" for _ in "ab")
        net = b.rpartition(".")[0] + ".0"
        mac = "02:" + random.randbytes(5).hex(":")
        return cls(a, b, net, mac, random.randrange(1, 65000), random.randrange(1, 65000))

    def expression(self, form: str) -> str:
        return form.format(p100=self.p + 100, **self._asdict())

    def frame(self) -> bytes:
        packet = (udp if self.p & 1 else tcp)(self.a, self.b, self.p, self.q, bytes(100))
        return ip_frame(self.mac, packet, "02:00:00:00:00:02")


def figures(quick: bool) -> Iterator[Figure]:
    random, most = Random(1), 300 if quick else 1000
    flows = [_Flow.draw(random) for _ in range(_MOST_RANDOM)]
    crossing = [flow.expression(_FORMS[i % len(_FORMS)]) for i, flow in enumerate(flows)]
    forms = (*_FORMS, *_NEGATIONS)
    negated = [flow.expression(forms[i % len(forms)]) for i, flow in enumerate(flows)]
    listed = [each.expression for each in filter_list(GLUON)]
    random.shuffle(listed)
    mixed = list(chain.from_iterable(zip(crossing, listed, strict=False)))
    kinds = {kind: frames[:1] for kind, frames in by_kind([*overhead(), *payload()]).items()}
    kinds |= {f"made for {i}": [flow.frame()] for i, flow in enumerate(flows[:_FRAMES])}

    wanted = [("half random, half listed", mixed, size) for size in (1, 3, 10, 30, 100, 300, 1000)]
    for name, expressions in (("listed", listed), ("random", crossing), ("random, negations too", negated)):
        wanted += [(name, expressions, size) for size in (10, 100, 500)]
    series = [_Series(name, expressions[:size]) for name, expressions, size in wanted if size <= most]
    loaded = {each: each.program for each in series if each.program}
    *times, empty = ns_by_kind([*loaded.values(), empty_program("tc")], kinds, quick=quick)
    for each, taken in zip(loaded, times, strict=True):
        each.mean_ns, each.whole_ns = fmean(difference(taken, empty).values()), fmean(taken.values())

    yield from (each.figure() for each in series)
    if most == 1000:
        many, few = (next(each for each in series if each.size == size) for size in (1000, 10))
        yield Figure("1,000 filters against 10", many.mean_ns / few.mean_ns, "x", at_most=3)
        yield Figure("1,000 filters against 10, whole run", many.whole_ns / few.whole_ns, "x")


class _Series:
    """One size of one series of filters, and what was measured of it."""

    mean_ns = whole_ns = 0.0

    def __init__(self, name: str, expressions: list[str]) -> None:
        self.name, self.size = name, len(expressions)
        begin = time.perf_counter()
        compiled = compile_list(parse_list("".join(f"{i};{text}\n" for i, text in enumerate(expressions))))
        self.compile_s, self.graphs = time.perf_counter() - begin, compiled.graphs
        self.program: Program | None = None
        try:
            self.program = ListCounter.of(compiled).program
        except VerifierError as error:
            self.refused = str(error).splitlines()[0]

    def figure(self) -> Figure:
        name = f"{self.size:,} filters, {self.name}"
        if self.program is None:
            return Figure(name, 0, "programs loaded", self.refused, at_least=1)
        insns, memory = self.program.info().xlated_bytes // 8, kernel_bytes(self.program) // 1024
        size = f"{insns:,} instructions, {memory:,} KiB, compiled in {self.compile_s:.1f} s"
        return Figure(name, self.mean_ns, "ns", f"{_words(self.graphs)}; {size}")


def _words(graphs: Sequence[DecisionGraph]) -> str:
    """What became of the filters: the nodes, and how they are counted."""
    parts = []
    for graph in graphs:
        nodes = len(graph.nodes())
        parts.append(f"{nodes:,} nodes, {len(graph.matches):,} {'marks' if graph.marks else 'classes'}")
    return " + ".join(parts)
