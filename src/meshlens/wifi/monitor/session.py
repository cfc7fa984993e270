"""Who is on the air: transmitters heard on monitor interfaces, or in capture files."""

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import BinaryIO, Final, overload

from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.packet.capture import CaptureError, read_capture
from meshlens.probes.flows.stream import compile_filter
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram, Session
from meshlens.wifi.monitor.frame import IEEE80211, IEEE80211_RADIOTAP
from meshlens.wifi.monitor.layout import OUTCOMES
from meshlens.wifi.monitor.meter import Entries, MonitorMeter, Rates
from meshlens.wifi.monitor.record import Transmitter, records
from meshlens.wifi.monitor.table import MonitorTable, join, join_rates

__all__ = ["FileTransmitters", "LiveTransmitters", "transmitters"]

Source = str | os.PathLike[str] | BinaryIO

_LINK_TYPES: Final = (IEEE80211, IEEE80211_RADIOTAP)
_ASKS_INTERFACE: Final = re.compile(r"\b(?:ifindex|ifname|on)\b")
_DIRECTIONS: Final = {"in": 0, "out": 1, None: 2}
#: What is missed: frames in no entry, and frames whose rate was not counted.
_MISSED: Final = ("unreadable", "transmitters_full", "rates_full")


@overload
def transmitters(
    interfaces: str | Sequence[str] = ...,
    *,
    filter: str = ...,
    max_transmitters: int = ...,
    idle_s: float = ...,
) -> "LiveTransmitters": ...


@overload
def transmitters(*, read: Source | Sequence[Source], filter: str = ...) -> "FileTransmitters": ...


def transmitters(
    interfaces: str | Sequence[str] = (),
    *,
    read: Source | Sequence[Source] = (),
    filter: str = "",
    max_transmitters: int = 4096,
    idle_s: float = 0,
) -> "LiveTransmitters | FileTransmitters":
    """Who is heard on monitor `interfaces` (none: all that are up), or in the capture files `read`.

        with meshlens.transmitters("mon0") as session:
            session.wait(10)
            for each in session.transmitters():
                print(each.mac, each.frames, each.retry_ratio, each.signal_mean_dbm)

    `filter` is a tcpdump expression in libpcap's language for 802.11 (`wlan type mgt subtype beacon`); it
    runs in the kernel. `max_transmitters` is the room in the kernel for each interface, 2 KiB each; a frame
    whose transmitter finds none is counted in `missed`. One that was not heard for `idle_s` seconds is
    forgotten; 0: never.

    Raises UsageError for a filter that cannot be compiled. Entering a session of interfaces raises UsageError
    for one that is not there, NotSupported for one that is not in monitor mode, PermissionDenied without
    CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Files are read when `transmitters()` is asked first.
    """
    if max_transmitters < 1 or idle_s < 0:
        raise UsageError("max_transmitters has to be more than 0, idle_s at least 0")
    files = list(read) if isinstance(read, Sequence) and not isinstance(read, str) else [read]
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    if files and names:
        raise UsageError("either interfaces or capture files: give `read` alone")
    if files:
        return FileTransmitters(files, filter)
    return LiveTransmitters(names, filter, max_transmitters, idle_s)


class LiveTransmitters(Session):
    """Heard from `with` on; `transmitters()` tells who so far, also after the end."""

    probe = "wifi"

    def __init__(self, names: Sequence[str], expression: str, max_transmitters: int, idle_s: float) -> None:
        self._meters = _Meters(names, expression, max_transmitters)
        super().__init__(self._meters)
        self.idle_s = idle_s

    def transmitters(self) -> list[Transmitter]:
        """By interface, those with most frames first.

        What was heard belongs to the name of an interface, and goes on when one of that name comes back.
        """
        with self._lock:
            if self.idle_s:
                self._meters.forget(int(self.idle_s * 1e9))
            heard = self._meters.heard()
        return [each for name, (entries, rates) in heard.items() for each in _records(name, entries, rates)]

    @property
    def listening(self) -> list[str]:
        """The names of the interfaces that are listened to now."""
        with self._lock:
            return [interface.name for interface, _ in self._meters]

    @property
    def missed(self) -> dict[str, int]:
        """Frames that are in no transmitter's numbers, by reason; `rates_full`: in all but those of rates."""
        return _chosen(self.outcomes)

    @property
    def outcomes(self) -> dict[str, int]:
        """What became of all frames: "counted", "damaged" (and of no known transmitter), or missed."""
        with self._lock:
            return self._meters.outcomes()

    def _programs(self) -> Iterator[AttachedProgram]:
        return ((interface.name, "in", meter.program) for interface, meter in self._meters)


