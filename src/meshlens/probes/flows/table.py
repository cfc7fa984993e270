"""Flows put together from fragments: what several CPUs saw, and what was fetched at several times.

A flow ends where no packet came for longer than the idle time, and at the end of a period. Both can be told
from the fragments alone, however they were cut: two that are not further apart than the idle time and lie in
the same period are of one flow.
"""

from collections.abc import Iterable, Mapping
from heapq import merge

from meshlens.probes.flows.layout import FOREVER_NS, Fragment, HeadEntry, Key
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.packet import FlowPacket
from meshlens.probes.flows.record import Ended, Flow, record

__all__ = ["FlowTable", "fold", "period_end"]


class FlowTable:
    """The flows of one interface or file, whose `name` they are handed out under, that were not yet."""

    def __init__(self, options: FlowOptions) -> None:
        self.options = options
        self.exported_packets = 0
        self._pending: dict[Key, list[Fragment]] = {}

    def add(self, fragments: Iterable[Fragment]) -> None:
        """Join them with those of the same flow."""
        for fragment in fragments:
            apart, joined = [], fragment
            for other in self._pending.get(fragment.key, ()):
                if self._together(joined, other):
                    joined = _join(joined, other, self.options.head)
                else:
                    apart.append(other)
            self._pending[fragment.key] = [*apart, joined]

    def take(self, name: str, now_ns: int, unfinished: Mapping[Key, list[int]] | None = None) -> list[Flow]:
        """Hand out the flows that have ended by `now_ns`, by the time of their first packets.

        `unfinished`: when fragments that are still growing elsewhere began; a flow waits for those.
        """
        ended: list[Flow] = []
        for key, fragments in list(self._pending.items()):
            waiting = []
            for fragment in fragments:
                reason = self._reason(fragment, now_ns)
                begun = unfinished.get(key, ()) if unfinished else ()
                same = any(first - fragment.last_ns <= self.options.idle_ns for first in begun)
                if reason is None or (same and reason == "idle"):
                    waiting.append(fragment)
                else:
                    ended.append(self._hand_out(name, fragment, reason))
            if waiting:
                self._pending[key] = waiting
            else:
                del self._pending[key]
        return sorted(ended, key=_begin)

    def flush(self, name: str, now_ns: int) -> list[Flow]:
        """Hand out all flows: the capture ends."""
        pending, self._pending = self._pending, {}
        flows = [
            self._hand_out(name, fragment, self._reason(fragment, now_ns) or "end")
            for fragments in pending.values()
            for fragment in fragments
        ]
        return sorted(flows, key=_begin)

    def ongoing(self, name: str, now_ns: int, growing: Iterable[Fragment]) -> list[Flow]:
        """The flows that have not ended, `growing` fragments from elsewhere included; all of them stay."""
        both = FlowTable(self.options)
        both._pending = dict(self._pending)
        both.add(growing)
        flows = [
            record(fragment, name, None, self.options.head)
            for fragments in both._pending.values()
            for fragment in fragments
            if self._reason(fragment, now_ns) is None
        ]
        return sorted(flows, key=_begin)

    def _together(self, one: Fragment, other: Fragment) -> bool:
        apart_ns = max(other.first_ns - one.last_ns, one.first_ns - other.last_ns)
        return apart_ns <= self.options.idle_ns and one.period_end_ns == other.period_end_ns

    def _reason(self, fragment: Fragment, now_ns: int) -> Ended | None:
        """Why the flow has ended: by what came first."""
        idle_end_ns = fragment.last_ns + self.options.idle_ns
        if min(idle_end_ns + 1, fragment.period_end_ns) > now_ns:
            return None
        return "active" if fragment.period_end_ns <= idle_end_ns else "idle"

    def _hand_out(self, name: str, fragment: Fragment, reason: Ended) -> Flow:
        flow = record(fragment, name, reason, self.options.head)
        self.exported_packets += flow.packets
        return flow


def _begin(flow: Flow) -> tuple[int, str, int, str, int]:
    return flow.first_ns, flow.src, flow.src_port, flow.dst, flow.dst_port


def _join(one: Fragment, other: Fragment, head: int) -> Fragment:
    if (other.first_ns, other.last_ns) < (one.first_ns, one.last_ns):
        one, other = other, one
    return Fragment(
        one.key,
        one.first_ns,
        max(one.last_ns, other.last_ns),
        one.period_end_ns,
        [a + b for a, b in zip(one.packets, other.packets, strict=True)],
        [a + b for a, b in zip(one.sizes, other.sizes, strict=True)],
        [a | b for a, b in zip(one.flags, other.flags, strict=True)],
        one.way,
        one.direction,
        list(merge(one.head, other.head, key=lambda entry: entry.time_ns))[:head],
    )


def fold(
    entry: Fragment | None, packet: FlowPacket, time_ns: int, size: int, direction: int, options: FlowOptions
) -> tuple[Fragment, Fragment | None]:
    """Add a packet of `size` bytes to its entry, as the program does; the second is an entry that ended."""
    ended = None
    if entry and (time_ns >= entry.period_end_ns or time_ns - entry.last_ns > options.idle_ns):
        ended, entry = entry, None
    if entry is None:
        end_ns = period_end(time_ns, options.active_ns)
        entry = Fragment(packet.key, time_ns, time_ns, end_ns, [0, 0], [0, 0], [0, 0], packet.way, direction)
    entry.first_ns, entry.last_ns = min(entry.first_ns, time_ns), max(entry.last_ns, time_ns)
    entry.packets[packet.way] += 1
    entry.sizes[packet.way] += size
    entry.flags[packet.way] |= packet.flags
    if len(entry.head) < options.head:
        entry.head.append(HeadEntry(time_ns, size, size & 0xFFFF, 1, packet.way))
    return entry, ended


def period_end(time_ns: int, active_ns: int) -> int:
    """When the period of `active_ns` that `time_ns` lies in is over."""
    return (time_ns // active_ns + 1) * active_ns if active_ns else FOREVER_NS
