"""What the probes on mac80211 cost, in machines with Debian kernels; which of its functions a frame passes.

The machines are QEMU's without acceleration, so times are some ten times those of hardware: what is to be
read are the ratios. All of a row is from one run.
"""

import json
import os
import sys
from collections.abc import Iterator
from statistics import median
from time import process_time_ns
from typing import Any

from bench.report import Figure, Skip
from meshlens.wifi.hooks.layout import ENTRY_BYTES, Entry
from meshlens.wifi.hooks.record import record
from tests.vm.kernels import NATIVE, Unavailable, fetched
from tests.vm.machine import Machine

_HOOKS = ("fentry", "kprobe")
_STATIONS = 100


def figures(quick: bool) -> Iterator[Figure]:
    for series in NATIVE:
        try:
            kernel = fetched(series)
        except Unavailable as reason:
            raise Skip(str(reason)) from None
        with Machine(kernel) as machine:
            rounds, frames = ("5" if quick else "20"), "300"
            yield from _costs(series, _ask(machine, "wifi_cost", rounds, frames))
            yield from _paths(series, _ask(machine, "wifi_paths"))
    yield Figure(f"{_STATIONS} stations made of their entries in Python, here", _read_ms(), "ms")


def _ask(machine: Machine, script: str, *arguments: str) -> Any:
    python = [sys.executable, "-m", f"tests.vm.guest.{script}", *arguments]
    answer = machine.run(*python, environment={"PYTHONPATH": os.pathsep.join(sys.path)}, timeout_s=300)
    if answer.code:
        raise RuntimeError(answer.err)
    return json.loads(answer.out)


def _costs(series: str, answer: dict[str, Any]) -> Iterator[Figure]:
    none = answer["frame_ns"]["none"]
    yield Figure(f"{series}: a frame from radio to radio, no probe", none, "ns")
    for hook in _HOOKS:
        ns = answer["frame_ns"][hook]
        yield Figure(f"{series}: with all probes by {hook}", ns, "ns", f"{ns / none:.2f} times")
        for function, run_ns in answer["run_ns"][hook].items():
            yield Figure(f"{series}: run_time_ns/run_cnt of {function}, {hook}", run_ns, "ns")
    hundred = answer["stations"]
    yield Figure(f"{series}: stations of {_STATIONS} that are in the table", hundred["stations"], "",
                 at_least=_STATIONS)  # fmt: skip
    yield Figure(f"{series}: memory of programs and maps", hundred["memory_bytes"] / 2**20, "MiB")
    for function, run_ns in hundred["run_ns"].items():
        yield Figure(f"{series}: {function} with {_STATIONS} stations in turn, fentry", run_ns, "ns")


def _paths(series: str, answer: dict[str, Any]) -> Iterator[Figure]:
    for kind, calls in answer["calls"].items():
        for function, number in calls.items():
            if number is not None:
                yield Figure(f"{series}: {function}, {answer['frames']} {kind} frames", number, "calls")


def _read_ms() -> float:
    """Of one CPU's entries; reading the maps is less than a tenth of it."""
    values = [os.urandom(ENTRY_BYTES) for _ in range(_STATIONS)]
    times = []
    for _ in range(7):
        began = process_time_ns()
        for value in values:
            record("wlan0", bytes(6), Entry.unpack(value), (), {})
        times.append(process_time_ns() - began)
    return median(times) / 1e6
