"""Gluon's 580 filters against libpcap and tcpdump, which a user can install: offline, and on live frames.

libpcap runs its classic BPF in an interpreter, a filter at a time. Live, the overhead mix comes at a fixed
rate to a capture that runs all filters, to tcpdump that only throws the frames away, and to meshlens.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import cypcap

from bench.command import spawn, start, wait_attached
from bench.flat import flat_cbpf
from bench.inputs import GLUON, by_kind, compiled, list_path, overhead
from bench.measure import in_turns, ns_by_kind
from bench.network import Namespace, Sender, joined
from bench.programs import ListCounter, empty_program
from bench.report import Figure
from meshlens.filters.pcap import REJECT, CbpfInsn

_RATE_PPS, _BATCH = 50_000, 500
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def figures(quick: bool) -> Iterator[Figure]:
    yield from _offline(quick)
    yield from _live(1.0 if quick else 3.0)


def _offline(quick: bool) -> Iterator[Figure]:
    """The time of a Python loop over the filters, less that of the loop over filters that only say no."""
    kinds = {kind: some[:1] for kind, some in by_kind(overhead()).items()}
    frames = [frame for some in kinds.values() for frame in some]
    programs = [flat_cbpf(each.expression) for each in compiled(GLUON).filters]
    loops = [_loop(frames, programs), _loop(frames, [REJECT] * len(programs))]
    whole, alone = in_turns(loops, 3 if quick else 11)
    ours = ListCounter.of(compiled(GLUON)).program
    times, empty = ns_by_kind([ours, empty_program("tc")], kinds, quick=quick)
    run = fmean(times.values())
    yield Figure("a frame, libpcap in a Python loop", whole, "ns")
    yield Figure("a frame, libpcap alone", whole - alone, "ns")
    yield Figure(
        "a frame, meshlens: whole BPF_PROG_TEST_RUN", run, "ns", f"{fmean(empty.values()):.1f} of it empty"
    )
    yield Figure("meshlens against libpcap alone", (whole - alone) / run, "x faster")


def _loop(frames: Sequence[bytes], programs: Sequence[Sequence[CbpfInsn]]) -> Callable[[], float]:
    loaded = [cypcap.BpfProgram([tuple(insn) for insn in program]) for program in programs]
    headers = [cypcap.Pkthdr(caplen=len(frame), len=len(frame)) for frame in frames]

    def action() -> float:
        begin = time.perf_counter_ns()
        for header, frame in zip(headers, frames, strict=True):
            for program in loaded:
                program.offline_filter(header, frame)
        return (time.perf_counter_ns() - begin) / len(frames)

    return action


class _Capture(NamedTuple):
    """How much of what was sent was counted, and the CPU time of the process that did."""

    percent: float
    cpu_percent: float


def _live(seconds: float) -> Iterator[Figure]:
    with joined() as (near, far):
        sender = Sender.on(near, "veth0", [frame.data for frame in overhead()[:_BATCH]])
        captures = {
            "libpcap, 580 filters in a Python loop": _script,
            "meshlens count, 580 filters": _meshlens,
        }
        if shutil.which("tcpdump"):
            captures["tcpdump -w /dev/null, no filter"] = _tcpdump
        for name, capture in captures.items():
            counted, cpu = capture(far, sender, seconds)
            rate = f"at {_RATE_PPS:,} frames/s"
            limit = 100 if capture is _meshlens else None
            yield Figure(f"{name}: counted", counted, "%", rate, at_least=limit)
            yield Figure(f"{name}: CPU time of the process", cpu, "%", "of one CPU")


def _send(sender: Sender, seconds: float) -> int:
    """Send at a fixed rate; returns how many frames."""
    batches = int(seconds * _RATE_PPS / sender.count)
    begin = time.perf_counter()
    for number in range(batches):
        time.sleep(max(0.0, begin + number * sender.count / _RATE_PPS - time.perf_counter()))
        sender.send()
    return batches * sender.count


def _timed(process: subprocess.Popen[bytes], sender: Sender, seconds: float) -> tuple[int, float]:
    """Send; returns how many frames, and the share of a CPU that the process took meanwhile."""
    before, begin = _cpu_seconds(process.pid), time.perf_counter()
    sent = _send(sender, seconds)
    taken = time.perf_counter() - begin
    return sent, 100 * (_cpu_seconds(process.pid) - before) / taken


def _script(far: Namespace, sender: Sender, seconds: float) -> _Capture:
    command = [sys.executable, "-m", "bench.libpcap_loop", str(list_path(GLUON)), "veth0"]
    process = spawn(far, *command, output=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    sent, cpu = _timed(process, sender, seconds)
    process.terminate()
    output, _ = process.communicate()
    seen, _dropped = json.loads(output)
    return _Capture(100 * seen / sent, cpu)


def _tcpdump(far: Namespace, sender: Sender, seconds: float) -> _Capture:
    command = ["tcpdump", "-i", "veth0", "-w", "/dev/null", "-Z", "root"]
    process = spawn(far, *command, output=subprocess.PIPE)
    assert process.stderr
    while b"listening" not in (line := process.stderr.readline()):
        assert line, "tcpdump ended"
    sent, cpu = _timed(process, sender, seconds)
    process.terminate()
    _, errors = process.communicate()
    captured = re.search(rb"(\d+) packets captured", errors)
    assert captured
    return _Capture(100 * int(captured[1]) / sent, cpu)


def _meshlens(far: Namespace, sender: Sender, seconds: float) -> _Capture:
    words = ("count", str(list_path(GLUON)), "--helpers", "-i", "veth0", "--json", "--interval", "3600")
    process = start(far, *words, output=subprocess.PIPE)
    wait_attached(far, far.ifindex("veth0"), 2, process)
    sent, cpu = _timed(process, sender, seconds)
    process.terminate()
    output, _ = process.communicate()
    *counts, missed = map(json.loads, output.splitlines())
    matches = sum(len(compiled(GLUON).match(frame.data)) for frame in overhead()[: sender.count])
    expected = matches * sent // sender.count
    assert missed["missed"] == 0
    return _Capture(100 * sum(each["packets"] for each in counts) / expected, cpu)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
