"""Flows on interfaces, aggregated in the kernel; this fetches those that have ended."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from meshlens.ebpf import Link, Map, Program, RingBuffer, Side, attach_clsact, attach_tcx, sweep
from meshlens.errors import NotSupported, UsageError
from meshlens.filters.compiler import CompiledList
from meshlens.probes.flow_layout import EXPORT, FIRST_SEEN, FLOWS, Fragment, Key, unpack_key, unpack_times
from meshlens.probes.flow_maps import OUTCOMES, TALLY, FlowOptions, read_tally
from meshlens.probes.flow_program import flow_program
from meshlens.probes.flow_record import Flow
from meshlens.probes.flow_stream import FlowStream, compile_filter
from meshlens.probes.flow_table import FlowTable
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces
from meshlens.probes.snapshot import Direction

__all__ = ["LiveFlows"]

_ETHERNET: Final = 1
_LOOPBACK: Final = 772  # ARPHRD_LOOPBACK
#: What a program that has just been detached may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01
_POLL_S: Final = 1.0
#: What can be missed: all outcomes but those of frames that were counted, and packets that a program added
#: to an entry in the very moment in which it was fetched.
MISSED: Final = (*OUTCOMES[2:], "fetched")


class LiveFlows(FlowStream):
    """Flows of interfaces from `with` (or the first iteration) on; each is handed out when it has ended.

    Iteration goes on until `duration_s` is over, None: without end. `poll()` gives what has ended so far,
    `finish()` detaches and gives the rest.
    """

    def __init__(
        self, interfaces: Sequence[str], expression: str, options: FlowOptions, duration_s: float | None
    ) -> None:
        super().__init__()
        self.interfaces, self.options, self.duration_s = interfaces, options, duration_s
        self._compiled = compile_filter(expression, _ETHERNET)
        self._meters: list[_Meter] = []
        self._entered = False

    def __enter__(self) -> Self:
        self._entered = True
        try:
            for interface in _named(self.interfaces):
                self._meters.append(_Meter(interface, self._compiled, self.options))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Flow]:
        if not self._entered:
            with self:
                yield from self._until_the_end()
        else:
            yield from self._until_the_end()

    def _until_the_end(self) -> Iterator[Flow]:
        end = None if self.duration_s is None else time.monotonic() + self.duration_s
        while end is None or time.monotonic() < end:
            left_s = _POLL_S if end is None else min(_POLL_S, max(0, end - time.monotonic()))
            time.sleep(min(left_s, max(0.05, self.options.idle_ns / 4e9)))
            yield from self.poll()
        yield from self.finish()

    def poll(self) -> list[Flow]:
        """The flows that have ended since the last time."""
        flows = [flow for meter in self._meters for flow in meter.poll()]
        self._settle()
        return flows

    def finish(self) -> list[Flow]:
        """Detach; the flows that were still going on. `missed` is final then."""
        flows = [flow for meter in self._meters for flow in meter.finish()]
        self._settle()
        return flows

    def close(self) -> None:
        """Detach, and give the maps back."""
        for meter in self._meters:
            meter.close()
        self._meters = []

    def _settle(self) -> None:
        self.missed = {reason: sum(m.missed[reason] for m in self._meters) for reason in MISSED}
        self.other = sum(meter.other for meter in self._meters)


class _Meter:
    """The programs of one interface, and the flows they see."""

    def __init__(self, interface: Interface, compiled: CompiledList | None, options: FlowOptions) -> None:
        self.options, self.table = options, FlowTable(interface.name, options)
        self.missed, self.other = dict.fromkeys(MISSED, 0), 0
        self._attached: list[tuple[Program, Link]] = []
        # Frames on the loopback go out and come in: they are one packet.
        directions: tuple[Direction, ...] = ("in",) if interface.hardware == _LOOPBACK else ("in", "out")
        offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        maps: dict[str, Map] = {}
        try:
            for direction in directions:
                spec = flow_program(options, direction, compiled=compiled, clock_offset_ns=offset_ns)
                program = spec.load(maps)
                maps = {name: each for name, each in program.maps.items() if name != "head"}
                self._attached.append((program, _attach(program, interface.index, direction)))
        except BaseException:
            self._detach()
            raise
        self._offset_ns = offset_ns
        self._flows, self._ring, self._tally = maps[FLOWS], RingBuffer(maps[EXPORT]), maps[TALLY].mmap()

    def poll(self) -> list[Flow]:
        """The flows that have ended, which takes them out of the map."""
        now_ns = self._now_ns()
        stale, unfinished = [], dict[Key, list[int]]()
        for key, value in self._flows.items():
            first, last, period_end = unpack_times(value)
            if not first:
                continue
            if min(last + self.options.idle_ns + 1, period_end) <= now_ns:
                stale.append(key)
            else:
                unfinished.setdefault(unpack_key(key), []).append(first)
        self._fetch(stale)
        flows = self.table.take(now_ns, unfinished)
        self._count()
        return flows

    def finish(self) -> list[Flow]:
        """Detach; all flows that are left."""
        if not self._attached:
            return []
        for _, link in self._attached:
            link.close()
        time.sleep(_LAST_FRAME_S)
        self._fetch([key for key, _ in self._flows.items()])
        flows = self.table.flush(self._now_ns())
        outcomes = self._count()
        lost = outcomes["flow"] - outcomes["ring_full"] - self.table.exported_packets
        self.missed["fetched"] = max(0, lost)
        self._detach()
        return flows

    def close(self) -> None:
        self._detach()
        self._ring.close()
        self._tally.release()
        self._flows.close()

    def _fetch(self, keys: list[bytes]) -> None:
        """Move entries from the map to the table, then what programs have sent out."""
        values = (self._flows.pop(key) for key in keys)
        self.table.add(Fragment.unpack(value) for value in values if value and any(value[FIRST_SEEN:]))
        self.table.add(map(Fragment.unpack, self._ring.read()))

    def _count(self) -> dict[str, int]:
        outcomes = read_tally(self._tally)
        self.missed |= {reason: outcomes[reason] for reason in OUTCOMES[2:]}
        self.other = outcomes["not_ip"]
        return outcomes

    def _now_ns(self) -> int:
        """The time by the clock of the programs, which the wall clock may leave in the meantime."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) + self._offset_ns

    def _detach(self) -> None:
        for program, link in self._attached:
            link.close()
            program.close()
        self._attached = []


def _attach(program: Program, ifindex: int, direction: Direction) -> Link:
    side: Side = "ingress" if direction == "in" else "egress"
    try:
        return attach_tcx(program, ifindex, side)
    except NotSupported:
        sweep(ifindex)  # what killed processes left
        return attach_clsact(program, ifindex, side)


def _named(names: Sequence[str]) -> Iterator[Interface]:
    """The interfaces of these names; none: all that are up. Raises UsageError, NotSupported."""
    present = {each.name: each for each in list_interfaces()}
    for name in names:
        if name not in present:
            raise UsageError(f"no interface {name!r}; there are {', '.join(sorted(present))}")
        if link_type_of(present[name]) != _ETHERNET:
            hardware = f"ARPHRD {present[name].hardware}, linux/if_arp.h"
            raise NotSupported(f"{name} carries no Ethernet frames ({hardware})")
    for each in present.values():
        if each.name in names or (not names and each.up and link_type_of(each) == _ETHERNET):
            yield each
