"""Capture of 64-byte frames, snapshots of 128 bytes, to a file in memory: the highest rate without a loss.

Side by side with tcpdump and dumpcap on the same source and with the same 16 MiB of buffer. XDP live frames
go through a veth pair at a pace that the program that makes them keeps; source and kernel side share one CPU,
the capturing process has another.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.network import Namespace, joined
from bench.programs import empty_program
from bench.report import Figure
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R6,
    Asm,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    Xdp,
    attach_tcx,
    attach_xdp,
)

_FRAME = bytes.fromhex("020000000002 020000000001 88b5") + bytes(50)  # an ethertype that nobody handles
_MARK_AT, _ONE_IN = 40, 1000
_PACES = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # clock readings, some 20 ns each, before a frame
_FRAMES, _FRAMES_QUICK = 2_000_000, 500_000


class Tool(NamedTuple):
    """A capturing command: its words before the file's name, and how it says what it captured."""

    name: str
    words: list[str]
    captured: str


_MESHLENS = [sys.executable, "-m", "meshlens", "capture", "-s", "128", "-B", "16384"]
_TOOLS = (
    Tool("meshlens", [*_MESHLENS, "-i", "veth0", "--at", "tc-in", "-w"], r"([\d,]+) captured"),
    Tool("meshlens at XDP", [*_MESHLENS, "-i", "veth0", "--at", "entry", "-w"], r"([\d,]+) captured"),
    Tool(
        "tcpdump",
        ["tcpdump", "-Z", "root", "-n", "-i", "veth0", "-s", "128", "-B", "16384", "-w"],
        r"(\d+) packets captured",
    ),
    Tool(
        "dumpcap",
        ["dumpcap", "-q", "-i", "veth0", "-s", "128", "-B", "16", "-w"],
        r"Packets received/dropped on interface \S+ (\d+)/",
    ),
)


class Run(NamedTuple):
    """One run: frames sent and captured, the seconds it took, CPU time of the capturing process."""

    sent: int
    captured: int
    seconds: float
    cpu_ns: int

    @property
    def rate_mpps(self) -> float:
        return self.sent / self.seconds / 1e6

    @property
    def cpu_ns_a_frame(self) -> float:
        return self.cpu_ns / max(1, self.captured)


def figures(quick: bool) -> Iterator[Figure]:
    frames = _FRAMES_QUICK if quick else _FRAMES
    with joined() as (near, far), _memory() as directory:
        path = directory / "capture"
        best: dict[str, Run] = {}
        for tool in _TOOLS:
            with _receiving(far, tool):
                best[tool.name] = _best(near, far, tool, path, frames, tries=1 if quick else 3)
        for name, run in best.items():
            yield Figure(f"{name}: highest rate without loss", run.rate_mpps, "Mpps")
            yield Figure(f"{name}: CPU of the process, a frame", run.cpu_ns_a_frame, "ns")
        others = [best["tcpdump"], best["dumpcap"]]
        ours, better = best["meshlens"], max(others, key=lambda run: run.rate_mpps)
        yield Figure("meshlens: rate", ours.rate_mpps, "Mpps", at_least=1)
        yield Figure("against the better of both", ours.rate_mpps / better.rate_mpps, "x", at_least=2)
        ratio = ours.cpu_ns_a_frame / min(run.cpu_ns_a_frame for run in others)
        yield Figure("CPU against the lesser of both", ratio, "x", at_most=1)
        for tool in _TOOLS[:2]:
            yield from _cost_of_filter(near, far, tool, path, frames, turns=3 if quick else 9)


def _best(near: Namespace, far: Namespace, tool: Tool, path: Path, frames: int, tries: int) -> Run:
    """The fastest run that lost nothing, of some at each pace; of the slowest pace if all did."""
    for pace in _PACES:
        with _source(near, pace) as send:
            for _ in range(tries):
                path.unlink(missing_ok=True)
                run = _run(far, tool, path, lambda send=send: send(frames), frames)  # type: ignore[misc]
                if run.captured == run.sent:
                    return run
    return run


