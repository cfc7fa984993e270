"""What is taken of a frame on the air: the plain-Python definition that `monitor_program` follows."""

from typing import Final, NamedTuple

from meshlens.errors import UsageError
from meshlens.packet.ieee80211 import FCS_BYTES, Dot11Error, kind_number, parse_dot11
from meshlens.packet.radiotap import Radiotap, RadiotapError, parse_radiotap
from meshlens.wifi.monitor.rate import rate_bytes

__all__ = ["IEEE80211", "IEEE80211_RADIOTAP", "MAX_RADIOTAP_BYTES", "Garbled", "Heard", "Unreadable", "hear"]

#: Link types (LINKTYPE_ and DLT_ are the same here): 802.11; 802.11 behind radiotap.
IEEE80211: Final = 105
IEEE80211_RADIOTAP: Final = 127
#: A header that is longer is refused; those of drivers take less than a tenth of this.
MAX_RADIOTAP_BYTES: Final = 1024
_NOTHING_TOLD: Final = Radiotap(0, {})


class Unreadable(Exception):
    """The frame has no radiotap or no 802.11 header, or ends within it."""


class Garbled(Unreadable):
    """The frame has no 802.11 header, and no wonder: it is damaged."""


class Heard(NamedTuple):
    """One frame: who sent it (6 bytes; None if it does not say), its kind (`ieee80211.KINDS`), and the rest.

    `size`: bytes on the air, with the FCS, whether the receiver handed it on or not. `damaged`: FCS or PLCP
    wrong, nothing in the frame can be relied on. `rate`: four bytes, see `rate`. `frequency` in MHz,
    `signal` and `noise` in dBm. `ampdu`: the number of the A-MPDU that it was part of.
    """

    transmitter: bytes | None
    kind: int
    retry: bool
    size: int
    damaged: bool
    bssid: bytes | None
    rate: bytes
    frequency: int | None
    signal: int | None
    noise: int | None
    ampdu: int | None


def hear(data: bytes, wire_length: int, link_type: int) -> Heard:
    """What the program takes of a frame of `wire_length` bytes, of which `data` was captured.

    Raises Unreadable, Garbled, or UsageError for a link type that is not 802.11.
    """
    if link_type not in (IEEE80211, IEEE80211_RADIOTAP):
        raise UsageError(
            f"link type {link_type} is not 802.11 ({IEEE80211}, or {IEEE80211_RADIOTAP} with radiotap)"
        )
    try:
        tap = parse_radiotap(data) if link_type == IEEE80211_RADIOTAP else _NOTHING_TOLD
    except RadiotapError:
        raise Unreadable from None
    if tap.length > MAX_RADIOTAP_BYTES:
        raise Unreadable
    try:
        header = parse_dot11(data, tap.length)
    except Dot11Error:
        raise (Garbled if tap.damaged else Unreadable) from None
    ampdu = tap.numbers("ampdu")
    return Heard(
        header.transmitter,
        kind_number(header.type, header.subtype),
        header.retry,
        wire_length - tap.length + (0 if tap.fcs_at_end else FCS_BYTES),
        tap.damaged,
        header.bssid,
        rate_bytes(tap),
        tap.frequency,
        tap.number("signal"),
        tap.number("noise"),
        ampdu["reference"] if ampdu else None,
    )
