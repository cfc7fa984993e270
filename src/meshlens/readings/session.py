"""All probes together on the same interfaces: what `top` shows and `serve` gives out."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Final, Self

from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.filters.lists import FilterList, load_list
from meshlens.probes.interfaces import InterfaceWatch
from meshlens.readings.probes import EVERYWHERE, OPENERS, PROBES, Part, Probe, ProbeName, Wanted
from meshlens.readings.reading import Reading

__all__ = ["EVERYWHERE", "PROBES", "Monitor", "ProbeName", "monitor"]

_TICK_S: Final = 1.0

Openers = Mapping[ProbeName, Callable[[Wanted], Probe]]


def monitor(
    interfaces: str | Sequence[str] = (),
    probes: Collection[ProbeName] | None = None,
    *,
    filters: FilterList | str | Path | None = None,
    filter: str = "",
    options: Mapping[ProbeName, Mapping[str, Any]] | None = None,
    lenient: bool = False,
) -> "Monitor":
    """Run probes together on all `interfaces` named or matched by a glob; without any, on all that are up.

        with meshlens.monitor("wlan*") as session:
            session.wait(10)
            for station in session.read().stations:
                print(station.mac, station.bytes)

    `probes`: those to run, by default "interfaces", "stations", "flows", and "count" if there are `filters`
    (a list, or the path of its file); "wifi" has the stations of Wi-Fi interfaces, "transmitters" those heard
    on monitor interfaces; "classify" says what stations or flows are, by the model in its options. `filter`
    is a tcpdump expression for stations and flows. `options` are further arguments of the functions of the
    probes' names, as in `{"flows": {"idle_s": 60}}`; those of "classify" are of `meshlens.verdicts`.

    Raises UsageError for a list that cannot be read and for a probe that does not exist. Entering raises what
    entering the single sessions does: a probe that this kernel does not support is an error, unless
    `lenient`; then `absent` says why it is not there.
    """
    names = (interfaces,) if isinstance(interfaces, str) else tuple(interfaces)
    listed = filters if isinstance(filters, FilterList) or filters is None else load_list(filters)
    chosen = probes if probes is not None else [each for each in EVERYWHERE if listed or each != "count"]
    return Monitor(names, chosen, filters=listed, filter=filter, options=options, lenient=lenient)


class Monitor:
    """Probes from `with` on; `read()` tells what they know, also after the end.

    Interfaces are followed in `wait()`; `read()` and `wake()` may be called from other threads meanwhile.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        probes: Collection[ProbeName],
        *,
        filters: FilterList | None = None,
        filter: str = "",
        options: Mapping[ProbeName, Mapping[str, Any]] | None = None,
        lenient: bool = False,
        openers: Openers | None = None,
    ) -> None:
        openers = openers or OPENERS
        self.absent: dict[str, str] = {}
        """Probes that could not be started, and why; only where `lenient`."""
        self._lenient = lenient
        self._lock = RLock()
        self._watch: InterfaceWatch | None = None
        self._woken = False
        self._probes: dict[ProbeName, Probe] = {}
        self._stack = ExitStack()
        for unknown in set(probes) - set(openers):
            raise UsageError(f"no probe {unknown!r}; there are {', '.join(openers)}")
        for name in [each for each in openers if each in probes]:
            wanted = Wanted(tuple(interfaces), filter, filters, (options or {}).get(name, {}))
            self._probes[name] = openers[name](wanted)

    def __enter__(self) -> Self:
        with self._stack as undo:
            self._watch = InterfaceWatch()
            undo.callback(self._watch.close)
            for name, probe in list(self._probes.items()):
                try:
                    undo.enter_context(probe.session)
                except NotSupported as error:
                    if not self._lenient:
                        raise type(error)(f"the probe {name!r} cannot run here: {error}") from error
                    self.absent[name] = str(error)
                    del self._probes[name]
            if not self._probes and self.absent:
                raise NotSupported(f"no probe can run here: {next(iter(self.absent.values()))}")
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach everything. `read()` goes on telling what was seen."""
        with self._lock:
            self._stack.close()
            self._watch = None

    @property
    def probes(self) -> tuple[ProbeName, ...]:
        """The probes that run."""
        return tuple(self._probes)

    def read(self) -> Reading:
        """What all probes know now. Flows that have ended are told once."""
        with self._lock:
            return self._reading([probe.read() for probe in self._probes.values()])

    def finish(self) -> Reading:
        """Detach everything; the last reading, in which all flows have ended."""
        with self._lock:
            last = self._reading([probe.finish() for probe in self._probes.values()])
            self.close()
            return last

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long; `wake()` ends it early."""
        watch = self._watch
        assert watch, "within `with` only"
        deadline = time.monotonic() + seconds
        while not self._woken and (left := deadline - time.monotonic()) > 0:
            watch.wait(min(left, _TICK_S))
            with self._lock:
                for probe in self._probes.values():
                    probe.tick()
        self._woken = False

    def wake(self) -> None:
        """End a `wait()`: from another thread, or from a signal handler."""
        self._woken = True
        if self._watch:
            self._watch.wake()

    def reload(self, filters: FilterList) -> None:
        """Go on with another list of filters. Those whose id stays keep their counts.

        Raises UsageError if it cannot be compiled, or if the probe "count" does not run; the list before then
        stays in force.
        """
        if "count" not in self._probes:
            raise MeshlensError("the probe 'count' does not run: there is no list to be replaced")
        with self._lock:
            self._probes["count"].session.reload(filters)

    def _reading(self, parts: Iterable[Part]) -> Reading:
        whole: Part = {}
        for part in parts:
            whole |= part
        missed = {str(name): probe.missed() for name, probe in self._probes.items()}
        costs = tuple(each for probe in self._probes.values() for each in probe.session.costs())
        return Reading(time.time_ns(), **whole, missed=missed, costs=costs)