class _Meters(Follower[MonitorMeter]):
    """A meter for each interface, and what those heard that are no more."""

    doing = "listened to"

    def __init__(self, names: Sequence[str], expression: str, max_transmitters: int) -> None:
        super().__init__(names)
        self.max_transmitters = max_transmitters
        self._ended: dict[str, tuple[Entries, Rates]] = {}
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._compiled = cache(lambda link_type: compile_filter(expression, link_type))
        self._compiled(IEEE80211_RADIOTAP)  # what is wrong is wrong without any interface

    def begin(self, interface: Interface) -> MonitorMeter:
        link_type = link_type_of(interface)
        if link_type not in _LINK_TYPES:
            raise NotSupported(
                f"{interface.name} is not in monitor mode (ARPHRD {interface.hardware}, linux/if_arp.h): "
                f"iw dev {interface.name} interface add mon0 type monitor && ip link set mon0 up"
            )
        return MonitorMeter(interface, link_type, self._compiled(link_type), self.max_transmitters)

    def end(self, interface: Interface, held: MonitorMeter) -> None:
        entries, rates = self._ended.setdefault(interface.name, ([], []))
        more_entries, more_rates = held.read()
        entries += more_entries
        rates += more_rates
        for outcome, frames in held.outcomes().items():
            self._outcomes[outcome] += frames
        held.close()

    def readable(self, interface: Interface) -> bool:
        return link_type_of(interface) in _LINK_TYPES

    def heard(self) -> dict[str, tuple[Entries, Rates]]:
        """What was heard so far, by the interface's name."""
        heard = {name: (list(entries), list(rates)) for name, (entries, rates) in self._ended.items()}
        for interface, meter in self:
            entries, rates = heard.setdefault(interface.name, ([], []))
            more_entries, more_rates = meter.read()
            entries += more_entries
            rates += more_rates
        return heard

    def outcomes(self) -> dict[str, int]:
        """What became of the frames of all interfaces."""
        sums = dict(self._outcomes)
        for _, meter in self:
            for outcome, frames in meter.outcomes().items():
                sums[outcome] += frames
        return sums

    def forget(self, idle_ns: int) -> None:
        """Drop the transmitters that were not heard for so long."""
        for _, meter in self:
            meter.forget(idle_ns)


class FileTransmitters:
    """Heard in capture files; the numbers are those that an interface would have given."""

    def __init__(self, files: Sequence[Source], expression: str) -> None:
        self.files = files
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self._read: list[Transmitter] | None = None
        self._compiled = cache(lambda link_type: compile_filter(expression, link_type))
        self._compiled(IEEE80211_RADIOTAP)  # what is wrong is wrong without any file
        if _ASKS_INTERFACE.search(expression):
            raise UsageError(f"`{expression}` asks for an interface, which capture files do not tell")

    def transmitters(self) -> list[Transmitter]:
        """File by file, those with most frames first.

        Raises CaptureError where a file is broken; asked again, it gives what stood before that place.
        """
        if self._read is None:
            self._read, problem = [], None
            for file in self.files:
                problem = self._file(file, self._read) or problem
            if problem:
                raise problem
        return self._read

    @property
    def missed(self) -> dict[str, int]:
        """As of LiveTransmitters."""
        return _chosen(self.outcomes)

    def _file(self, file: Source, read: list[Transmitter]) -> MeshlensError | None:
        table = MonitorTable()
        problem: MeshlensError | None = None
        with read_capture(file) as reader:
            try:
                for frame in reader:
                    compiled = self._compiled(frame.link_type) if frame.link_type in _LINK_TYPES else None
                    direction = _DIRECTIONS[frame.direction]
                    if compiled and not compiled.match(frame.data, frame.wire_length, direction=direction):
                        continue
                    table.add(frame.data, frame.wire_length, frame.link_type, frame.timestamp_ns)
            except UsageError as error:
                problem = UsageError(f"{reader.name}: {error}")
            except CaptureError as error:
                problem = error
            read += records(reader.name, table.entries, table.rates)
        for outcome, frames in table.outcomes.items():
            self.outcomes[outcome] += frames
        return problem


def _records(name: str, entries: Entries, rates: Rates) -> list[Transmitter]:
    return records(name, join(entries), join_rates(rates))


def _chosen(outcomes: dict[str, int]) -> dict[str, int]:
    return {reason: outcomes[reason] for reason in _MISSED}
