"""Frames of 802.11 as a monitor interface gives them, radiotap in front; see `craft` for other frames."""

import struct
from collections.abc import Sequence

from meshlens.packet.craft import mac
from meshlens.packet.ieee80211 import KINDS, TRANSMITTER_AT, FrameType
from meshlens.packet.radiotap import EXTENDED, FIELD_OF, FIELDS, RADIOTAP_BIT, Antenna

__all__ = ["dot11", "element", "radiotap"]

_NOBODY = "00:00:00:00:00:00"


def radiotap(antennas: Sequence[Antenna] = (), /, **fields: int | tuple[int, ...]) -> bytes:
    """A header with these fields (see radiotap.FIELDS), and a namespace more for each antenna.

    Raises ValueError for a field that there is not.
    """
    spaces: list[dict[str, int | tuple[int, ...]]] = [fields]
    spaces += [
        {name: value for name, value in each._asdict().items() if value is not None} for each in antennas
    ]
    words, body = [], bytearray(4 + 4 * len(spaces))
    for number, space in enumerate(spaces, 1):
        unknown = space.keys() - FIELD_OF.keys()
        if unknown:
            raise ValueError(f"radiotap has no field {', '.join(sorted(unknown))}")
        more = 0 if number == len(spaces) else EXTENDED | 1 << RADIOTAP_BIT
        words.append(sum(1 << FIELD_OF[name].bit for name in space) | more)
        for field in FIELDS:
            if field.name in space:
                value = space[field.name]
                body += bytes(-len(body) % field.alignment)
                body += struct.pack(field.format, *(value if isinstance(value, tuple) else (value,)))
    struct.pack_into("<BxH", body, 0, 0, len(body))
    struct.pack_into(f"<{len(words)}I", body, 4, *words)
    return bytes(body)


def dot11(
    kind: str,
    receiver: str,
    transmitter: str = _NOBODY,
    third: str = _NOBODY,
    body: bytes = b"",
    *,
    flags: int = 0,
    sequence: int = 0,
    qos: int = 0,
) -> bytes:
    """A frame of a kind ("beacon", "qos-data", "ack", see ieee80211.KINDS) without radiotap and FCS.

    `flags` are of HeaderFlag. `third` is the third address of management and data frames: mostly the BSSID.
    """
    number = KINDS.index(kind)
    header = struct.pack("<BBH", number << 2, flags, 0) + _address(receiver)
    if TRANSMITTER_AT.get(number) == 10:
        header += _address(transmitter)
    if number & 3 in (FrameType.MANAGEMENT, FrameType.DATA):
        header += _address(third) + struct.pack("<H", sequence << 4)
    if kind.startswith("qos"):
        header += struct.pack("<H", qos)
    return header + body


def element(id: int, data: bytes) -> bytes:
    """An information element."""
    return bytes([id, len(data)]) + data


def _address(text: str) -> bytes:
    return mac(text).to_bytes(6, "big")
