"""Asking nl80211 for all stations, so that mac80211 looks at each; what it tells of them is left aside."""

from collections.abc import Sequence

from meshlens.errors import UsageError
from meshlens.wifi.netlink.interfaces import wifi_interfaces
from meshlens.wifi.netlink.nl80211 import Attribute, Command, Nl80211

__all__ = ["dump_stations"]


def dump_stations(names: Sequence[str] = ()) -> dict[tuple[int, bytes], str]:
    """All stations of the interfaces (none: all), by index and address, with the interface's name.

    Raises UsageError for an interface that is not there, NotSupported without nl80211, MeshlensError.
    """
    with Nl80211() as nl80211:
        there = {each.name: each.index for each in wifi_interfaces(nl80211)}
        for name in names:
            if name not in there:
                known = ", ".join(sorted(there)) or "none"
                raise UsageError(f"no wireless interface {name!r}; there are {known}")
        return {
            (there[name], station[Attribute.MAC]): name
            for name in names or sorted(there)
            for station in nl80211.dump(Command.GET_STATION, there[name])
        }
