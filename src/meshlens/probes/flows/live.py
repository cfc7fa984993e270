"""Flows on interfaces, aggregated in the kernel; this fetches those that have ended."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from meshlens.errors import NotSupported
from meshlens.filters.compiler import CompiledList
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.meter import MISSED, FlowMeter
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.stream import FlowStream, compile_filter
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram, Session

__all__ = ["LiveFlows"]

_ETHERNET: Final = 1
_POLL_S: Final = 1.0


class LiveFlows(Session, FlowStream):
    """Flows of interfaces from `with` (or the first iteration) on; each is handed out when it has ended.

    Iteration follows the interfaces and goes on until `duration_s` is over (None: without end) or another
    thread calls `close()`. Without it, `wait()` follows the interfaces, `poll()` gives what has ended so far,
    `ongoing()` what has not, and `finish()` detaches and gives the rest. All of them may be called from
    several threads; a flow is handed out once.
    """

    probe = "flows"

    def __init__(
        self,
        interfaces: Sequence[str],
        expression: str,
        options: FlowOptions,
        duration_s: float | None,
        attach: AttachMode = "auto",
    ) -> None:
        self._meters = _Meters(interfaces, options, compile_filter(expression, _ETHERNET), attach)
        Session.__init__(self, self._meters)
        FlowStream.__init__(self)
        self.options, self.duration_s, self.attach = options, duration_s, attach

    def __iter__(self) -> Iterator[Flow]:
        if self._watch is None:
            with self:
                yield from self._until_the_end()
        else:
            yield from self._until_the_end()

    def _until_the_end(self) -> Iterator[Flow]:
        end = None if self.duration_s is None else time.monotonic() + self.duration_s
        while self._watch and (end is None or time.monotonic() < end):
            left_s = _POLL_S if end is None else min(_POLL_S, max(0, end - time.monotonic()))
            self.wait(min(left_s, max(0.05, self.options.idle_ns / 4e9)))
            yield from self.poll()
        yield from self.finish()

    def poll(self) -> list[Flow]:
        """The flows that have ended since the last time."""
        with self._lock:
            flows = self._meters.take_ended()
            for interface, meter in self._meters:
                flows += meter.poll(interface.name)
            self._settle()
        return flows

    def ongoing(self) -> list[Flow]:
        """The flows that go on, with what they have had so far; they stay. None after the end."""
        with self._lock:
            flows = [flow for interface, meter in self._meters for flow in meter.ongoing(interface.name)]
            self._settle()
        return flows

    def finish(self) -> list[Flow]:
        """Detach; the flows that were still going on. `missed` is final then."""
        with self._lock:
            self._meters.stop()
            self._settle()
            return self._meters.take_ended()

    def close(self) -> None:
        """Detach, end a `wait()`, and give the maps back."""
        super().close()
        self._settle()

    def _settle(self) -> None:
        counted = self._meters.counted()
        self.missed = {reason: counted[reason] for reason in MISSED}
        self.other = counted["other"]

    def _programs(self) -> Iterator[AttachedProgram]:
        for interface, meter in self._meters:
            yield from ((interface.name, *attached) for attached in meter.programs)


class _Meters(Follower[FlowMeter]):
    """A meter for each interface, and the flows of those that are gone."""

    doing = "watched"

    def __init__(
        self, names: Sequence[str], options: FlowOptions, compiled: CompiledList | None, attach: AttachMode
    ) -> None:
        super().__init__(names)
        self.options, self.compiled, self.attach = options, compiled, attach
        self._ended: list[Flow] = []
        self._counted = Counter[str]()

    def begin(self, interface: Interface) -> FlowMeter:
        if not self.readable(interface):
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries no Ethernet frames ({hardware})")
        return FlowMeter(interface, self.compiled, self.options, self.attach)

    def end(self, interface: Interface, held: FlowMeter) -> None:
        self._ended += held.finish(interface.name)
        self._counted.update(held.counted)
        held.close()

    def readable(self, interface: Interface) -> bool:
        return link_type_of(interface) == _ETHERNET

    def take_ended(self) -> list[Flow]:
        """The flows of interfaces that are gone, which leaves none."""
        ended, self._ended = self._ended, []
        return ended

    def counted(self) -> Counter[str]:
        """Packets in no flow, by the reason."""
        return sum((meter.counted for _, meter in self), self._counted.copy())
