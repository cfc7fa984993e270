"""The probes that a monitor runs together: how each is opened, and which part of a reading it gives."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypedDict

from meshlens.errors import UsageError
from meshlens.filters.lists import FilterList
from meshlens.probes.classified import ClassCount, Classified
from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count
from meshlens.probes.stations.record import Station
from meshlens.probes.traffic.record import InterfaceTraffic
from meshlens.wifi.joined.record import WifiStation
from meshlens.wifi.monitor.record import Transmitter

__all__ = ["EVERYWHERE", "OPENERS", "PROBES", "Part", "Probe", "ProbeName", "Session", "Wanted"]

ProbeName = Literal["interfaces", "stations", "flows", "count", "wifi", "transmitters", "classify"]

#: Long enough to notice an event that is there, short enough not to be felt.
_TICK_S: Final = 0.001
#: Looking at all flows that go on takes milliseconds for each thousand of them.
_POLL_S: Final = 6.0


class Part(TypedDict, total=False):
    """Fields of a Reading."""

    interfaces: tuple[InterfaceTraffic, ...]
    stations: tuple[Station, ...]
    flows: tuple[Flow, ...]
    ended: tuple[Flow, ...]
    counts: tuple[Count, ...]
    wifi: tuple[WifiStation, ...]
    transmitters: tuple[Transmitter, ...]
    verdicts: tuple[Classified, ...]
    classes: tuple[ClassCount, ...]


class Session(AbstractContextManager[Any], Protocol):
    """What all sessions of probes have in common."""

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long."""

    def costs(self) -> list[ProbeCost]:
        """What its programs cost."""

    def close(self) -> None:
        """Detach; what was seen can still be asked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a monitor is to look at; `options` are further arguments of the probe's own function."""

    interfaces: tuple[str, ...] = ()
    filter: str = ""
    filters: FilterList | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Probe(ABC):
    """A session, and what it says at one moment."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def tick(self) -> None:
        """Follow the interfaces, and do what has to be done about once a second."""
        self.session.wait(_TICK_S)

    def missed(self) -> dict[str, int]:
        """Packets it could not count, by reason."""
        return dict(self.session.missed)

    @abstractmethod
    def read(self) -> Part:
        """What is known now."""

    def finish(self) -> Part:
        """Detach; what is known at last."""
        self.session.close()
        return self.read()


class _Interfaces(Probe):
    def read(self) -> Part:
        return {"interfaces": tuple(self.session.interfaces())}


class _Stations(Probe):
    def read(self) -> Part:
        return {"stations": tuple(self.session.stations())}


class _Flows(Probe):
    """Flows that have ended are fetched also between readings that are far apart: they leave room then."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self._ended: list[Flow] = []
        self._due_s = 0.0

    def tick(self) -> None:
        super().tick()
        if time.monotonic() >= self._due_s:
            self._ended += self._poll()

    def read(self) -> Part:
        ended, self._ended = (*self._ended, *self._poll()), []
        return {"flows": tuple(self.session.ongoing()), "ended": ended}

    def _poll(self) -> list[Flow]:
        self._due_s = time.monotonic() + _POLL_S
        return list(self.session.poll())

    def finish(self) -> Part:
        return {"flows": (), "ended": (*self._ended, *self.session.finish())}


class _Count(Probe):
    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self._missed: dict[str, int] = {}

    def missed(self) -> dict[str, int]:
        return self._missed

    def read(self) -> Part:
        snapshot = self.session.snapshot()
        self._missed = snapshot.missed
        return {"counts": snapshot.counts}


class _Wifi(Probe):
    """What is known of stations takes asking the kernel for each: a reading does, a tick does not."""

    def read(self) -> Part:
        return {"wifi": tuple(self.session.stations())}


class _Transmitters(Probe):
    def read(self) -> Part:
        return {"transmitters": tuple(self.session.transmitters())}


class _Classify(Probe):
    def read(self) -> Part:
        return {"verdicts": tuple(self.session.verdicts()), "classes": tuple(self.session.counts())}


def _open_interfaces(wanted: Wanted) -> Probe:
    from meshlens.probes.traffic.session import interfaces

    return _Interfaces(interfaces(wanted.interfaces, **wanted.options))


def _open_stations(wanted: Wanted) -> Probe:
    from meshlens.probes.stations.session import stations

    return _Stations(stations(wanted.interfaces, filter=wanted.filter, **wanted.options))


def _open_flows(wanted: Wanted) -> Probe:
    from meshlens.probes.flows.session import flows

    return _Flows(flows(wanted.interfaces, filter=wanted.filter, **wanted.options))


def _open_count(wanted: Wanted) -> Probe:
    from meshlens.probes.count.session import count

    if wanted.filters is None:
        raise UsageError("the probe 'count' counts by filters: give some, or leave it out")
    return _Count(count(wanted.filters, wanted.interfaces, **wanted.options))


def _open_wifi(wanted: Wanted) -> Probe:
    from meshlens.wifi.joined.session import wifi_stations

    return _Wifi(wifi_stations(wanted.interfaces, **wanted.options))


def _open_transmitters(wanted: Wanted) -> Probe:
    from meshlens.wifi.monitor.session import transmitters

    return _Transmitters(transmitters(wanted.interfaces, **wanted.options))


def _open_classify(wanted: Wanted) -> Probe:
    from meshlens.classify.kernel.session import verdicts

    if "model" not in wanted.options:
        raise UsageError("the probe 'classify' classifies by a model: give one, or leave it out")
    return _Classify(verdicts(interfaces=wanted.interfaces, **wanted.options))


#: Opening compiles what is needed; entering the probe's session attaches it.
OPENERS: Final[dict[ProbeName, Callable[[Wanted], Probe]]] = {
    "interfaces": _open_interfaces,
    "stations": _open_stations,
    "flows": _open_flows,
    "count": _open_count,
    "wifi": _open_wifi,
    "transmitters": _open_transmitters,
    "classify": _open_classify,
}
PROBES: Final = tuple(OPENERS)
#: Those that any interface will do for; "count" takes filters besides, "classify" a model, the others Wi-Fi.
EVERYWHERE: Final[tuple[ProbeName, ...]] = ("interfaces", "stations", "flows", "count")
