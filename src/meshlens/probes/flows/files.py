"""Flows of capture files: by the program of an interface where the kernel lets us run it, else in Python.

The kernel is given each frame with its time (BPF_PROG_TEST_RUN, tstamp of the context). What it does not
take is added to the same entries in Python: frames that were cut, that are no Ethernet, or longer than the
kernel allows. The flows are the same either way; a test holds that.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import BinaryIO, Final

from meshlens.ebpf import Map, Program, RingBuffer, Skb, pack_context
from meshlens.ebpf.constants import Command
from meshlens.ebpf.syscall import bpf, pointer
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.filters.compiler import CompiledList
from meshlens.packet.capture import CapturedFrame, CaptureError, read_capture
from meshlens.probes.flows.layout import EXPORT, FLOWS, Fragment, Key, pack_key
from meshlens.probes.flows.maps import OUTCOMES, TALLY, FlowOptions, read_tally
from meshlens.probes.flows.packet import FlowPacket, NotIp, Unreadable, flow_packet
from meshlens.probes.flows.program import flow_program
from meshlens.probes.flows.record import Flow
from meshlens.probes.flows.stream import FlowStream, compile_filter
from meshlens.probes.flows.table import FlowTable, fold
from meshlens.probes.snapshot import Direction

__all__ = ["FileFlows"]

Source = str | os.PathLike[str] | BinaryIO

_ETHERNET: Final = 1
#: LINKTYPE_ numbers of files that libpcap numbers otherwise (DLT_RAW, pcap/dlt.h).
_LINK_TYPES: Final = {101: 12}
_ASKS_INTERFACE: Final = re.compile(r"\b(?:inbound|outbound|ifindex|ifname)\b")
_DIRECTIONS: Final[dict[Direction | None, int]] = {"in": 0, "out": 1, None: 2}
#: Entries are fetched after so many frames: less than the ring has room for.
_BATCH_FRAMES: Final = 2_000
_FRAME_BYTES: Final = 65_536
_TSTAMP_OFFSET, _TSTAMP = Skb.tstamp.offset, struct.Struct("=Q")
# union bpf_attr: prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration,
# ctx_size_in, ctx_size_out, ctx_in, ctx_out.
_TEST_RUN: Final = struct.Struct("=4I2Q2I2I2Q")
_SIZES_OFFSET: Final = 8
_SIZES: Final = struct.Struct("=2I")


class FileFlows(FlowStream):
    """The flows of capture files, file by file. `kernel` False: in Python alone.

    Iteration raises CaptureError where a file is broken, after the flows before that place.
    """

    def __init__(
        self, files: Sequence[Source], expression: str, options: FlowOptions, *, kernel: bool = True
    ) -> None:
        super().__init__()
        self.files, self.expression = files, expression
        # Entries are fetched before there can be more of them than frames.
        self.options = replace(options, max_flows=_BATCH_FRAMES)
        self.kernel = kernel and not _ASKS_INTERFACE.search(expression)
        self.missed = dict.fromkeys(OUTCOMES[2:], 0)
        self._compiled = cache(lambda link_type: compile_filter(expression, link_type))
        self._compiled(_ETHERNET)  # what is wrong is wrong without any file

    def __iter__(self) -> Iterator[Flow]:
        for file in self.files:
            yield from self._flows(file)

    def _flows(self, file: Source) -> Iterator[Flow]:
        broken = None
        with read_capture(file) as reader:
            table, meter = FlowTable(self.options), self._meter
            now_ns = 0
            try:
                for number, frame in enumerate(reader, 1):
                    self._count(meter, frame)
                    now_ns = max(now_ns, frame.timestamp_ns)
                    if number % _BATCH_FRAMES == 0:
                        table.add(meter.take())
                        yield from table.take(reader.name, now_ns)
            except CaptureError as error:
                broken = error
            table.add(meter.take())
            self._settle(meter)
            yield from table.flush(reader.name, now_ns)
        if broken:
            raise broken

    @cached_property
    def _meter(self) -> "_PythonMeter":
        if not self.kernel:
            return _PythonMeter(self.options)
        try:
            return _KernelMeter(self.options, self._compiled(_ETHERNET))
        except (PermissionDenied, NotSupported):
            return _PythonMeter(self.options)

    def _count(self, meter: "_PythonMeter", frame: CapturedFrame) -> None:
        if meter.run(frame):
            return
        link_type = _LINK_TYPES.get(frame.link_type, frame.link_type)
        compiled = self._compiled(link_type)
        direction = _DIRECTIONS[frame.direction]
        if compiled and not compiled.match(frame.data, frame.wire_length, direction=direction):
            return
        meter.count(frame, direction)

    def _settle(self, meter: "_PythonMeter") -> None:
        outcomes = meter.outcomes()
        self.other = outcomes["not_ip"]
        self.missed = {reason: outcomes[reason] for reason in self.missed}


class _PythonMeter:
    """Entries in a dictionary."""

    def __init__(self, options: FlowOptions) -> None:
        self.options = options
        self.counted = dict.fromkeys(OUTCOMES, 0)
        self.ended: list[Fragment] = []
        self._entries: dict[Key, Fragment] = {}

    def run(self, frame: CapturedFrame) -> bool:
        """Let the kernel count a frame; False if it cannot."""
        return False

    def count(self, frame: CapturedFrame, direction: int) -> None:
        """Count a frame here."""
        try:
            packet = flow_packet(frame.data, frame.link_type)
        except NotIp:
            self.counted["not_ip"] += 1
        except Unreadable:
            self.counted["unreadable"] += 1
        else:
            self.counted["flow"] += 1
            self._fold(packet, frame, direction)

    def _fold(self, packet: FlowPacket, frame: CapturedFrame, direction: int) -> None:
        before = self.entry(packet.key)
        entry, ended = fold(before, packet, frame.timestamp_ns, frame.wire_length, direction, self.options)
        if ended:
            self.ended.append(ended)
        self.put(packet.key, entry)

    def entry(self, key: Key) -> Fragment | None:
        """The entry of a flow."""
        return self._entries.get(key)

    def put(self, key: Key, entry: Fragment) -> None:
        """Keep the entry of a flow."""
        self._entries[key] = entry

    def take(self) -> list[Fragment]:
        """All entries, in the order in which they ended; none is left."""
        taken = [*self.ended, *self._entries.values()]
        self.ended, self._entries = [], {}
        return taken

    def outcomes(self) -> dict[str, int]:
        """What became of all frames."""
        return self.counted


class _KernelMeter(_PythonMeter):
    """Entries in the map of the program, which the kernel runs on every frame that it takes."""

    def __init__(self, options: FlowOptions, compiled: CompiledList | None) -> None:
        super().__init__(options)
        self.compiled = compiled
        first = self._load(None, {})
        self.maps = {name: each for name, each in first.maps.items() if name != "head"}
        self.programs: dict[Direction | None, Program] = {None: first}
        self.flows, self.ring = self.maps[FLOWS], RingBuffer(self.maps[EXPORT])
        self.frame, self.context = bytearray(_FRAME_BYTES), bytearray(pack_context(Skb))
        self.attributes = bytearray(
            _TEST_RUN.pack(
                0, 0, 0, 0, pointer(self.frame), 0, 1, 0, len(self.context), 0, pointer(self.context), 0
            )
        )
        self._try()

    def _load(self, direction: Direction | None, maps: dict[str, Map]) -> Program:
        spec = flow_program(self.options, direction, compiled=self.compiled, clock="skb")
        return spec.load(maps)

    def _try(self) -> None:
        """Raises NotSupported where programs can be loaded but not run."""
        if not self.run(CapturedFrame(bytes(64), 64, 0, 0, _ETHERNET, None)):
            raise NotSupported("cannot run programs on frames of a file")
        with self.maps[TALLY].mmap() as tally:
            tally[:] = bytes(len(tally))

    def run(self, frame: CapturedFrame) -> bool:
        size = len(frame.data)
        if size != frame.wire_length or size > _FRAME_BYTES or frame.link_type != _ETHERNET:
            return False
        program = self.programs.get(frame.direction)
        if program is None:
            program = self.programs[frame.direction] = self._load(frame.direction, self.maps)
        self.frame[:size] = frame.data
        _TSTAMP.pack_into(self.context, _TSTAMP_OFFSET, frame.timestamp_ns)
        struct.pack_into("=I", self.attributes, 0, program.fileno())
        _SIZES.pack_into(self.attributes, _SIZES_OFFSET, size, 0)  # the kernel overwrites data_size_out
        try:
            bpf(Command.PROG_TEST_RUN, self.attributes)
        except OSError:
            return False
        return True

    def entry(self, key: Key) -> Fragment | None:
        value = self.flows.lookup(pack_key(key))
        return Fragment.unpack(value) if value else None

    def put(self, key: Key, entry: Fragment) -> None:
        self.flows.update(pack_key(key), entry.pack(self.options.head))

    def take(self) -> list[Fragment]:
        self.ended += map(Fragment.unpack, self.ring.read())
        entries = list(self.flows.items())
        for key, _ in entries:
            self.flows.delete(key)
        taken = [*self.ended, *_by_begin(Fragment.unpack(value) for _, value in entries)]
        self.ended = []
        return taken

    def outcomes(self) -> dict[str, int]:
        with self.maps[TALLY].mmap() as tally:
            kernels = read_tally(tally)
        return {name: kernels[name] + self.counted[name] for name in OUTCOMES}


def _by_begin(fragments: Iterable[Fragment]) -> list[Fragment]:
    return sorted(fragments, key=lambda fragment: fragment.first_ns)