def _cost_of_filter(
    near: Namespace, far: Namespace, tool: Tool, path: Path, frames: int, turns: int
) -> Iterator[Figure]:
    """The rate that a filter for one frame in a thousand leaves of that without, and of an empty program."""
    without: list[float] = []
    empty: list[float] = []
    during: list[float] = []
    with _source(near, 0) as send:
        for _ in range(turns):
            with _passing_on(far):
                without.append(send(frames))
                if tool is _TOOLS[0]:
                    with _empty_at_tc(far):
                        empty.append(send(frames))
            with _receiving(far, tool), _capturing(far, tool, path, f"ether[{_MARK_AT}] = 1"):
                during.append(send(frames))
    name, rate = f"{tool.name}: rate with a filter for 1 in {_ONE_IN:,}", frames / min(without) / 1e6
    kept = 100 * min(without) / min(during)
    yield Figure(name, kept, "%", f"of {rate:.2f} Mpps without", at_least=95)
    if empty:
        yield Figure(f"{name}, against an empty program", 100 * min(empty) / min(during), "%", at_least=95)


def _run(far: Namespace, tool: Tool, path: Path, send: Callable[[], float], frames: int) -> Run:
    with _capturing(far, tool, path) as process:
        before = _cpu_ns(process.pid)
        seconds = send()
        time.sleep(0.5)
        cpu_ns = _cpu_ns(process.pid) - before
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    found = re.search(tool.captured, said)
    assert found, said
    return Run(frames, int(found[1].replace(",", "")), seconds, cpu_ns)


@contextmanager
def _capturing(far: Namespace, tool: Tool, path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The command, on a CPU that the source does not use."""
    cpu = min(set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0), default=0)
    environment = os.environ | {"PYTHONPATH": "src"}
    words = ["taskset", "-c", str(cpu), *tool.words, str(path), *more]
    path.unlink(missing_ok=True)
    process = subprocess.Popen(far.command(*words), stderr=subprocess.PIPE, text=True, env=environment)
    try:
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait(20)
        if process.stderr:
            process.stderr.close()


def _cpu_ns(pid: int) -> int:
    """What a process has run on a CPU so far (Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


@contextmanager
def _source(near: Namespace, pace: int) -> Iterator[Callable[[int], float]]:
    """What sends so many frames out of `near`, and returns the seconds that took."""
    with _source_program(near.ifindex("veth0"), pace).load() as program:

        def send(frames: int) -> float:
            with near.inside():
                before = time.monotonic()
                program.test_run(_FRAME, repeat=frames, live_frames=True)
                return time.monotonic() - before

        yield send


def _source_program(ifindex: int, pace: int) -> ProgramSpec:
    """Mark one frame in a thousand, wait for `pace` readings of the clock, redirect."""
    asm = Asm()
    asm.mov(R6, R1)
    asm.map_value(R3, "number")
    asm.load(R1, R3, 0, 8)
    asm.alu("+=", R1, 1)
    asm.alu("%=", R1, _ONE_IN)
    asm.store(R3, 0, R1, 8)
    asm.field(R2, R6, Xdp.data)
    asm.field(R0, R6, Xdp.data_end)
    asm.mov(R3, R2)
    asm.alu("+=", R3, len(_FRAME))
    with asm.if_(R3, "<=", R0):
        with asm.if_(R1, "!=", 0):
            asm.mov(R1, 2)
        asm.alu("^=", R1, 1)  # 1 for one in a thousand, 3 for the others
        asm.store(R2, _MARK_AT, R1, 1)
    for _ in range(pace):
        asm.call(Helper.ktime_get_ns)
    asm.call(Helper.redirect, ifindex, 0)
    asm.exit()
    number = MapSpec("number", MapType.ARRAY, 4, 8, 1)
    return ProgramSpec("source", ProgramType.XDP, asm, maps={"number": number})


@contextmanager
def _receiving(far: Namespace, tool: Tool) -> Iterator[None]:
    """Let the far end take XDP frames, which a veth does while it has an XDP program; this passes them on."""
    with ExitStack() as attached:
        if tool.name != "meshlens at XDP":
            attached.enter_context(_passing_on(far))
        yield


@contextmanager
def _passing_on(far: Namespace) -> Iterator[None]:
    asm = Asm()
    asm.ret(2)  # XDP_PASS
    with ExitStack() as attached:
        program = attached.enter_context(ProgramSpec("passing", ProgramType.XDP, asm).load())
        with far.inside():
            attached.enter_context(attach_xdp(program, far.ifindex("veth0"), "native"))
        yield


@contextmanager
def _empty_at_tc(far: Namespace) -> Iterator[None]:
    with far.inside(), empty_program("tc") as program:
        link = attach_tcx(program, far.ifindex("veth0"), "ingress")
    with link:
        yield


@contextmanager
def _memory() -> Iterator[Path]:
    """A file system in memory of our own."""
    with TemporaryDirectory(prefix="meshlens-bench-") as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", directory], check=True)
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)
