"""Asking nl80211 for all stations, so that mac80211 looks at each; what it tells of them is left aside.

Written by hand, as meshlens.ebpf.netlink is. Numbers are those of the kernel's include/uapi/linux/nl80211.h
and genetlink.h.
"""

import errno
import struct
import sys
from collections.abc import Sequence
from typing import Final

from meshlens.ebpf.netlink import NLM_F_DUMP, RtNetlink, attribute, attributes
from meshlens.errors import MeshlensError, NotSupported, UsageError

__all__ = ["dump_stations"]

_NETLINK_GENERIC: Final = 16
_GENERIC: Final = struct.Struct("=BBH")  # struct genlmsghdr: command, version
_CONTROLLER, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_GET_INTERFACE, _GET_STATION = 5, 17
_IFINDEX, _IFNAME, _MAC = 3, 4, 6
#: The interface went, is down, or is of a kind that has none.
_NO_STATIONS: Final = (errno.ENODEV, errno.ENETDOWN, errno.EOPNOTSUPP, errno.EINVAL)


def dump_stations(names: Sequence[str] = ()) -> dict[tuple[int, bytes], str]:
    """All stations of the interfaces (none: all), by index and address, with the interface's name.

    Raises UsageError for an interface that is not there, NotSupported without nl80211, MeshlensError.
    """
    with RtNetlink(_NETLINK_GENERIC) as netlink:
        family = _family(netlink)

        def dump(command: int, body: bytes = b"") -> list[dict[int, bytes]]:
            answers = netlink.request(family, _GENERIC.pack(command, 0, 0) + body, NLM_F_DUMP)
            return [attributes(answer[_GENERIC.size :]) for answer in answers]

        there = {
            each[_IFNAME].rstrip(b"\0").decode(errors="replace"): each[_IFINDEX]
            for each in dump(_GET_INTERFACE)
            if _IFNAME in each
        }
        for name in names:
            if name not in there:
                known = ", ".join(sorted(there)) or "none"
                raise UsageError(f"no wireless interface {name!r}; there are {known}")
        stations = {}
        for name in names or sorted(there):
            try:
                found = dump(_GET_STATION, attribute(_IFINDEX, there[name]))
            except OSError as error:
                if error.errno in _NO_STATIONS:
                    continue
                raise MeshlensError(f"cannot ask for the stations of {name}: {error}") from error
            for each in found:
                stations[int.from_bytes(there[name], sys.byteorder), each[_MAC]] = name
        return stations


def _family(netlink: RtNetlink) -> int:
    asked = _GENERIC.pack(_GETFAMILY, 1, 0) + attribute(_FAMILY_NAME, b"nl80211\0")
    try:
        (answer,) = netlink.request(_CONTROLLER, asked)
    except FileNotFoundError:
        raise NotSupported("cannot ask for stations: this kernel has no nl80211 (no radio)") from None
    (number,) = struct.unpack("=H", attributes(answer[_GENERIC.size :])[_FAMILY_ID])
    return int(number)
