"""Stations of capture files, counted by the definition of the kernel's program."""

import os
from collections.abc import Sequence
from functools import cache
from typing import BinaryIO, Final

from meshlens.packet.capture import CapturedFrame, read_capture
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.meter import MISSED
from meshlens.probes.stations.packet import Unreadable, sightings
from meshlens.probes.stations.record import Station
from meshlens.probes.stations.table import Seen, fold, records

__all__ = ["FileStations"]

Source = str | os.PathLike[str] | BinaryIO

_ETHERNET: Final = 1
#: A frame whose direction the file does not tell was sent by one station, and to another.
_WAYS: Final[dict[Direction | None, tuple[int, ...]]] = {"in": (0,), "out": (1,), None: (0, 1)}
_DIRECTIONS: Final[dict[Direction | None, int]] = {"in": 0, "out": 1, None: 2}


class FileStations:
    """The stations of capture files; the name of a file stands for the interface.

    Where a file does not tell directions, every frame is one that its source sent and one to its destination.
    None is let go for being idle. `missed` and `group` are as in StationSession.
    """

    def __init__(self, files: Sequence[Source], expression: str) -> None:
        self.files = files
        self.missed = dict.fromkeys(MISSED, 0)
        self.group = 0
        self._compiled = cache(lambda link_type: compile_filter(expression, link_type))
        self._compiled(_ETHERNET)  # what is wrong is wrong without any file
        self._seen: dict[str, Seen] = {}
        self._unread = list(files)

    def read(self) -> None:
        """Read the files. Raises CaptureError where one is broken; what stands before counts."""
        while self._unread:
            with read_capture(self._unread.pop(0)) as reader:
                seen = self._seen.setdefault(reader.name, Seen())
                for frame in reader:
                    self._count(seen, frame)

    def stations(self) -> list[Station]:
        """The stations, those with the most bytes first. Reads the files; raises CaptureError as `read`."""
        self.read()
        found = [
            station
            for name, seen in self._seen.items()
            for station in records(name, seen, lambda _, calls_itself: calls_itself)
        ]
        return sorted(found, key=lambda station: -station.bytes)

    def _count(self, seen: Seen, frame: CapturedFrame) -> None:
        compiled = self._compiled(frame.link_type)
        direction = _DIRECTIONS[frame.direction]
        if compiled and not compiled.match(frame.data, frame.wire_length, direction=direction):
            return
        if frame.link_type != _ETHERNET:
            self.missed["unreadable"] += 1
            return
        try:
            for way in _WAYS[frame.direction]:
                self._add(seen, frame, way)
        except Unreadable:
            self.missed["unreadable"] += 1

    def _add(self, seen: Seen, frame: CapturedFrame, way: int) -> None:
        found = sightings(frame.data, frame.wire_length, way)
        if frame.direction == "out" and not any(each.kind == "station" for each in found):
            self.group += 1
        for each in found:
            place = each.mac, each.kind
            entry = seen.entries.get(place)
            seen.entries[place] = fold(entry, each, frame.timestamp_ns, way)
            if each.first:
                which, first = each.first
                seen.firsts.setdefault((each.mac, which), first)
