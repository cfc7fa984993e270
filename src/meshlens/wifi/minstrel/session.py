"""Minstrel's tables, from a kernel in which it runs."""

import contextlib
import os
import sys
from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from meshlens.ebpf import Program
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, attach_trace
from meshlens.errors import NotSupported, UsageError
from meshlens.probes.reading import ProbeCost
from meshlens.probes.session import probe_costs
from meshlens.wifi.minstrel.layout import Layout
from meshlens.wifi.minstrel.program import FUNCTION, HEAD, copying, read_head, read_key
from meshlens.wifi.minstrel.record import MinstrelTable, NoTable

__all__ = ["MinstrelTables", "minstrel_tables"]

_HOOKS: Final[tuple[Hook, ...]] = ("fentry", "kprobe")
_NOT_MINSTREL: Final = "mac80211 does not choose its rates: the driver or its firmware does"


def minstrel_tables(interfaces: str | Sequence[str] = (), *, max_stations: int = 128) -> "MinstrelTables":
    """What Minstrel-HT, the rate control of mac80211, knows of each station.

        with meshlens.minstrel_tables("wlan0") as session:
            for table in session.tables():
                for each in table.rates:
                    print(table.mac, each.rate, each.attempts, each.probability, each.throughput_mbps)

    `interfaces`: none are all of this network namespace. `max_stations` is the room in the kernel, 11 KiB
    each.

    Entering the session raises NotSupported where mac80211 is not loaded or its Minstrel is one that is not
    known, PermissionDenied without CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN.
    """
    if max_stations < 1:
        raise UsageError("max_stations has to be more than 0")
    return MinstrelTables([interfaces] if isinstance(interfaces, str) else list(interfaces), max_stations)


class MinstrelTables:
    """Asked within `with`; each `tables()` is what the kernel has at that moment."""

    def __init__(self, names: Sequence[str], max_stations: int) -> None:
        self.names, self.max_stations = tuple(names), max_stations
        #: Stations of the last `tables()` that have none: those whose rates the driver or firmware chooses.
        self.without: list[NoTable] = []
        #: How the program is attached, as in "fentry minstrel_ht_get_expected_throughput".
        self.hook = ""
        self._closing = contextlib.ExitStack()
        self._lock = Lock()

    def __enter__(self) -> Self:
        types = _types()
        function = types.function(FUNCTION)
        self._layout = Layout(function.btf)
        with contextlib.ExitStack() as closing:
            self._program = self._attach(function, closing)
            self._namespace = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
            self._nl80211 = closing.enter_context(_nl80211())
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach."""
        self._closing.close()

    def tables(self) -> list[MinstrelTable]:
        """The table of each station, by interface and address; `without` then has the other stations."""
        with self._lock:
            return self._tables()

    def _tables(self) -> list[MinstrelTable]:
        tables = self._program.maps["tables"]
        for key in list(tables.keys()):
            tables.delete(key)
        stations = self._dump()
        found: dict[tuple[int, bytes], MinstrelTable] = {}
        for key, value in tables.items():
            of = read_key(key)
            station = of.ifindex, of.mac
            if of.namespace == self._namespace and station in stations:
                interface, raw = read_head(value).interface, value[HEAD.size :]
                found[station] = self._layout.table(interface, of.mac.hex(":"), raw)
        self.without = [
            NoTable(name, mac.hex(":"), _NOT_MINSTREL)
            for (index, mac), name in sorted(stations.items())
            if (index, mac) not in found
        ]
        return sorted(found.values(), key=lambda each: (each.interface, each.mac))

    @property
    def missed(self) -> dict[str, int]:
        """Tables that found no room, by reason."""
        value = self._program.maps["missed"].lookup(0) or bytes(8)
        return {"stations_full": int.from_bytes(value, sys.byteorder)}

    def costs(self) -> list[ProbeCost]:
        """What the program costs."""
        return probe_costs("minstrel", [("", "", self._program)])

    def _attach(self, function: Function, closing: contextlib.ExitStack) -> Program:
        """The program, by the first kind of probe that the kernel has."""
        for hook in _HOOKS:
            spec = copying(hook, function, self._layout.size, self.max_stations)
            try:
                with contextlib.ExitStack() as trying:
                    program = trying.enter_context(spec.load())
                    self.hook = trying.enter_context(attach_trace(program)).hook
                    closing.push(trying.pop_all())
                    return program
            except NotSupported as error:
                last = error
        raise last

    def _dump(self) -> dict[tuple[int, bytes], str]:
        """All stations, by interface and address, with the interface's name. The kernel runs our program."""
        from pyroute2.netlink.exceptions import NetlinkError

        stations = {}
        for index, name in self._interfaces():
            with contextlib.suppress(NetlinkError):  # it went, or is of a kind that has no stations
                for message in self._nl80211.get_stations(index):
                    mac = bytes.fromhex(message.get_attr("NL80211_ATTR_MAC").replace(":", ""))
                    stations[index, mac] = name
        return stations

    def _interfaces(self) -> list[tuple[int, str]]:
        """The wireless interfaces that are wanted. Raises UsageError for one that is not there."""
        wanted = [
            (message.get_attr("NL80211_ATTR_IFINDEX"), message.get_attr("NL80211_ATTR_IFNAME"))
            for message in self._nl80211.get_interfaces_dump()
        ]
        there = {name: (index, name) for index, name in wanted if name}
        for name in self.names:
            if name not in there:
                raise UsageError(
                    f"no wireless interface {name!r}; there are {', '.join(sorted(there)) or 'none'}"
                )
        return [there[name] for name in self.names or sorted(there)]


def _types() -> KernelTypes:
    """Those of the module mac80211, or of a kernel that it is built into. Raises NotSupported."""
    try:
        return KernelTypes("mac80211")
    except NotSupported as error:
        types = KernelTypes()
        try:
            types.function(FUNCTION)
        except NotSupported:
            raise NotSupported(f"no rate control by mac80211: {error}") from None
        return types


def _nl80211() -> Any:
    from pyroute2.iwutil import IW
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        return IW()
    except (NetlinkError, OSError):
        raise NotSupported(
            "cannot ask for stations: this kernel has no nl80211 (no wireless driver)"
        ) from None
