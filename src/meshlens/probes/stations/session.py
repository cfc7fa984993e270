"""Stations on interfaces or in capture files: who is there, what it sends and receives, what it is."""

import os
from collections.abc import Sequence
from typing import BinaryIO, overload

from meshlens.errors import UsageError
from meshlens.probes.count.plan import HOOK_MODES, HookMode
from meshlens.probes.stations.files import FileStations
from meshlens.probes.stations.live import StationSession

__all__ = ["FileStations", "StationSession", "stations"]

Source = str | os.PathLike[str] | BinaryIO


@overload
def stations(
    interfaces: str | Sequence[str] = ...,
    *,
    filter: str = ...,
    attach: HookMode = ...,
    max_stations: int = ...,
    idle_s: float = ...,
) -> StationSession: ...


@overload
def stations(*, read: Source | Sequence[Source], filter: str = ...) -> FileStations: ...


def stations(
    interfaces: str | Sequence[str] = (),
    *,
    read: Source | Sequence[Source] = (),
    filter: str = "",
    attach: HookMode = "auto",
    max_stations: int = 4096,
    idle_s: float = 600,
) -> StationSession | FileStations:
    """The stations on `interfaces` (names and globs; none: all that are up), or in the capture files `read`.

        with meshlens.stations("wlan0") as session:
            session.wait(60)
            for station in session.stations():
                print(station.mac, station.name, station.bytes, station.protocols)

        meshlens.stations(read="monday.pcap").stations()

    A station is the source of frames that come in, the destination of those that go out. On an interface that
    carries batman-adv there are also the originators of its packets and the stations inside. `attach` is
    where the programs are: at tc ("auto") or XDP, natively or generic; XDP sees what comes in, so what goes
    out is counted at tc.

    `filter` is a tcpdump expression; it runs in the kernel. A station that sends and receives nothing for
    `idle_s` seconds is let go. `max_stations` is the room in the kernel for each interface, 1 KiB a station,
    counted for each kind and for each CPU that sees it; a packet that finds none is counted in `missed`.

    Raises UsageError for a filter that cannot be compiled. Entering the session raises UsageError for an
    interface that is not there, PermissionDenied without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, NotSupported
    where the kernel lacks what it takes. Reading files raises CaptureError.
    """
    if not idle_s > 0 or max_stations < 1:
        raise UsageError("idle_s and max_stations have to be more than 0")
    if attach not in HOOK_MODES:
        raise UsageError(f"attach: stations are counted at {', '.join(HOOK_MODES)}, not {attach!r}")
    files = list(read) if isinstance(read, Sequence) and not isinstance(read, str) else [read]
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    if files and names:
        raise UsageError("capture files have no interfaces: give `read` alone")
    if files:
        return FileStations(files, filter)
    return StationSession(names, filter, max_stations, idle_s, attach)
