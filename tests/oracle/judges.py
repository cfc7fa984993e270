"""Those who say which filters match a frame: libpcap, the interpreter, the kernel. They have to agree.

A judge answers for all filters of a list at once. Its answer is a number with one byte a filter, so that the
slots a frame is counted in add up to it, and a filter counted twice shows as a 2.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from errno import EINVAL
from functools import cache
from itertools import accumulate
from multiprocessing import get_context
from traceback import format_exception
from typing import Any

import cypcap

from meshlens.decision.interpret import Frame, classify
from meshlens.ebpf import BpfError, ByteOrder
from meshlens.ebpf.emulate import Emulator
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.filters.pcap import compile_cbpf
from meshlens.probes.count.program import COUNTERS, MISSED, Hook, count_program, cpu_stride
from meshlens.probes.snapshot import Direction
from tests.oracle.corpus import Sample

__all__ = [
    "HOOKS",
    "LOOPBACK",
    "Answers",
    "Emulated",
    "Kernel",
    "Libpcap",
    "Slots",
    "Verdicts",
    "as_list",
    "join",
    "judge",
    "kernel_is_allowed",
    "number",
]

HOOKS: tuple[Hook, ...] = ("tc", "xdp", "socket")
#: What each program returns, whatever it counted (TC_ACT_UNSPEC, XDP_PASS, keep nothing).
NEXT: dict[Hook, int] = {"tc": 0xFFFFFFFF, "xdp": 2, "socket": 0}
#: BPF_PROG_TEST_RUN takes the first 14 bytes off what it gives to a socket filter.
PREFIX: dict[Hook, bytes] = {"tc": b"", "xdp": b"", "socket": bytes(14)}
#: What a hook may see: a frame has an Ethernet header, a skb some 64 KiB, an XDP buffer a page.
SHORTEST, LONGEST = 14, {"tc": 1 << 18, "xdp": 0x7FFF, "socket": 1 << 18}
#: BPF_PROG_TEST_RUN makes a page of a frame, and XDP would silently see the head of a longer one.
LONGEST_XDP = 3520
DIRECTION: dict[Hook, Direction | None] = {"tc": "in", "xdp": "in", "socket": None}
#: The interface that BPF_PROG_TEST_RUN lets frames come in by.
LOOPBACK = 1
SHOWN = 10

#: Says which filters match a frame.
Answers = Callable[[Sample], int]


@dataclass
class Verdicts:
    """How often judges were compared, and where they disagreed."""

    comparisons: int = 0
    frames: int = 0
    emulated: int = 0
    matched: frozenset[str] = frozenset()  # expressions that some frame matched
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def disagree(self, who: str, text: str) -> None:
        self.wrong.setdefault(who, []).append(text)

    def __add__(self, other: "Verdicts") -> "Verdicts":
        judges = self.wrong.keys() | other.wrong.keys()
        wrong = {who: self.wrong.get(who, []) + other.wrong.get(who, []) for who in judges}
        return Verdicts(
            self.comparisons + other.comparisons,
            self.frames + other.frames,
            self.emulated + other.emulated,
            self.matched | other.matched,
            wrong,
        )

    def complaint(self, *who: str) -> str:
        """What to show of the disagreements of these judges; empty if there are none."""
        found = [text for each in who for text in self.wrong.get(each, [])]
        return "\n".join([f"{len(found)} disagreements", *found[:SHOWN]]) if found else ""


def as_list(expressions: Iterable[str]) -> FilterList:
    return FilterList(tuple(FilterDef(text, text, line) for line, text in enumerate(expressions, 1)))


def join(lists: Sequence[CompiledList]) -> CompiledList:
    """One list, and so one program, that runs the graphs of several one after another."""
    starts = accumulate((len(each.filters) for each in lists), initial=0)
    graphs = [
        replace(graph, matches=tuple(frozenset(p + start for p in slot) for slot in graph.matches))
        for each, start in zip(lists, starts, strict=False)
        for graph in each.graphs
    ]
    return CompiledList(tuple(definition for each in lists for definition in each.filters), tuple(graphs))


def number(verdicts: Iterable[bool]) -> int:
    """An answer: a byte for each filter, 1 where it matches."""
    return int.from_bytes(bytes(verdicts), "little")


def positions(answer: int) -> set[int]:
    """The filters that an answer says match, or match twice."""
    return {at for at, byte in enumerate(answer.to_bytes(answer.bit_length() // 8 + 1, "little")) if byte}


class Libpcap:
    """pcap_offline_filter with every filter."""

    def __init__(self, filters: Iterable[FilterDef], link_type: int = 1) -> None:
        programs = [compile_cbpf(each.expression, link_type) for each in filters]
        self.programs = [
            cypcap.BpfProgram([tuple(instruction) for instruction in program]).offline_filter
            for program in programs
        ]

    def answer(self, sample: Sample) -> int:
        header: Any = cypcap.Pkthdr(caplen=len(sample.data), len=sample.wire_length)
        return number([matches(header, sample.data) for matches in self.programs])


class Slots:
    """The interpreter: the slots a frame is counted in, and the answer that they add up to."""

    def __init__(self, compiled: CompiledList) -> None:
        self.graphs = list(zip(compiled.graphs, compiled.first_slots, strict=True))
        self.patterns = [sum(1 << 8 * at for at in matching) for matching in compiled.matches]

    def of(self, sample: Sample, direction: int = 0, ifindex: int = LOOPBACK) -> list[int]:
        frame = Frame(sample.data, sample.wire_length, {"direction": direction, "ifindex": ifindex})
        return [first + slot for graph, first in self.graphs for slot in classify(graph, frame)]

    def answer(self, slots: Iterable[int]) -> int:
        return sum(map(self.patterns.__getitem__, slots))


class Counted:
    """A program's counters, beside those that the interpreter foretells."""

    def __init__(self, compiled: CompiledList, hook: Hook, counters: Sequence[int]) -> None:
        self.hook, self.counters = hook, counters
        self.expected = [0] * len(counters)
        # Frames that no filter wants need not be counted.
        self.unwanted = frozenset(slot for slot, matching in enumerate(compiled.matches) if not matching)

    def run(self, data: bytes) -> int:
        """Let the program count a frame; what it returns."""
        raise NotImplementedError

    def counts(self, data: bytes, slots: Iterable[int]) -> bool:
        """Run; whether the frame was counted in these slots, as one packet of its length, and left alone.

        That it was counted nowhere else shows at the `end`.
        """
        right = self.run(data) == NEXT[self.hook]
        return self.agree(self.foretell(slots, len(data))) and right

    def foretell(self, slots: Iterable[int], size: int) -> list[int]:
        """Expect one more packet of that size in these slots; where its counters stand."""
        places = [2 * (len(MISSED) + slot) for slot in slots if slot not in self.unwanted]
        for at in places:
            self.expected[at] += 1
            self.expected[at + 1] += size
        return places

    def agree(self, places: Iterable[int]) -> bool:
        """Whether the packets and bytes at these places are those expected."""
        counters, expected = self.counters, self.expected
        return all(counters[at] == expected[at] and counters[at + 1] == expected[at + 1] for at in places)

    def end(self) -> str:
        """What was counted that should not have been, or not counted that should."""
        unwanted = {2 * (len(MISSED) + slot) + half for slot in self.unwanted for half in (0, 1)}
        differ = {
            at: (got, want)
            for at, want in enumerate(self.expected)
            if (got := self.counters[at]) != want and at not in unwanted
        }
        return f"{self.hook}: counters (got, wanted) at 8 bytes each: {differ}" if differ else ""


