"""A frame's rate in four bytes, as the program takes it out of radiotap; and what these bytes mean.

The bytes are (field, index, streams, shape): the numbers that radiotap has, those left out that it does not
vouch for. What they are worth is worked out here, in user space. Source: radiotap.org, fields "rate", "MCS",
"VHT", "HE".
"""

from functools import lru_cache
from typing import Final

from meshlens.packet.radiotap import Radiotap
from meshlens.wifi.rates import Rate

__all__ = [
    "HE",
    "HE_KNOWN_BANDWIDTH",
    "HE_KNOWN_GUARD",
    "HE_KNOWN_MCS",
    "HE_KNOWN_STBC",
    "HT",
    "HT_KNOWN_INDEX",
    "LEGACY",
    "UNKNOWN",
    "VHT",
    "VHT_KNOWN_BANDWIDTH",
    "VHT_KNOWN_GUARD",
    "rate_bytes",
    "rate_of",
]

#: The first byte: from which field it is.
LEGACY, HT, VHT, HE = 1, 2, 3, 4
UNKNOWN: Final = bytes(4)

# Bits by which radiotap says what it knows; those of HT are those of what they speak of (see rate_bytes).
HT_KNOWN_BANDWIDTH, HT_KNOWN_INDEX, HT_KNOWN_GUARD = 0x01, 0x02, 0x04
VHT_KNOWN_GUARD, VHT_KNOWN_BANDWIDTH = 0x0004, 0x0040
HE_KNOWN_MCS, HE_KNOWN_STBC, HE_KNOWN_BANDWIDTH = 0x0020, 0x0200, 0x4000  # of data1
HE_KNOWN_GUARD = 0x0002  # of data2

#: VHT's bandwidth 0 to 25 says where in a wider channel a frame was sent, too; this is how wide it was.
_VHT_WIDTHS: Final = (20, 40, 20, 20, 80, 40, 40, 20, 20, 20, 20, 160, 80, 80, 40, 40, 40, 40, *[20] * 8)
_HE_WIDTHS: Final = (20, 40, 80, 160)
_HE_UNITS: Final = (26, 52, 106, 242, 484, 996, 1992)
_HE_GUARDS_NS: Final = (800, 1600, 3200)


def rate_bytes(radiotap: Radiotap) -> bytes:
    """The four bytes of a frame: of HE, VHT, MCS, rate the first that is there; UNKNOWN without any."""
    he, vht, mcs = (radiotap.numbers(name) for name in ("he", "vht", "mcs"))
    if he and he["data1"] & HE_KNOWN_MCS:
        known, data3, data5 = he["data1"], he["data3"], he["data5"]
        stbc = data3 >> 8 & 0x80 if known & HE_KNOWN_STBC else 0
        width = data5 & 0xF if known & HE_KNOWN_BANDWIDTH else 0
        guard = data5 & 0x30 if he["data2"] & HE_KNOWN_GUARD else 0
        return bytes([HE, data3 >> 8 & 0x1F, he["data6"] & 0xF | stbc, width | guard])
    if vht:
        width = vht["bandwidth"] & 0x1F if vht["known"] & VHT_KNOWN_BANDWIDTH else 0
        guard = (vht["flags"] & 4) << 5 if vht["known"] & VHT_KNOWN_GUARD else 0
        return bytes([VHT, vht["user0"], 0, width | guard])
    if mcs and mcs["known"] & HT_KNOWN_INDEX:
        width = mcs["flags"] & 3 if mcs["known"] & HT_KNOWN_BANDWIDTH else 0
        return bytes([HT, mcs["index"], 0, width | mcs["flags"] & mcs["known"] & HT_KNOWN_GUARD])
    rate = radiotap.number("rate")
    return bytes([LEGACY, rate, 0, 0]) if rate else UNKNOWN


@lru_cache(maxsize=4096)
def rate_of(four: bytes) -> Rate | None:
    """What the four bytes mean, None if they do not tell a rate."""
    field, index, streams, shape = four
    match field:
        case 1:
            return Rate("legacy", index / 2)
        case 2:
            return Rate(
                "ht", None, index, index // 8 + 1, 40 if shape & 3 == 1 else 20, None, _guard(shape & 4)
            )
        case 3:
            width = shape & 0x1F
            if not index & 0xF or width >= len(_VHT_WIDTHS):
                return None
            return Rate("vht", None, index >> 4, index & 0xF, _VHT_WIDTHS[width], None, _guard(shape & 0x80))
        case 4:
            return _he(index, streams, shape)
    return None


def _guard(short: int) -> int:
    return 400 if short else 800


def _he(index: int, streams: int, shape: int) -> Rate | None:
    """Space-time block coding sends each stream twice (N_STS = 2 N_SS); 0 streams: not told, at least one."""
    width, guard = shape & 0xF, shape >> 4
    if guard >= len(_HE_GUARDS_NS) or width >= len(_HE_WIDTHS) + len(_HE_UNITS):
        return None
    number = (streams & 0xF) >> (streams >> 7) or 1
    unit = _HE_UNITS[width - len(_HE_WIDTHS)] if width >= len(_HE_WIDTHS) else None
    return Rate(
        "he", None, index & 0xF, number, 20 if unit else _HE_WIDTHS[width], unit, _HE_GUARDS_NS[guard],
        dcm=bool(index & 0x10),
    )  # fmt: skip
