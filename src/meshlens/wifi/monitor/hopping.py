"""Channel hopping: monitor interfaces listen to one channel after the other.

An interface can be moved only while no other interface of its radio needs its channel. Channel numbers are
those of IEEE 802.11-2020, annex E; a number from 2000 on is a frequency in MHz, as 6 GHz needs it.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

from meshlens.errors import MeshlensError, NotSupported, PermissionDenied, UsageError

__all__ = ["Hopper", "frequency_mhz"]

_IFINDEX, _WIPHY_FREQ = "NL80211_ATTR_IFINDEX", "NL80211_ATTR_WIPHY_FREQ"
_SET_WIPHY: Final = 2  # NL80211_CMD_SET_WIPHY, include/uapi/linux/nl80211.h


def frequency_mhz(channel: int) -> int:
    """The centre of a 20 MHz channel. Raises UsageError for a number that is none."""
    if 1 <= channel <= 13:
        return 2407 + 5 * channel
    if channel == 14:
        return 2484
    if 32 <= channel <= 177:
        return 5000 + 5 * channel
    if 2000 <= channel <= 7200:
        return channel
    raise UsageError(f"no channel {channel}: 1 to 14, 32 to 177, or a frequency in MHz")


class Hopper:
    """Moves `interfaces` together from channel to channel, each for `dwell_s`, within `with`.

    Entering it raises NotSupported without nl80211, PermissionDenied without CAP_NET_ADMIN, MeshlensError
    for a channel that an interface cannot be on. What goes wrong later is in `error`, and ends the hopping.
    """

    def __init__(self, interfaces: Sequence[str], channels: Sequence[int], dwell_s: float = 0.25) -> None:
        self.interfaces, self.dwell_s = tuple(interfaces), dwell_s
        self.channels = {channel: frequency_mhz(channel) for channel in channels}
        self.error: MeshlensError | None = None
        self._end = Event()
        self._thread = Thread(target=self._hop, daemon=True)

    def __enter__(self) -> Self:
        self._nl80211 = _nl80211()
        try:
            for channel in reversed(self.channels):  # all are tried once; the first one is where it begins
                self._tune(channel)
        except MeshlensError:
            self._nl80211.close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._nl80211.close()

    def _hop(self) -> None:
        while len(self.channels) > 1:
            for channel in self.channels:
                try:
                    self._tune(channel)
                except MeshlensError as error:
                    self.error = error
                    return
                if self._end.wait(self.dwell_s):
                    return

    def _tune(self, channel: int) -> None:
        for name in self.interfaces:
            with suppress(_Gone):
                _set_frequency(self._nl80211, name, channel, self.channels[channel])


class _Gone(Exception):
    """The interface is not there any more."""


def _set_frequency(nl80211: Any, name: str, channel: int, mhz: int) -> None:
    from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nl80211 import nl80211cmd

    try:
        index = socket.if_nametoindex(name)
    except OSError:
        raise _Gone from None
    message = nl80211cmd()
    message["cmd"] = _SET_WIPHY
    message["attrs"] = [[_IFINDEX, index], [_WIPHY_FREQ, mhz]]
    try:
        nl80211.nlm_request(message, msg_type=nl80211.prid, msg_flags=NLM_F_REQUEST | NLM_F_ACK)
    except NetlinkError as error:
        if error.code == 1:  # EPERM
            raise PermissionDenied("cannot change channels: run as root, or with CAP_NET_ADMIN") from None
        raise MeshlensError(
            f"{name} cannot listen on channel {channel} ({mhz} MHz): {error.args[-1]}; its radio may not "
            f"have it, or another interface of the radio needs its own"
        ) from None


def _nl80211() -> Any:
    from pyroute2.iwutil import IW
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        return IW()
    except (NetlinkError, OSError):
        raise NotSupported(
            "cannot change channels: this kernel has no nl80211 (no wireless driver)"
        ) from None
