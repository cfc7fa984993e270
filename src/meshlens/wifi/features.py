"""What there is of Wi-Fi's sources of statistics on this machine, found out by trying."""

from collections.abc import Callable, Iterator
from typing import Final

from meshlens.ebpf.features import Feature
from meshlens.ebpf.netlink import attributes
from meshlens.errors import MeshlensError, NotSupported
from meshlens.wifi.netlink.interfaces import KINDS
from meshlens.wifi.netlink.nl80211 import Attribute, Command, Nl80211

__all__ = ["HOOKS", "MINSTREL", "MONITOR", "NL80211", "wifi_features"]

NL80211: Final = "Wi-Fi: nl80211"
HOOKS: Final = "Wi-Fi: programs at mac80211's functions"
MINSTREL: Final = "Wi-Fi: tables of mac80211's rate control"
MONITOR: Final = "Wi-Fi: monitor interfaces"

_MONITOR_KIND: Final = KINDS.index("monitor")
_FEW: Final = 16


def wifi_features() -> Iterator[Feature]:
    """nl80211; if it is there, what else. Programs are attached for a moment."""
    try:
        Nl80211().close()
    except NotSupported:
        return  # no Wi-Fi at all, which nobody of a wired machine wants to be told
    yield Feature(NL80211, supported=True, why="")
    for name, probe in _PROBES.items():
        try:
            probe()
        except (MeshlensError, OSError) as error:
            yield Feature(name, supported=False, why=str(error))
        else:
            yield Feature(name, supported=True, why="")


def _hooks() -> None:
    from meshlens.wifi.hooks.attach import HookedPrograms

    HookedPrograms(_FEW).close()


def _minstrel() -> None:
    from meshlens.wifi.minstrel.session import minstrel_tables

    with minstrel_tables(max_stations=_FEW):
        pass


def _monitor() -> None:
    with Nl80211() as nl80211:
        answers = nl80211.dump(Command.GET_WIPHY, None, Attribute.SPLIT_WIPHY_DUMP)
    kinds = [set(attributes(answer.get(Attribute.SUPPORTED_IFTYPES, b""))) for answer in answers]
    if not any(kinds):
        raise NotSupported("there is no radio")
    if not any(_MONITOR_KIND in each for each in kinds):
        raise NotSupported("no radio's driver has monitor mode")


_PROBES: Final[dict[str, Callable[[], None]]] = {HOOKS: _hooks, MINSTREL: _minstrel, MONITOR: _monitor}