class Kernel(Counted):
    """The counting program of a list on one hook, run by the kernel (BPF_PROG_TEST_RUN).

    The process has to stay on one CPU, whose counters are looked at.
    """

    def __init__(self, compiled: CompiledList, hook: Hook, direction: Direction | None = None) -> None:
        self.program = count_program(compiled, hook, direction or DIRECTION[hook]).load()
        stride = cpu_stride(len(compiled.matches)) // 8
        (cpu,) = os.sched_getaffinity(0)
        counters = self.program.maps[COUNTERS].mmap().cast("Q")
        super().__init__(compiled, hook, counters[cpu * stride : (cpu + 1) * stride])

    def run(self, data: bytes) -> int:
        if self.hook == "xdp" and len(data) > LONGEST_XDP:
            raise BpfError(f"{len(data)} bytes are too long", EINVAL)
        return self.program.test_run(PREFIX[self.hook] + data).retval


class Emulated(Counted):
    """The same by the emulator: for what BPF_PROG_TEST_RUN refuses (long frames, cut IP headers), does not
    make (`skb` has more arguments of `Emulator.run`) or cannot run (the other byte order).
    """

    def __init__(self, compiled: CompiledList, hook: Hook, byteorder: ByteOrder = sys.byteorder) -> None:
        program = count_program(compiled, hook, DIRECTION[hook], byteorder=byteorder, cpus=1)
        self.emulator = Emulator(program)
        self.executed = 0
        self.skb: dict[str, int] = {}
        super().__init__(compiled, hook, Numbers(self.emulator.maps[COUNTERS], byteorder))

    def run(self, data: bytes) -> int:
        run = self.emulator.run(data, ifindex=LOOPBACK, ingress_ifindex=LOOPBACK, **self.skb)
        self.executed += run.executed
        return run.retval


