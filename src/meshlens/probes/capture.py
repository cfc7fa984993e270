"""Capturing on interfaces: attach, write out what the programs laid out, tell what was lost.

See `capture_ring` for how frames get from the programs to the file without anybody touching each of them.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from meshlens.ebpf import (
    Link,
    Program,
    attach_clsact,
    attach_tcx,
    attach_xdp,
    sweep,
)
from meshlens.ebpf.tracing import attach_trace
from meshlens.errors import NotSupported, UsageError
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.errors import FilterError
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.packet.pcapng_blocks import (
    CapturedInterface,
    InterfaceStatistics,
    interface_block,
    section_header,
    statistics_block,
)
from meshlens.probes.capture_exit import check_exit_support, exit_frame
from meshlens.probes.capture_files import CaptureOutput
from meshlens.probes.capture_frame import CapturePoint, frame_at
from meshlens.probes.capture_program import capture_program
from meshlens.probes.capture_ring import CaptureRing, Counts
from meshlens.probes.ethtool import driver_of, speed_of
from meshlens.probes.interfaces import Interface, InterfaceWatch, link_type_of, list_interfaces, matches

__all__ = [
    "DEFAULT_SNAPSHOT_BYTES",
    "MIN_SNAPSHOT_BYTES",
    "CaptureSession",
    "CaptureSettings",
    "Ending",
]

#: tcpdump's own; the least holds an Ethernet header with a VLAN tag.
DEFAULT_SNAPSHOT_BYTES, MIN_SNAPSHOT_BYTES = 262144, 18

Ending = Literal["stopped", "limit", "interfaces gone", "files full"]

#: How long to wait for more: when something came, and when nothing did.
_BUSY_S, _IDLE_S = 0.01, 0.05
_CLOCK_EVERY_S: Final = 1.0
#: The wall clock was set, not merely read at another moment.
_CLOCK_STEP_NS: Final = 1_000_000
_DRAIN_S: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptureSettings:
    """What to capture: `interfaces` are names or globs, `expression` as tcpdump's, "" for everything.

    `limit` is how many frames at most; `buffer_bytes` how much may wait to be written.
    """

    interfaces: Sequence[str]
    expression: str = ""
    points: Sequence[CapturePoint] = ("tc-in", "tc-out")
    snapshot_bytes: int = DEFAULT_SNAPSHOT_BYTES
    limit: int | None = None
    buffer_bytes: int = 16 << 20


class CaptureSession:
    """Captures from `with` on; `run()` writes it out.

    Entering raises UsageError for an interface that is not there and for a filter that cannot be compiled,
    NotSupported, PermissionDenied or BpfError. Nothing stays attached after an error.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        self.settings = settings
        self.interfaces: list[Interface] = []
        self._present: set[int] = set()
        self._links: list[Link] = []
        self._offset_ns = 0
        self._stopped = False
        self._counts: list[Counts] = []

    def __enter__(self) -> Self:
        settings = self.settings
        if "exit" in settings.points:
            check_exit_support()
        self.interfaces = _chosen(settings.interfaces)
        self._descriptions = [self._described(each) for each in self.interfaces]
        self._present = {each.index for each in self.interfaces}
        self._filters = {
            each.link_type: _compiled(settings.expression, each.link_type) for each in self._descriptions
        }
        self.ring = CaptureRing(len(self.interfaces), settings.snapshot_bytes, settings.buffer_bytes)
        self._watch = InterfaceWatch()
        self._adjust_clock()
        self._started_ns = time.time_ns()
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach; give back the memory. `counts()` goes on telling."""
        self._detach()
        if not self._counts:
            self._counts = self.ring.counts()
            self.ring.close()
            self._watch.close()

    def header(self, application: str) -> bytes:
        """What a capture file begins with; `application` is who writes it."""
        uname = os.uname()
        section = section_header(application, uname.machine, f"{uname.sysname} {uname.release}")
        return section + b"".join(map(interface_block, self._descriptions))

    def trailer(self) -> bytes:
        """What a capture file ends with: the statistics so far."""
        now_ns = time.time_ns()
        return b"".join(
            statistics_block(
                number,
                InterfaceStatistics(
                    self._started_ns, now_ns, counts.captured, counts.filtered, counts.dropped
                ),
            )
            for number, counts in enumerate(self.counts())
        )

    def counts(self) -> list[Counts]:
        """What became of the frames of each of the `interfaces`."""
        return self._counts or self.ring.counts()

    def stop(self) -> None:
        """End `run()`: from another thread, or from a signal handler."""
        self._stopped = True
        self._watch.wake()

    def run(self, output: CaptureOutput) -> Ending:
        """Write what is captured, until stopped or at an end; detach, and write the rest.

        Raises OSError if it cannot be written.
        """
        ending = None
        clock_due = time.monotonic() + _CLOCK_EVERY_S
        while ending is None:
            written = self._write(output)
            ending = self._ending(output, _BUSY_S if written else _IDLE_S)
            if time.monotonic() >= clock_due:
                self._adjust_clock()
                clock_due += _CLOCK_EVERY_S
        self._detach()
        if ending != "files full":
            deadline = time.monotonic() + _DRAIN_S
            while self._write(output) or not (self.ring.drained or time.monotonic() > deadline):
                pass
        return ending

    def _write(self, output: CaptureOutput) -> int:
        output.turn()
        written = 0
        if not output.full:
            for blocks in self.ring.pieces():
                output.write(blocks)
                written += len(blocks)
        return written

    def _ending(self, output: CaptureOutput, wait_s: float) -> Ending | None:
        """Wait a moment; say why to end, if at all."""
        if self._watch.wait(wait_s):
            self._note_gone()
        if self._stopped:
            return "stopped"
        if not self._present:
            return "interfaces gone"
        if output.full:
            return "files full"
        limit = self.settings.limit
        if limit is not None and sum(each.captured for each in self.counts()) >= limit:
            return "limit"
        return None

    def _note_gone(self) -> None:
        gone = self._present - {each.index for each in list_interfaces()}
        for each in self.interfaces:
            if each.index in gone:
                _log.warning("%s is gone", each.name)
        self._present -= gone

    def _described(self, interface: Interface) -> CapturedInterface:
        link_type = link_type_of(interface)
        if link_type is None:
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(f"{interface.name} carries neither Ethernet nor 802.11 frames ({hardware})")
        points = " and ".join(self.settings.points)
        return CapturedInterface(
            interface.name,
            link_type,
            self.settings.snapshot_bytes,
            description=f"{driver_of(interface.name)} at {points}".strip(),
            mac=interface.mac,
            speed_bps=speed_of(interface.name),
            filter=self.settings.expression,
        )

    def _attach(self) -> None:
        settings, maps = self.settings, self.ring.maps
        with ExitStack() as closing:  # a link keeps its program, and a program its maps
            for number, interface in enumerate(self.interfaces):
                compiled = self._filters[self._descriptions[number].link_type]
                for point in settings.points:
                    frame = exit_frame(interface) if point == "exit" else frame_at(point)
                    spec = capture_program(self.ring.layout, compiled, frame, number, settings.limit)
                    program = closing.enter_context(spec.load(maps))
                    for name in program.maps.keys() - maps.keys():
                        closing.enter_context(program.maps[name])
                    self._links.append(_attached(program, interface.index, point))

    def _detach(self) -> None:
        while self._links:
            self._links.pop().close()

    def _adjust_clock(self) -> None:
        """Tell the programs the wall clock: when it was set, not for each error of reading it.

        Both clocks run at the same pace (NTP steers the one by which the other counts), so that the
        difference changes only when the wall clock is set or the machine was asleep.
        """
        offset_ns = _wall_minus_monotonic_ns()
        if abs(offset_ns - self._offset_ns) > _CLOCK_STEP_NS:
            self._offset_ns = offset_ns
            self.ring.set_clock(offset_ns)


def _chosen(patterns: Sequence[str]) -> list[Interface]:
    """The interfaces that fit; each pattern has to fit one."""
    present = list_interfaces()
    for pattern in patterns:
        if not any(matches(each.name, [pattern]) for each in present):
            there = ", ".join(each.name for each in present)
            raise UsageError(f"no interface {pattern!r}; there are {there}")
    return [each for each in present if matches(each.name, patterns)]


def _compiled(expression: str, link_type: int) -> CompiledList | None:
    if not expression:
        return None
    own = FilterDef("filter", expression, 1, "filter")
    try:
        return compile_list(FilterList((own,), "filter"), link_type=link_type)
    except FilterError as error:
        raise error.at("filter") from None


def _attached(program: Program, ifindex: int, point: CapturePoint) -> Link:
    if point == "entry":
        return attach_xdp(program, ifindex)
    if point == "exit":
        return attach_trace(program)
    side: Literal["ingress", "egress"] = "ingress" if point == "tc-in" else "egress"
    try:
        return attach_tcx(program, ifindex, side)
    except NotSupported:
        sweep(ifindex)  # what killed processes left
        return attach_clsact(program, ifindex, side)


def _wall_minus_monotonic_ns() -> int:
    """The difference of two clocks that cannot be read at once: of several tries the tightest."""
    return min(_clock_readings())[1]


def _clock_readings() -> Iterator[tuple[int, int]]:
    for _ in range(10):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        yield after - before, wall - (before + after) // 2
