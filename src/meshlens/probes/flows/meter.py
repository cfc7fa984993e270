"""The flow programs of one interface, and the flows that they see."""

import time
from collections import Counter
from typing import Final

from meshlens.ebpf import Link, Map, Program, RingBuffer
from meshlens.ebpf.features import has_coarse_clock
from meshlens.filters.compiler import CompiledList
from meshlens.probes.attach import attach_at
from meshlens.probes.count.plan import AttachMode, hook_of
from meshlens.probes.flows.layout import EXPORT, FLOWS, Fragment, Key, unpack_key, unpack_times
from meshlens.probes.flows.maps import OUTCOMES, TALLY, FlowOptions, read_tally
from meshlens.probes.flows.program import flow_program
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.table import FlowTable
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction

__all__ = ["MISSED", "FlowMeter"]

#: What can be missed: all outcomes but those of frames that were counted, and packets that a program added
#: to an entry in the very moment in which it was fetched.
MISSED: Final = (*OUTCOMES[2:], "fetched")

_LOOPBACK: Final = 772  # ARPHRD_LOOPBACK
#: What a program that has just been detached may take for the frame it is at: microseconds, really.
_LAST_FRAME_S: Final = 0.01


class FlowMeter:
    """Attached from the start until `finish`; `counted` are the packets in no flow, by the reason.

    Flows are handed out under the name that the interface has then.
    """

    def __init__(
        self, interface: Interface, compiled: CompiledList | None, options: FlowOptions, attach: AttachMode
    ) -> None:
        self.options = options
        self.counted = Counter[str]()
        self._table = FlowTable(options)
        self._attached: list[tuple[Direction, Program, Link]] = []
        # Frames on the loopback go out and come in: they are one packet.
        directions: tuple[Direction, ...] = ("in",) if interface.hardware == _LOOPBACK else ("in", "out")
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        maps: dict[str, Map] = {}
        try:
            for direction in directions:
                spec = flow_program(
                    options,
                    direction,
                    hook=hook_of(attach, direction),
                    compiled=compiled,
                    clock="tick" if has_coarse_clock() else "exact",
                    clock_offset_ns=self._offset_ns,
                )
                program = spec.load(maps)
                program.spec = None  # the kernel has its instructions
                maps = {name: each for name, each in program.maps.items() if name != "head"}
                _, link = attach_at(attach, program, interface.index, direction)
                self._attached.append((direction, program, link))
        except BaseException:
            self._detach()
            raise
        self._flows, self._ring, self._tally = maps[FLOWS], RingBuffer(maps[EXPORT]), maps[TALLY].mmap()

    @property
    def programs(self) -> list[tuple[Direction, Program]]:
        """What is attached now."""
        return [(direction, program) for direction, program, _ in self._attached]

    def poll(self, name: str) -> list[Flow]:
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
        self._count()
        return self._table.take(name, now_ns, unfinished)

    def ongoing(self, name: str) -> list[Flow]:
        """The flows that have not ended; they stay where they are."""
        values = dict(self._flows.items()).values()
        self._table.add(map(Fragment.unpack, self._ring.read()))
        growing = [Fragment.unpack(value) for value in values if unpack_times(value)[0]]
        self._count()
        return self._table.ongoing(name, self._now_ns(), growing)

    def finish(self, name: str) -> list[Flow]:
        """Detach; all flows that are left."""
        if not self._attached:
            return []
        for _, _, link in self._attached:
            link.close()
        time.sleep(_LAST_FRAME_S)
        self._fetch([key for key, _ in self._flows.items()])
        flows = self._table.flush(name, self._now_ns())
        outcomes = self._count()
        lost = outcomes["flow"] - outcomes["ring_full"] - self._table.exported_packets
        self.counted["fetched"] = max(0, lost)
        self._detach()
        return flows

    def close(self) -> None:
        """Give the maps back."""
        self._detach()
        self._ring.close()
        self._tally.release()
        self._flows.close()

    def _fetch(self, keys: list[bytes]) -> None:
        """Move entries from the map to the table, then what programs have sent out."""
        values = (self._flows.pop(key) for key in keys)
        fragments = [Fragment.unpack(value) for value in values if value]
        self._table.add(fragment for fragment in fragments if any(fragment.packets))  # not one just begun
        self._table.add(map(Fragment.unpack, self._ring.read()))

    def _count(self) -> dict[str, int]:
        outcomes = read_tally(self._tally)
        self.counted |= {reason: outcomes[reason] for reason in OUTCOMES[2:]}
        self.counted["other"] = outcomes["not_ip"]
        return outcomes

    def _now_ns(self) -> int:
        """The time by the clock of the programs, which the wall clock may leave in the meantime."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) + self._offset_ns

    def _detach(self) -> None:
        for _, program, link in self._attached:
            link.close()
            program.close()
        self._attached = []
