"""Stations of Wi-Fi interfaces, live: nl80211, the hooks in mac80211, Minstrel and the survey together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from threading import Event, RLock
from types import TracebackType
from typing import Any, Final, Self

from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.probes.cost import ProbeCost
from meshlens.probes.interfaces import matches
from meshlens.wifi.hooks.record import HookedStation
from meshlens.wifi.joined.columns import (
    NOTHING_HEARD,
    NOTHING_SENT,
    Columns,
    airtimes,
    of_heard,
    of_interface,
    of_minstrel,
    of_nl80211,
    of_sent,
    of_survey,
)
from meshlens.wifi.joined.join import join
from meshlens.wifi.joined.record import Source, WifiStation
from meshlens.wifi.minstrel.record import MinstrelTable
from meshlens.wifi.netlink.interfaces import WifiInterface, wifi_interfaces
from meshlens.wifi.netlink.nl80211 import Nl80211
from meshlens.wifi.netlink.stations import StationInfo, station_infos
from meshlens.wifi.netlink.survey import ChannelSurvey, channel_surveys

__all__ = ["WifiStations", "wifi_stations"]

_GLOB: Final = frozenset("*?[")

#: Interface and address.
_Key = tuple[str, str]


def wifi_stations(
    interfaces: str | Sequence[str] = (),
    *,
    hooks: bool = True,
    minstrel: bool = True,
    max_stations: int = 512,
) -> "WifiStations":
    """The stations of Wi-Fi `interfaces` (names and globs; none: all), with all that is known of each.

        with meshlens.wifi_stations("wlan0") as session:
            session.wait(10)
            for each in session.stations():
                print(each.mac, each.tx_frames, each.loss_ratio, each.signal_mean_dbm, each.sources)

    Without `hooks` no program watches mac80211, without `minstrel` none reads its rate control: then nl80211
    tells what it can, which needs no privileges. Where they cannot run (firmware that does all by itself, a
    kernel without BTF), `absent` says why, and nl80211 goes on. `max_stations` is the room in the kernel.

    Entering raises NotSupported without nl80211, and if none of the interfaces named can have stations.
    """
    if max_stations < 1:
        raise UsageError("max_stations has to be more than 0")
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    return WifiStations(names, hooks=hooks, minstrel=minstrel, max_stations=max_stations)


class WifiStations:
    """Watched from `with` on; `stations()` tells how things stand, also after the end."""

    probe = "wifi"

    def __init__(
        self, names: Sequence[str] = (), *, hooks: bool = True, minstrel: bool = True, max_stations: int = 512
    ) -> None:
        self.names, self.max_stations = tuple(names), max_stations
        self.absent: dict[Source, str] = {}
        """Sources that are not there, and why."""
        self._wanted: dict[str, bool] = {"hooks": hooks, "minstrel": minstrel}
        self._hooks: Any = None
        self._minstrel: Any = None
        self._nl80211: Nl80211 | None = None
        self._wifi_names: list[str] = []
        self._stack = ExitStack()
        self._lock = RLock()
        self._woken = Event()
        self._last: list[WifiStation] = []
        self._last_costs: list[ProbeCost] = []
        self._last_missed: dict[str, int] = {}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._nl80211 = undo.enter_context(Nl80211())
            self._wifi_names = self._check_names(wifi_interfaces(self._nl80211))
            self._hooks = self._source(undo, "hooks", ("tx-status", "rx"))
            self._minstrel = self._source(undo, "minstrel", ("minstrel",))
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach; what was seen can still be asked for."""
        with self._lock:
            if self._nl80211 is None:
                return
            self._last, self._last_costs, self._last_missed = self.stations(), self.costs(), self.missed
            self._nl80211 = None
            self._stack.close()
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Let the time pass; `wake()` and `close()` end it early."""
        if self._hooks is not None:
            self._hooks.wait(seconds)
        else:
            self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End a `wait()`: from another thread, or from a signal handler."""
        self._woken.set()
        if self._hooks is not None:
            self._hooks.wake()

    def stations(self) -> list[WifiStation]:
        """All that are there now, by interface and address."""
        with self._lock:
            if self._nl80211 is None:
                return self._last
            hooked = self._hooked()
            tables = self._tables()
            return [
                self._join(interface, info, hooked.get(key), tables.get(key), surveys)
                for interface in self._interfaces()
                for surveys in [channel_surveys(self._nl80211, interface.name, interface.index)]
                for info in station_infos(self._nl80211, interface.name, interface.index)
                for key in [(interface.name, info.mac)]
            ]

    @property
    def missed(self) -> dict[str, int]:
        """What the hooks could not count, by reason; tables of Minstrel that found no room."""
        with self._lock:
            if self._nl80211 is None:
                return self._last_missed
            missed = dict(self._hooks.missed) if self._hooks is not None else {}
            if self._minstrel is not None:
                missed |= {f"minstrel_{name}": number for name, number in self._minstrel.missed.items()}
            return missed

    def costs(self) -> list[ProbeCost]:
        """What the programs cost."""
        with self._lock:
            if self._nl80211 is None:
                return self._last_costs
            return [
                cost for each in (self._hooks, self._minstrel) if each is not None for cost in each.costs()
            ]

    def _interfaces(self) -> Iterator[WifiInterface]:
        """Those that are wanted and can have stations."""
        assert self._nl80211
        for each in wifi_interfaces(self._nl80211):
            if each.kind != "monitor" and (not self.names or matches(each.name, self.names)):
                yield each

    def _check_names(self, there: Sequence[WifiInterface]) -> list[str]:
        """Those of the names that are of Wi-Fi, and globs. Raises NotSupported if there is no such name."""
        stations = [each.name for each in there if each.kind != "monitor"]
        names = [name for name in self.names if name in stations or _GLOB & set(name)]
        if self.names and not names:
            listed = f"there are {', '.join(stations)}" if stations else "there is none"
            raise NotSupported(
                f"{', '.join(self.names)}: no Wi-Fi interface that can be in a network; {listed}"
            )
        return names

    def _source(self, undo: ExitStack, name: str, tells: Sequence[Source]) -> Any:
        """The session of a source within `undo`; None, and a reason in `absent`, where it cannot run."""
        if not self._wanted[name]:
            self.absent |= dict.fromkeys(tells, f"not asked for ({name})")
            return None
        try:
            return undo.enter_context(_OPENERS[name](self._wifi_names, self.max_stations))
        except MeshlensError as error:
            self.absent |= dict.fromkeys(tells, str(error))
            return None

    def _hooked(self) -> Mapping[_Key, HookedStation]:
        if self._hooks is None:
            return {}
        return {(each.interface, each.mac): each for each in self._hooks.stations()}

    def _tables(self) -> Mapping[_Key, MinstrelTable]:
        if self._minstrel is None:
            return {}
        return {(each.interface, each.mac): each for each in self._minstrel.tables()}

    def _join(
        self,
        interface: WifiInterface,
        info: StationInfo,
        hooked: HookedStation | None,
        table: MinstrelTable | None,
        surveys: Sequence[ChannelSurvey],
    ) -> WifiStation:
        told: dict[Source, Columns] = {}
        if hooked:
            told["computed"] = airtimes(hooked, interface.frequency_mhz)
        told["nl80211"] = of_nl80211(info)
        told["survey"] = of_survey(surveys, interface.frequency_mhz)
        if table:
            told["minstrel"] = of_minstrel(table)
        if self._hooks is not None:
            told["tx-status"] = of_sent(hooked) if hooked else NOTHING_SENT
            told["rx"] = of_heard(hooked) if hooked else NOTHING_HEARD
        return join(interface.name, info.mac, told, of_interface(interface, info.mac), self.absent)


def _open_hooks(names: Sequence[str], max_stations: int) -> Any:
    from meshlens.wifi.hooks.session import hooked_stations

    return hooked_stations(names, max_stations=max_stations)


def _open_minstrel(_: Sequence[str], max_stations: int) -> Any:
    from meshlens.wifi.minstrel.session import minstrel_tables

    return minstrel_tables(max_stations=max_stations)


_OPENERS: Final = {"hooks": _open_hooks, "minstrel": _open_minstrel}
