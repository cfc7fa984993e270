"""How times are taken: side by side in one run, in turns, many times over; the median counts.

Other programs may run meanwhile, and clocks change their pace. What is compared is therefore measured in
turns (A B A B ...), each turn short, on one CPU.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median

from meshlens.ebpf import Program, ProgramType

__all__ = ["ALL_CPUS", "difference", "in_turns", "ns_by_kind", "pin_to_one_cpu", "run_ns", "samples"]

# BPF_PROG_TEST_RUN lets a socket filter begin behind 14 bytes (net/bpf/test_run.c, eth_type_trans()).
_PREFIX: dict[ProgramType, bytes] = {ProgramType.SOCKET_FILTER: bytes(14)}


#: Where we may run at all; children may, whatever we pin ourselves to.
ALL_CPUS = frozenset(os.sched_getaffinity(0))


def pin_to_one_cpu() -> None:
    """Stay on one CPU, the last one: interrupts mostly go to the first."""
    os.sched_setaffinity(0, {max(ALL_CPUS)})


def samples(actions: Sequence[Callable[[], float]], turns: int) -> list[list[float]]:
    """Call all `actions` in turn, `turns` times; for each what it returned."""
    taken = [[action() for action in actions] for _ in range(turns)]
    return [list(each) for each in zip(*taken, strict=True)]


def in_turns(actions: Sequence[Callable[[], float]], turns: int) -> list[float]:
    """The medians of what `actions` return, called in turn."""
    return [median(taken) for taken in samples(actions, turns)]


def run_ns(program: Program, frame: bytes, repeat: int = 10_000) -> Callable[[], float]:
    """An action that runs `program` on `frame` in BPF_PROG_TEST_RUN; nanoseconds a run, whole ones.

    The kernel's own clock, since around the runs of an XDP program it waits for milliseconds
    (bpf_prog_change_xdp()).
    """
    data = _PREFIX.get(program.info().type, b"") + frame
    return lambda: program.test_run(data, repeat=repeat).duration_ns


def ns_by_kind(
    programs: Sequence[Program], kinds: Mapping[str, Sequence[bytes]], *, quick: bool
) -> list[dict[str, float]]:
    """For each program: kind -> mean over its frames of nanoseconds a run, measured in turns."""
    turns = 3 if quick else 11
    if programs[0].info().type is ProgramType.XDP:  # each turn waits for 25 ms
        turns, kinds = 1 if quick else 3, {kind: frames[:1] for kind, frames in kinds.items()}
    results: list[dict[str, float]] = [{} for _ in programs]
    for kind, frames in kinds.items():
        times = [in_turns([run_ns(program, frame) for program in programs], turns) for frame in frames]
        for result, of_frames in zip(results, zip(*times, strict=True), strict=True):
            result[kind] = fmean(of_frames)
    return results


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """one - other, kind by kind."""
    return {kind: value - other[kind] for kind, value in one.items()}
