"""Count the frames of capture files by filters: in the kernel where that is allowed, else by the interpreter.

The kernel runs the same program as on an interface (BPF_PROG_TEST_RUN). What it does not take is interpreted:
frames that were cut, that are shorter than an Ethernet header or longer than a page, and lists that ask for
what only an interface knows. The numbers are the same either way; a test holds that.
"""

import os
import re
import struct
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import BinaryIO, Final

from meshlens.ebpf import Program
from meshlens.ebpf.constants import Command
from meshlens.ebpf.syscall import bpf, pointer
from meshlens.errors import NotSupported, PermissionDenied, UsageError
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.lists import FilterList
from meshlens.packet.capture import CaptureReader, read_capture
from meshlens.probes.count.ledger import Ledger
from meshlens.probes.count.program import count_program
from meshlens.probes.count.readout import COUNTERS, Layout, Totals, read_counters
from meshlens.probes.snapshot import Direction, Snapshot

__all__ = ["OfflineCounter", "count_files"]

Source = str | os.PathLike[str] | BinaryIO

#: What the interpreter is told of a frame's direction; 2 is neither `inbound` nor `outbound`.
_DIRECTIONS: Final[dict[Direction | None, int]] = {"in": 0, "out": 1, None: 2}
_ASKS_INTERFACE: Final = re.compile(r"\b(?:inbound|outbound|ifindex|ifname|on)\b")
#: LINKTYPE_ numbers of files that libpcap numbers otherwise (DLT_RAW, pcap/dlt.h).
_LINK_TYPES: Final = {101: 12}
_PROGRESS_FRAMES: Final = 4096
_PAGE_BYTES: Final = 4096
# union bpf_attr: prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration.
_TEST_RUN: Final = struct.Struct("=4I2Q2I")
_SIZES_OFFSET: Final = 8
_SIZES: Final = struct.Struct("=2I")


def count_files(
    filters: FilterList, files: Iterable[Source], *, mac: str = "", helpers: bool = False
) -> Snapshot:
    """Count the frames of capture files (pcap, pcapng; "-" is standard input).

    `interface` of the counts is the file's name, `direction` is None where the file does not tell it. Bytes
    are those on the wire, also of frames that were cut. `mac` takes the place of $MAC. Raises CaptureError
    for a file that cannot be read to its end, UsageError for a filter that cannot be compiled.
    """
    counter = OfflineCounter(filters, mac=mac, helpers=helpers)
    for file in files:
        counter.count(file)
    return counter.snapshot()


class OfflineCounter:
    """Counts file after file. `kernel` False: by the interpreter alone."""

    def __init__(
        self, filters: FilterList, *, mac: str = "", helpers: bool = False, kernel: bool = True
    ) -> None:
        if filters.uses_mac and not mac:
            raise UsageError(f"{filters.source} uses $MAC, which capture files do not tell: give it by --mac")
        self.filters = filters.with_mac(mac) if filters.uses_mac else filters
        self.helpers = helpers
        self.kernel = kernel and not any(_ASKS_INTERFACE.search(each.expression) for each in filters)
        self._ledger = Ledger()
        self._compiled = cache(self._compile)
        self._judge = cache(_Judge)

    def count(self, source: Source, progress: Callable[[CaptureReader], None] | None = None) -> None:
        """Count one file; `progress` is called from time to time.

        Raises CaptureError where the file is broken; what stands before that place is counted.
        """
        with read_capture(source) as reader:
            judges: dict[tuple[int, Direction | None], _Judge] = {}
            try:
                for number, frame in enumerate(reader):
                    kind = frame.link_type, frame.direction
                    judge = judges.get(kind)
                    if judge is None:
                        compiled = self._compiled(_LINK_TYPES.get(frame.link_type, frame.link_type))
                        judge = judges[kind] = self._judge(compiled, frame.direction, kernel=self.kernel)
                    judge.count(frame.data, frame.wire_length)
                    if progress and number % _PROGRESS_FRAMES == 0:
                        progress(reader)
            finally:
                for (_, direction), judge in judges.items():
                    self._ledger.add(reader.name, direction, judge.layout, judge.take())
                if not judges:
                    self._ledger.open(reader.name, None)

    def snapshot(self) -> Snapshot:
        """All counts so far."""
        ids = [each.id for each in self.filters if self.helpers or not each.helper]
        return Snapshot(time.time_ns(), tuple(self._ledger.counts(ids)), dict(self._ledger.missed))

    def _compile(self, link_type: int) -> CompiledList:
        return compile_list(self.filters, link_type=link_type, helpers=self.helpers)


class _Judge:
    """Counts frames of one link type and direction."""

    def __init__(self, compiled: CompiledList, direction: Direction | None, *, kernel: bool) -> None:
        self.compiled, self.direction = compiled, _DIRECTIONS[direction]
        self.layout = Layout.of(compiled)
        self.sums = [(0, 0)] * len(compiled.filters)
        self.run = _TestRun.load(compiled) if kernel else None

    def count(self, data: bytes, wire_length: int) -> None:
        if self.run and len(data) == wire_length and self.run.count(data):
            return
        for position in self.compiled.match(data, wire_length, direction=self.direction):
            packets, bytes_ = self.sums[position]
            self.sums[position] = packets + 1, bytes_ + wire_length

    def take(self) -> Totals:
        """What was counted since the last time."""
        totals = self.run.take(self.layout) if self.run else Totals([(0, 0)] * len(self.sums), {})
        interpreted, self.sums = self.sums, [(0, 0)] * len(self.sums)
        both = [(a + c, b + d) for (a, b), (c, d) in zip(totals.filters, interpreted, strict=True)]
        return Totals(both, totals.missed)


class _TestRun:
    """A loaded program, and the system call that runs it on a frame, made ready once for all frames.

    At tc: XDP would be given the head of a long frame without a word.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.counters = program.maps[COUNTERS].mmap()
        self.frame = bytearray(_PAGE_BYTES)
        self.attributes = bytearray(_TEST_RUN.pack(program.fileno(), 0, 0, 0, pointer(self.frame), 0, 1, 0))

    @classmethod
    def load(cls, compiled: CompiledList) -> "_TestRun | None":
        """None where programs may not be loaded or run."""
        try:
            run = cls(count_program(compiled, "tc", "in").load())
        except (PermissionDenied, NotSupported):
            return None
        runs = run.count(bytes(64))
        run.counters[:] = bytes(len(run.counters))
        return run if runs else None

    def count(self, data: bytes) -> bool:
        """Let the program count a frame; False if the kernel does not take it."""
        size = len(data)
        if size > _PAGE_BYTES:
            return False
        self.frame[:size] = data
        # The kernel overwrites data_size_out.
        _SIZES.pack_into(self.attributes, _SIZES_OFFSET, size, 0)
        try:
            bpf(Command.PROG_TEST_RUN, self.attributes)
        except OSError:
            return False
        return True

    def take(self, layout: Layout) -> Totals:
        totals = read_counters(self.counters, layout)
        self.counters[:] = bytes(len(self.counters))
        return totals
