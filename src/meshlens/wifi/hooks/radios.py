"""Which interfaces are wireless, and which bitrates their radios have."""

from typing import Final

from meshlens.ebpf.netlink import attributes
from meshlens.errors import NotSupported
from meshlens.wifi.hooks.rate import Bitrates
from meshlens.wifi.netlink.nl80211 import Attribute, Command, Nl80211, number

__all__ = ["bitrates_of", "wireless_interfaces"]

_BAND_RATES, _BITRATE_RATE = 2, 1
_OWN_PARTS: Final = Attribute.SPLIT_WIPHY_DUMP  # a radio is more than fits into one message


def wireless_interfaces() -> dict[int, int]:
    """The number of the radio (its wiphy) by index of the wireless interfaces of this network namespace.

    None without nl80211.
    """
    try:
        with Nl80211() as nl80211:
            answers = nl80211.dump(Command.GET_INTERFACE)
    except NotSupported:
        return {}
    wanted = [answer for answer in answers if Attribute.IFINDEX in answer]
    return {number(answer[Attribute.IFINDEX]): number(answer[Attribute.WIPHY]) for answer in wanted}


def bitrates_of(index: int) -> Bitrates:
    """The legacy bitrates of an interface's radio, by band, in units of 100 kbit/s."""
    found: dict[int, list[int]] = {}
    with Nl80211() as nl80211:
        answers = nl80211.dump(Command.GET_WIPHY, index, _OWN_PARTS)
    for answer in answers:
        for band, content in attributes(answer.get(Attribute.WIPHY_BANDS, b"")).items():
            rates = attributes(attributes(content).get(_BAND_RATES, b""))
            if rates:
                found[band] = [number(attributes(rate)[_BITRATE_RATE]) for _, rate in sorted(rates.items())]
    return found
