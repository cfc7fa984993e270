"""Flows of interfaces or of capture files: what two ends sent each other."""

import os
from collections.abc import Sequence
from typing import BinaryIO, overload

from meshlens.errors import UsageError
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.flows.files import FileFlows
from meshlens.probes.flows.layout import MAX_HEAD
from meshlens.probes.flows.live import LiveFlows
from meshlens.probes.flows.maps import FlowOptions
from meshlens.probes.flows.record import Ended, Flow
from meshlens.probes.flows.stream import FlowStream, to_pandas, to_parquet

__all__ = ["Ended", "FileFlows", "Flow", "FlowStream", "LiveFlows", "flows", "to_pandas", "to_parquet"]

Source = str | os.PathLike[str] | BinaryIO


@overload
def flows(
    interfaces: str | Sequence[str] = ...,
    *,
    filter: str = ...,
    attach: AttachMode = ...,
    idle_s: float = ...,
    active_s: float = ...,
    head: int = ...,
    max_flows: int = ...,
    duration_s: float | None = ...,
) -> LiveFlows: ...


@overload
def flows(
    *,
    read: Source | Sequence[Source],
    filter: str = ...,
    idle_s: float = ...,
    active_s: float = ...,
    head: int = ...,
) -> FileFlows: ...


def flows(
    interfaces: str | Sequence[str] = (),
    *,
    read: Source | Sequence[Source] = (),
    filter: str = "",
    attach: AttachMode = "auto",
    idle_s: float = 15,
    active_s: float = 1800,
    head: int = 8,
    max_flows: int = 16_384,
    duration_s: float | None = None,
) -> LiveFlows | FileFlows:
    """The flows on `interfaces`, or in the capture files `read`, as they end.

        for flow in meshlens.flows("eth0", filter="tcp"):
            print(flow.src, flow.dst, flow.bytes)

        meshlens.flows(read="monday.pcap").to_parquet("monday.parquet")

    `interfaces` are names and globs like "wlan*"; none: all that are up. They are followed as they come, go
    and return. `attach` is where the programs are: at tc ("auto"), XDP, or as a packet socket's filter.

    `filter` is a tcpdump expression; it runs in the kernel. A flow ends when no packet came for `idle_s`
    seconds. It is reported and begun anew when a period of `active_s` seconds is over; periods count from
    the epoch, so 1800 means at every full and half hour; 0: never. Of the first `head` packets (at most 64)
    sizes, ways and gaps are kept. `max_flows` is the room in the kernel for each interface, 320 bytes a flow;
    a packet that finds none is counted in `missed`.

    Raises UsageError for a filter that cannot be compiled. Iterating over interfaces, or entering them by
    `with`, raises UsageError for one that is not there, PermissionDenied without CAP_BPF, CAP_NET_ADMIN and
    CAP_PERFMON (for sockets CAP_NET_RAW as well), NotSupported where the kernel or driver lacks what it
    takes. Iterating over files raises CaptureError.
    """
    if not 0 <= head <= MAX_HEAD:
        raise UsageError(f"head: 0 to {MAX_HEAD} packets can be kept, not {head}")
    if not idle_s > 0 or active_s < 0 or max_flows < 1:
        raise UsageError("idle_s and max_flows have to be more than 0, active_s at least 0")
    options = FlowOptions(int(idle_s * 1e9), int(active_s * 1e9), head, max_flows)
    files = list(read) if isinstance(read, Sequence) and not isinstance(read, str) else [read]
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    if files and (names or duration_s is not None):
        raise UsageError("capture files have neither interfaces nor a duration: give `read` alone")
    if files:
        return FileFlows(files, filter, options)
    return LiveFlows(names, filter, options, duration_s, attach)