class Numbers(Sequence[int]):
    """Memory as 64-bit numbers in some byte order."""

    def __init__(self, memory: bytearray, byteorder: ByteOrder) -> None:
        self.memory, self.byteorder = memory, byteorder

    def __len__(self) -> int:
        return len(self.memory) // 8

    def __getitem__(self, at: Any) -> Any:
        return int.from_bytes(self.memory[8 * at : 8 * at + 8], self.byteorder)


def kernel_is_allowed() -> bool:
    try:
        count_program(compile_list(as_list(["ip"])), "tc", "in").load()
    except (PermissionDenied, NotSupported):
        return False
    return True


def judge(
    compiled: CompiledList, samples: Sequence[Sample], answers: Answers, hooks: Sequence[Hook]
) -> Verdicts:
    """Compare `answers`, the interpreter and the kernel's `hooks` on all samples, with a process a CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    jobs = [(cpu, compiled, samples[share :: len(cpus)], answers, hooks) for share, cpu in enumerate(cpus)]
    _JOBS[:] = jobs
    with get_context("fork").Pool(len(jobs)) as pool:
        return sum(pool.map(_judge_or_tell, range(len(jobs)), chunksize=1), Verdicts())


#: What the processes inherit, since compiled lists and libpcap's programs cannot be sent to them.
_JOBS: list[tuple[int, CompiledList, Sequence[Sample], Answers, Sequence[Hook]]] = []


def _judge_or_tell(job: int) -> Verdicts:
    """An error that cannot be unpickled would leave the parent waiting for ever."""
    try:
        return _judge_share(job)
    except Exception as error:  # noqa: BLE001  (told, not swallowed)
        raise RuntimeError("".join(format_exception(error))) from None


def _judge_share(job: int) -> Verdicts:
    cpu, compiled, samples, answers, hooks = _JOBS[job]
    os.sched_setaffinity(0, {cpu})
    interpreter = Slots(compiled)
    kernels = [Kernel(compiled, hook) for hook in hooks]
    emulators: list[Emulated] = []

    @cache
    def emulator(hook: Hook) -> Emulated:
        emulators.append(Emulated(compiled, hook))
        return emulators[-1]

    verdicts, filters, matched = Verdicts(), len(compiled.filters), 0
    for sample in samples:
        slots = interpreter.of(sample)
        got, wanted = interpreter.answer(slots), answers(sample)
        matched |= wanted
        verdicts.frames += 1
        verdicts.comparisons += filters
        if got != wanted:
            verdicts.disagree("interpreter", _describe(compiled, sample, got, wanted))
        data = sample.data
        if len(data) < SHORTEST:
            continue
        if sample.wire_length != len(data):  # the kernel does not know of bytes that were cut
            slots = interpreter.of(Sample(data, len(data)))
        for kernel in kernels:
            if len(data) > LONGEST[kernel.hook]:
                continue
            verdicts.comparisons += filters
            try:
                agrees = kernel.counts(data, slots)
            except BpfError:
                verdicts.emulated += 1
                agrees = emulator(kernel.hook).counts(data, slots)
            if not agrees:
                verdicts.disagree(kernel.hook, f"{kernel.hook}: {_show(sample)} slots {slots}")
    for each in (*kernels, *emulators):
        if complaint := each.end():
            verdicts.disagree(each.hook, complaint)
    verdicts.matched = frozenset(compiled.filters[at].expression for at in positions(matched))
    return verdicts


def _describe(compiled: CompiledList, sample: Sample, got: int, wanted: int) -> str:
    differ = sorted(positions(got) ^ positions(wanted))
    names = [compiled.filters[at].expression for at in differ]
    return f"{_show(sample)}: {names or 'counted twice'}"


def _show(sample: Sample) -> str:
    return f"{sample.data.hex()} ({sample.wire_length} on the wire)"
