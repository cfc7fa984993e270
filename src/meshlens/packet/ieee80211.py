"""The header of an 802.11 frame: what it is, who sent it, to whom, in which BSS.

Which addresses a frame has, and where, is said in tables by its kind; decoding in Python and the loads of a
generated program both follow from them. Numbers are little-endian on the air.

Sources: IEEE 802.11-2020, 9.2.3 and 9.2.4 (frame fields), 9.3 (frames by type), 9.8 (DMG, S1G); the names of
kinds are those of pcap-filter(7), where it has one.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from meshlens.errors import MeshlensError

__all__ = [
    "BSSID_AT",
    "BYTES_OF_TYPE",
    "FCS_BYTES",
    "KINDS",
    "TRANSMITTER_AT",
    "Dot11",
    "Dot11Error",
    "FrameType",
    "HeaderFlag",
    "kind_number",
    "parse_dot11",
]


class Dot11Error(MeshlensError):
    """Bytes that are no 802.11 header, or end within it."""


class FrameType(IntEnum):
    """The type of a frame."""

    MANAGEMENT = 0
    CONTROL = 1
    DATA = 2
    EXTENSION = 3


class HeaderFlag(IntFlag):
    """The second byte of a frame."""

    TO_DS = 0x01
    FROM_DS = 0x02
    MORE_FRAGMENTS = 0x04
    RETRY = 0x08
    POWER_MANAGEMENT = 0x10
    MORE_DATA = 0x20
    PROTECTED = 0x40
    ORDER = 0x80


FCS_BYTES: Final = 4

_SUBTYPES: Final = {
    FrameType.MANAGEMENT: (
        "assoc-req assoc-resp reassoc-req reassoc-resp probe-req probe-resp timing-adv mgt-7 beacon atim "
        "disassoc auth deauth action action-no-ack mgt-15"
    ),
    FrameType.CONTROL: (
        "ctl-0 ctl-1 trigger tack beamforming-poll ndp-announcement ctl-extension wrapper block-ack-req "
        "block-ack ps-poll rts cts ack cf-end cf-end-ack"
    ),
    FrameType.DATA: (
        "data data-cf-ack data-cf-poll data-cf-ack-poll null cf-ack cf-poll cf-ack-poll qos-data "
        "qos-data-cf-ack qos-data-cf-poll qos-data-cf-ack-poll qos data-13 qos-cf-poll qos-cf-ack-poll"
    ),
    FrameType.EXTENSION: (
        "dmg-beacon s1g-beacon ext-2 ext-3 ext-4 ext-5 ext-6 ext-7 ext-8 ext-9 ext-10 ext-11 ext-12 ext-13 "
        "ext-14 ext-15"
    ),
}


def kind_number(type: int, subtype: int) -> int:
    """Type and subtype as they stand together in the first byte, which is this number times 4."""
    return type | subtype << 2


#: The names of kinds, by their numbers.
KINDS: Final = tuple(_SUBTYPES[FrameType(number & 3)].split()[number >> 2] for number in range(64))

#: How many bytes a header has at least; a control frame that names its transmitter needs 16.
BYTES_OF_TYPE: Final = {
    FrameType.MANAGEMENT: 24,
    FrameType.CONTROL: 10,
    FrameType.DATA: 24,
    FrameType.EXTENSION: 10,
}


#: Where the transmitter's address stands, for those kinds of frames that have it. ACK and CTS tell only for
#: whom they are.
TRANSMITTER_AT: Final = {
    **{number: 10 for number in range(64) if number & 3 in (FrameType.MANAGEMENT, FrameType.DATA)},
    **{
        KINDS.index(name): 10
        for name in "trigger beamforming-poll ndp-announcement block-ack-req block-ack ps-poll rts "
        "cf-end cf-end-ack".split()
    },
    **{KINDS.index(name): 4 for name in ("dmg-beacon", "s1g-beacon")},
}

#: Where the BSSID of a data frame stands, by its bits "to DS" and "from DS"; a frame with both has none. In
#: management frames it is the third address.
BSSID_AT: Final = {0: 16, 1: 4, 2: 10}
# Likewise, where its source and its destination stand.
_SOURCE_AT: Final = {0: 10, 1: 10, 2: 16, 3: 24}
_DESTINATION_AT: Final = {0: 4, 1: 16, 2: 4, 3: 16}

# Flags of type IntFlag are several times as slow as plain numbers; to look one up is cheaper than to make it.
_TO_AND_FROM, _ORDER = int(HeaderFlag.TO_DS | HeaderFlag.FROM_DS), int(HeaderFlag.ORDER)
_TYPES: Final = tuple(FrameType)
_FLAGS: Final = tuple(HeaderFlag(number) for number in range(256))
_QOS: Final = 8  # the bit of a data frame's subtype


@dataclass(frozen=True, slots=True)
class Dot11:
    """A header. Addresses are 6 bytes; None where this kind of frame has none.

    `transmitter` and `receiver` are the two ends of the radio link, `source` and `destination` those of the
    frame's way; `bssid` is told by management and data frames. An RTS may mark its transmitter's address
    with the group bit (bandwidth signalling, 9.2.4.3.6): here it is without. `body` is where the header ends.
    """

    type: FrameType
    subtype: int
    flags: HeaderFlag
    duration: int
    receiver: bytes
    transmitter: bytes | None
    destination: bytes | None
    source: bytes | None
    bssid: bytes | None
    sequence: int | None
    fragment: int | None
    qos: int | None
    ht_control: int | None
    body: int

    @property
    def kind(self) -> str:
        """Type and subtype in a word: "beacon", "qos-data", "ack"."""
        return KINDS[kind_number(self.type, self.subtype)]

    @property
    def retry(self) -> bool:
        """Whether it was sent before. Frames of the extension type do not tell."""
        return HeaderFlag.RETRY in self.flags and self.type != FrameType.EXTENSION

    @property
    def protected(self) -> bool:
        """Whether its body is encrypted."""
        return HeaderFlag.PROTECTED in self.flags


def parse_dot11(data: bytes, at: int = 0) -> Dot11:
    """The header at byte `at`. Raises Dot11Error if it is cut off or of another version than 0."""
    if at + 2 > len(data):
        raise Dot11Error(f"802.11: no frame control at byte {at}")
    control, flags = data[at], _FLAGS[data[at + 1]]
    if control & 3:
        raise Dot11Error(f"802.11: version {control & 3}, only 0 is known")
    kind, type_, subtype = control >> 2, _TYPES[control >> 2 & 3], control >> 4
    transmitter_at = TRANSMITTER_AT.get(kind)
    needed = max(BYTES_OF_TYPE[type_], (transmitter_at or 0) + 6)
    if at + needed > len(data):
        raise Dot11Error(f"802.11: {KINDS[kind]} needs {needed} bytes, {len(data) - at} are left")

    def address(offset: int | None) -> bytes | None:
        if offset is None or at + offset + 6 > len(data):  # the fourth address may be cut off
            return None
        return data[at + offset : at + offset + 6]

    receiver, transmitter = data[at + 4 : at + 10], address(transmitter_at)
    if transmitter and type_ == FrameType.CONTROL:
        transmitter = bytes([transmitter[0] & 0xFE]) + transmitter[1:]
    destination = source = bssid = sequence = fragment = qos = ht_control = None
    body = needed
    if type_ in (FrameType.MANAGEMENT, FrameType.DATA):
        number = int.from_bytes(data[at + 22 : at + 24], "little")
        sequence, fragment = number >> 4, number & 0xF
        ways = data[at + 1] & _TO_AND_FROM if type_ == FrameType.DATA else 0
        bssid = address(BSSID_AT.get(ways))
        destination = address(_DESTINATION_AT[ways])
        source = address(_SOURCE_AT[ways])
        body += 6 * (ways == _TO_AND_FROM)
        if type_ == FrameType.DATA and subtype & _QOS:
            qos = _number(data, at + body, 2)
            body += 2
        if data[at + 1] & _ORDER and (qos is not None or type_ == FrameType.MANAGEMENT):
            ht_control = _number(data, at + body, 4)
            body += 4
    return Dot11(
        type_, subtype, flags, int.from_bytes(data[at + 2 : at + 4], "little"), receiver, transmitter,
        destination, source, bssid, sequence, fragment, qos, ht_control, body,
    )  # fmt: skip


def _number(data: bytes, at: int, size: int) -> int | None:
    """A number behind the part that every header has; None if the frame was cut before."""
    return int.from_bytes(data[at : at + size], "little") if at + size <= len(data) else None
