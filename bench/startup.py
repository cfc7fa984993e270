"""From the start of the process to counting: Python, libpcap, compiler, verifier, both directions attached.

Nothing is kept from one start to the next but what the page cache and Python's bytecode files hold.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from bench.command import attachments, start, wait_attached
from bench.inputs import GLUON, HANNOVER, list_path
from bench.network import Namespace, joined
from bench.report import Figure

_CLAIMS = ((GLUON, 580, 1.5), (HANNOVER, 26, 0.3))


def figures(quick: bool) -> Iterator[Figure]:
    with joined() as (near, _far):
        ifindex = near.ifindex("veth0")
        for name, filters, limit_s in _CLAIMS:
            starts = [_seconds_to_count(near, ifindex, name) for _ in range(3 if quick else 9)]
            wall, cpu = (median(each) for each in zip(*starts, strict=True))
            best = min(seconds for seconds, _ in starts)
            note = f"best of {len(starts)} {best:.2f} s, CPU time {cpu:.2f} s"
            yield Figure(f"{filters} filters, start to counting", wall, "s", note, at_most=limit_s)


def _seconds_to_count(namespace: Namespace, ifindex: int, name: str) -> tuple[float, float]:
    """By the clock, and of CPU time until the process has ended."""
    cpu_before = _cpu_seconds()
    with ExitStack() as ended:
        begin = time.perf_counter()
        process = start(namespace, "count", str(list_path(name)), "--helpers", "-i", "veth0", "--json")
        ended.callback(process.wait)
        ended.callback(process.terminate)
        wait_attached(namespace, ifindex, 2, process)
        seconds = time.perf_counter() - begin
    assert not attachments(namespace, ifindex), "still attached after SIGTERM"
    return seconds, _cpu_seconds() - cpu_before


def _cpu_seconds() -> float:
    """The CPU time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
