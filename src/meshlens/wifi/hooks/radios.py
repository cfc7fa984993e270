"""Which interfaces are wireless, and which bitrates their radios have: the little of nl80211 it takes.

Written by hand, as meshlens.ebpf.netlink is: pyroute2 takes 20 MB. Numbers are those of the kernel's
include/uapi/linux/nl80211.h and genetlink.h.
"""

import struct
from typing import Final

from meshlens.ebpf.netlink import NLM_F_DUMP, RtNetlink, attribute, attributes
from meshlens.wifi.hooks.rate import Bitrates

__all__ = ["bitrates_of", "wireless_interfaces"]

_NETLINK_GENERIC: Final = 16
_GENERIC: Final = struct.Struct("=BBH")  # struct genlmsghdr: command, version
_CONTROLLER, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_GET_WIPHY, _GET_INTERFACE = 1, 5
_WIPHY, _IFINDEX, _WIPHY_BANDS, _SPLIT_WIPHY_DUMP = 1, 3, 22, 174
_BAND_RATES, _BITRATE_RATE = 2, 1


def wireless_interfaces() -> dict[int, int]:
    """The number of the radio (its wiphy) by index of the wireless interfaces of this network namespace.

    None without nl80211.
    """
    answers = [answer for answer in _dump(_GET_INTERFACE) if _IFINDEX in answer]
    return {_number(answer[_IFINDEX]): _number(answer[_WIPHY]) for answer in answers}


def bitrates_of(index: int) -> Bitrates:
    """The legacy bitrates of an interface's radio, by band, in units of 100 kbit/s."""
    asked = attribute(_IFINDEX, struct.pack("=I", index)) + attribute(_SPLIT_WIPHY_DUMP, b"")
    found: dict[int, list[int]] = {}
    for answer in _dump(_GET_WIPHY, asked):
        for band, content in attributes(answer.get(_WIPHY_BANDS, b"")).items():
            rates = attributes(attributes(content).get(_BAND_RATES, b""))
            if rates:
                found[band] = [_number(attributes(rate)[_BITRATE_RATE]) for _, rate in sorted(rates.items())]
    return found


def _dump(command: int, body: bytes = b"") -> list[dict[int, bytes]]:
    """What nl80211 answers, attributes by number."""
    with RtNetlink(_NETLINK_GENERIC) as netlink:
        asked = _GENERIC.pack(_GETFAMILY, 1, 0) + attribute(_FAMILY_NAME, b"nl80211\0")
        try:
            (family,) = netlink.request(_CONTROLLER, asked)
        except FileNotFoundError:
            return []
        number = struct.unpack("=H", attributes(family[_GENERIC.size :])[_FAMILY_ID])[0]
        answers = netlink.request(number, _GENERIC.pack(command, 0, 0) + body, NLM_F_DUMP)
    return [attributes(answer[_GENERIC.size :]) for answer in answers]


def _number(payload: bytes) -> int:
    (number,) = struct.unpack("=I", payload)
    assert isinstance(number, int)
    return number
