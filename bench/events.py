"""The design that is compared with: an event for every packet, which user space has to add up."""

import mmap
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench.measure import ALL_CPUS
from bench.programs import load
from meshlens.ebpf import (
    R0,
    R1,
    R6,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    Map,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    Skb,
    Slot,
)
from meshlens.probes.flows.layout import KEY_BYTES
from meshlens.probes.flows.parse import KEY, emit_parse

__all__ = ["emptied", "event_program", "lost"]

_RING, _LOST = "events", "lost"
_RING_BYTES: Final = 16 << 20
_EVENT_BYTES: Final = KEY_BYTES + 24
_PAUSE_S: Final = 0.001


def event_program(maps: dict[str, Map] | None = None) -> Program:
    """Finds the flow as ours does, and sends it with time, bytes, way and TCP flags."""
    asm = Asm()
    asm.mov(R6, R1)
    emit_parse(asm, "tc")
    for at in range(0, _EVENT_BYTES - KEY_BYTES, 8):
        asm.store(R10, KEY - 24 + at, 0, 8)
    asm.store(R10, KEY + KEY_BYTES - 2, 0, 2)
    asm.store(R10, KEY - 8, R9, 1)
    asm.store(R10, KEY - 7, R8, 1)
    asm.call(Helper.ktime_get_ns)
    asm.store(R10, KEY - 24, R0, 8)
    asm.field(R0, R6, Skb.len)
    asm.store(R10, KEY - 16, R0, 8)
    asm.call(Helper.ringbuf_output, _RING, Slot(KEY - 24, _EVENT_BYTES), _EVENT_BYTES, 0)
    with asm.if_(R0, "!=", 0):
        asm.map_value(R1, _LOST)
        asm.mov(R0, 1)
        asm.atomic_add(R1, 0, R0, 8)
    for reason in ("not_ip", "unreadable"):
        asm.label(reason)
    asm.ret(-1)
    specs = (
        MapSpec(_RING, MapType.RINGBUF, 0, 0, _RING_BYTES),
        MapSpec(_LOST, MapType.ARRAY, 4, 8, 1),
    )
    spec = ProgramSpec("events", ProgramType.SCHED_CLS, asm, maps={each.name: each for each in specs})
    return spec.load(maps) if maps else load(spec)


def lost(program: Program) -> int:
    """The events that found no room."""
    return int.from_bytes(program.maps[_LOST].lookup(0) or b"", sys.byteorder)


@contextmanager
def emptied(program: Program) -> Iterator[None]:
    """The ring is emptied all the time, on another CPU, by a process that looks at none of the events."""
    pid = os.fork()
    if not pid:
        try:
            _empty(program.maps[_RING].fileno())
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _empty(ring: int) -> None:
    """The kernel's position in the ring becomes ours (kernel/bpf/ringbuf.c: a page each)."""
    os.sched_setaffinity(0, ALL_CPUS - os.sched_getaffinity(0) or ALL_CPUS)
    ours = mmap.mmap(ring, mmap.PAGESIZE)
    kernels = mmap.mmap(ring, mmap.PAGESIZE, prot=mmap.PROT_READ, offset=mmap.PAGESIZE)
    while True:
        ours[:8] = kernels[:8]
        time.sleep(_PAUSE_S)
