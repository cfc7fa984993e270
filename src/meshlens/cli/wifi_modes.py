"""Whether `meshlens wifi` looks at monitor interfaces or at interfaces that are in a network."""

from collections.abc import Sequence

from meshlens.errors import NotSupported, UsageError
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces, matches

__all__ = ["is_monitor"]

#: libpcap's link types of 802.11, bare and behind radiotap.
_MONITOR_LINK_TYPES = (105, 127)


def is_monitor(names: Sequence[str]) -> bool:
    """Of the interfaces named, or fitting a glob; without names: if any monitor interface is up.

    Raises UsageError if there are both. Without any interface of the kind, and without nl80211, it is monitor
    interfaces that are waited for.
    """
    interfaces = list_interfaces()
    if not names:
        return any(_listens(each) and each.up for each in interfaces) or not _in_networks()
    named = [each for each in interfaces if matches(each.name, names)]
    listening = [each.name for each in named if _listens(each)]
    others = [each.name for each in named if not _listens(each) and each.name in _in_networks()]
    if listening and others:
        raise UsageError(
            f"{listening[0]} is a monitor interface, {others[0]} is in a network: one kind at a time"
        )
    return not others


def _listens(interface: Interface) -> bool:
    return link_type_of(interface) in _MONITOR_LINK_TYPES


def _in_networks() -> set[str]:
    """Wi-Fi interfaces that are none for monitoring."""
    from meshlens.wifi.netlink.interfaces import wifi_interfaces
    from meshlens.wifi.netlink.nl80211 import Nl80211

    try:
        with Nl80211() as nl80211:
            return {each.name for each in wifi_interfaces(nl80211) if each.kind != "monitor"}
    except NotSupported:
        return set()
