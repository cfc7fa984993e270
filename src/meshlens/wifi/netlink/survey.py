"""Survey dumps: how noisy and how busy each channel is (enum nl80211_survey_info)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Command, Nl80211, number, signed

__all__ = ["ChannelSurvey", "channel_surveys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSurvey:
    """A channel as an interface's radio heard it; None: this driver does not tell it.

    `in_use`: it is the one the radio is on. Times go on while the radio is there; when they began, each
    driver decides: differences of two surveys tell.
    """

    interface: str
    frequency_mhz: int
    in_use: bool
    noise_dbm: int | None = None
    time_ms: int | None = None
    busy_ms: int | None = None
    extension_busy_ms: int | None = None
    receive_ms: int | None = None
    transmit_ms: int | None = None
    scan_ms: int | None = None
    bss_receive_ms: int | None = None

    @property
    def busy_ratio(self) -> float | None:
        """The share of the time in which the channel was busy, 0 to 1."""
        if self.time_ms is None or self.busy_ms is None or not self.time_ms:
            return None
        return self.busy_ms / self.time_ms


_FREQUENCY, _IN_USE = 1, 3
_FIELDS: Final[dict[int, tuple[str, Callable[[bytes], int]]]] = {
    2: ("noise_dbm", signed),
    4: ("time_ms", number),
    5: ("busy_ms", number),
    6: ("extension_busy_ms", number),
    7: ("receive_ms", number),
    8: ("transmit_ms", number),
    9: ("scan_ms", number),
    11: ("bss_receive_ms", number),
}


def channel_surveys(nl80211: Nl80211, interface: str, index: int) -> list[ChannelSurvey]:
    """The channels that the radio of an interface knows; none where its driver keeps no survey."""
    surveys = (_survey(interface, answer) for answer in nl80211.dump(Command.GET_SURVEY, index))
    return [each for each in surveys if each is not None]


def _survey(interface: str, answer: Attributes) -> ChannelSurvey | None:
    """None for what is about the radio as a whole (NL80211_ATTR_SURVEY_RADIO_STATS)."""
    told = attributes(answer.get(Attribute.SURVEY_INFO, b""))
    if _FREQUENCY not in told:
        return None
    fields: dict[str, Any] = {
        name: read(told[kind]) for kind, (name, read) in _FIELDS.items() if kind in told
    }
    return ChannelSurvey(
        interface=interface, frequency_mhz=number(told[_FREQUENCY]), in_use=_IN_USE in told, **fields
    )
