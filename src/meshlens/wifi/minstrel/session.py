"""Minstrel's tables, from a kernel in which it runs."""

import contextlib
import os
import sys
from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Final, Self

from meshlens.ebpf import Program
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, attach_trace
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied, UsageError
from meshlens.probes.reading import ProbeCost
from meshlens.probes.session import probe_costs
from meshlens.wifi.minstrel.dump import dump_stations
from meshlens.wifi.minstrel.layout import Layout
from meshlens.wifi.minstrel.program import FUNCTION, HEAD, copying, read_head, read_key
from meshlens.wifi.minstrel.record import MinstrelTable, NoTable

__all__ = ["MinstrelTables", "minstrel_tables"]

HOOKS: Final[tuple[Hook, ...]] = ("fentry", "kprobe")
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
    """Asked within `with`; each `tables()` is what the kernel has at that moment.

    The program is attached by the first of the kinds of probes `hooks` that the kernel has.
    """

    def __init__(self, names: Sequence[str], max_stations: int, hooks: Sequence[Hook] = HOOKS) -> None:
        self.names, self.max_stations, self.hooks = tuple(names), max_stations, tuple(hooks)
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
        full = self._full()
        stations = dump_stations(self.names)  # for each of them the kernel runs our program
        found: dict[tuple[int, bytes], MinstrelTable] = {}
        for key, value in tables.items():
            of = read_key(key)
            station = of.ifindex, of.mac
            if of.namespace == self._namespace and station in stations:
                interface, raw = read_head(value).interface, value[HEAD.size :]
                found[station] = self._layout.table(interface, of.mac.hex(":"), raw)
        reason = _NOT_MINSTREL if self._full() == full else f"max_stations={self.max_stations} are too few"
        self.without = [
            NoTable(name, mac.hex(":"), reason)
            for (index, mac), name in sorted(stations.items())
            if (index, mac) not in found
        ]
        return sorted(found.values(), key=lambda each: (each.interface, each.mac))

    @property
    def missed(self) -> dict[str, int]:
        """Tables that found no room, by reason."""
        return {"stations_full": self._full()}

    def costs(self) -> list[ProbeCost]:
        """What the program costs."""
        return probe_costs("minstrel", [("", "", self._program)])

    def _full(self) -> int:
        return int.from_bytes(self._program.maps["missed"].lookup(0) or b"", sys.byteorder)

    def _attach(self, function: Function, closing: contextlib.ExitStack) -> Program:
        """The program, where mac80211 asks Minstrel."""
        refusals = []
        for hook in self.hooks:
            spec = copying(hook, function, self._layout.size, self.max_stations)
            try:
                with contextlib.ExitStack() as trying:
                    program = trying.enter_context(spec.load())
                    self.hook = trying.enter_context(attach_trace(program)).hook
                    closing.push(trying.pop_all())
                    return program
            except PermissionDenied:
                raise
            except MeshlensError as error:
                refusals.append(str(error))
        raise NotSupported(f"cannot watch {FUNCTION}: {'; '.join(refusals)}")


def _types() -> KernelTypes:
    """Those of the module mac80211, or of a kernel that it is built into. Raises NotSupported."""
    try:
        return KernelTypes("mac80211")
    except NotSupported as error:
        try:
            types = KernelTypes()
            types.function(FUNCTION)
        except NotSupported:
            raise NotSupported(f"no rate control by mac80211: {error}") from None
        return types
