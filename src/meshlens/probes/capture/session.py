"""Capturing on interfaces: attach, write out what the programs laid out, tell what was lost.

See `capture.ring` for how frames get from the programs to the file without anybody touching each of them.
"""

import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Literal, Self

from meshlens.packet.pcapng_blocks import (
    InterfaceStatistics,
    interface_block,
    section_header,
    statistics_block,
)
from meshlens.probes.capture.files import CaptureOutput
from meshlens.probes.capture.ring import Counts
from meshlens.probes.capture.taps import (
    DEFAULT_SNAPSHOT_BYTES,
    MIN_SNAPSHOT_BYTES,
    CaptureSettings,
    CaptureTaps,
)
from meshlens.probes.interfaces import InterfaceWatch

__all__ = [
    "DEFAULT_SNAPSHOT_BYTES",
    "MIN_SNAPSHOT_BYTES",
    "CaptureSession",
    "CaptureSettings",
    "Ending",
]

Ending = Literal["stopped", "limit", "files full"]

#: How long to wait for more: when something came, and when nothing did. 16 MiB, the usual buffer, are full of
#: small frames after 60 ms at 2 million a second.
_BUSY_S, _IDLE_S = 0.005, 0.02
_CLOCK_EVERY_S: Final = 1.0
#: The wall clock was set, not merely read at another moment.
_CLOCK_STEP_NS: Final = 1_000_000
_DRAIN_S: Final = 1.0


class CaptureSession:
    """Captures from `with` on; `run()` writes it out, and follows interfaces that come, go and return.

    Entering raises UsageError for an interface that is not there and for a filter that cannot be compiled,
    NotSupported, PermissionDenied or BpfError. Nothing stays attached after an error.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        self.settings = settings
        self._offset_ns = 0
        self._stopped = False
        self._counts: list[Counts] = []

    def __enter__(self) -> Self:
        self._taps = CaptureTaps(self.settings)
        self.ring = self._taps.ring
        self._watch = InterfaceWatch()
        self._adjust_clock()
        self._started_ns = time.time_ns()
        try:
            self._taps.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def interfaces(self) -> list[str]:
        """The names of the interfaces of the file, by their numbers there."""
        return [each.name for each in self._taps.blocks]

    @property
    def waiting(self) -> bool:
        """Whether no interface is there to capture on."""
        return not self._taps.held

    def close(self) -> None:
        """Detach; give back the memory. `counts()` goes on telling."""
        self._taps.stop()
        if not self._counts:
            self._counts = self.counts()
            self.ring.close()
            self._watch.close()

    def header(self, application: str) -> bytes:
        """What a capture file begins with; `application` is who writes it."""
        uname = os.uname()
        section = section_header(application, uname.machine, f"{uname.sysname} {uname.release}")
        return section + b"".join(map(interface_block, self._taps.blocks))

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
        return self._counts or self.ring.counts()[: len(self._taps.blocks)]

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
        self._taps.stop()
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
            self._follow(output)
        if self._stopped:
            return "stopped"
        if output.full:
            return "files full"
        limit = self.settings.limit
        if limit is not None and sum(each.captured for each in self.counts()) >= limit:
            return "limit"
        return None

    def _follow(self, output: CaptureOutput) -> None:
        """Take note of interfaces that came or went, in the file as well: before any frame of theirs is."""
        known = len(self._taps.blocks)
        self._taps.follow()
        output.announce(b"".join(map(interface_block, self._taps.blocks[known:])))

    def _adjust_clock(self) -> None:
        """Tell the programs the wall clock: when it was set, not for each error of reading it.

        Both clocks run at the same pace (NTP steers the one by which the other counts), so that the
        difference changes only when the wall clock is set or the machine was asleep.
        """
        offset_ns = _wall_minus_monotonic_ns()
        if abs(offset_ns - self._offset_ns) > _CLOCK_STEP_NS:
            self._offset_ns = offset_ns
            self.ring.set_clock(offset_ns)


def _wall_minus_monotonic_ns() -> int:
    """The difference of two clocks that cannot be read at once: of several tries the tightest."""
    return min(_clock_readings())[1]


def _clock_readings() -> Iterator[tuple[int, int]]:
    for _ in range(10):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        yield after - before, wall - (before + after) // 2
