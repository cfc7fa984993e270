"""Gluon's 580 filters on the overhead mix as it comes: every frame another kind, caches shared.

BPF_PROG_TEST_RUN repeats one frame, which every branch predictor learns; here frames in random order come
through a veth pair, and the kernel times the program at tc itself (BPF_ENABLE_STATS). Its two clock readings
are in all times alike.
"""

import socket
from collections.abc import Callable, Iterator
from random import Random

from bench.inputs import GLUON, compiled, overhead, payload
from bench.measure import in_turns
from bench.network import Namespace, Sender, joined
from bench.programs import ListCounter, count_all, empty_program
from bench.report import Figure
from meshlens.ebpf import Program, attach_tcx
from meshlens.ebpf.statistics import run_statistics


def figures(quick: bool) -> Iterator[Figure]:
    counter = ListCounter.of(compiled(GLUON))
    programs = [empty_program("tc"), count_all("tc").program, counter.program]
    with run_statistics(), joined() as (near, far):
        for name, mix in (("overhead", overhead()), ("payload", payload())):
            frames = [frame.data for frame in mix]
            Random(1).shuffle(frames)
            sender = Sender.on(near, "veth0", frames)
            actions = [_ns_a_run(program, far, sender) for program in programs]
            empty, one, ours = in_turns(actions, 5 if quick else 50)
            yield Figure(f"{name}: an empty program, clock included", empty, "ns")
            yield Figure(f"{name}: one counter, above that", one - empty, "ns")
            yield Figure(f"{name}: 580 filters, above that", ours - empty, "ns")
    counter.check()


def _ns_a_run(program: Program, far: Namespace, sender: Sender) -> Callable[[], float]:
    def action() -> float:
        with far.inside():
            link = attach_tcx(program, socket.if_nametoindex("veth0"), "ingress")
        with link:
            sender.send()
            before = program.info()
            sender.send()
            after = program.info()
        return (after.run_time_ns - before.run_time_ns) / (after.run_count - before.run_count)

    return action
