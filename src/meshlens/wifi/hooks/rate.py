"""A rate in eight bytes, as the programs take it from mac80211; and what these bytes mean.

mac80211 has three forms: of a frame sent, an index with flags (struct ieee80211_tx_rate) or a description
(struct rate_info); of a frame heard, the fields of struct ieee80211_rx_status. The first byte says which. An
index of a legacy rate is one of the radio's table of its band, which nl80211 tells.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from meshlens.wifi.rates import Phy, Rate

__all__ = ["HEARD", "INDEX", "INDEX_FLAGS", "INFO", "INFO_FIELDS", "Bitrates", "rate_of"]

#: The first byte. INDEX: index, flags in two bytes, band. INFO: as INFO_FIELDS says, what is special in HE,
#: and the bitrate of a legacy rate in two bytes. HEARD: index, streams, width, encoding, what is special in
#: HE, band, short guard. Above the width, and above the band, is EHT's guard interval.
INDEX, INFO, HEARD = 1, 2, 3
#: In which byte a field of struct rate_info is.
INFO_FIELDS: Final = {1: "mcs", 2: "nss", 4: "flags"}

#: The bitrates of a radio by band, in units of 100 kbit/s, in the order of their indexes.
Bitrates = Mapping[int, Sequence[int]]

# enum mac80211_rate_control_flags; what does not change the rate is left out.
_MCS, _WIDTH_40, _DUPLICATE, _SHORT_GUARD = 0x08, 0x20, 0x40, 0x80
_VHT, _WIDTH_80, _WIDTH_160 = 0x100, 0x200, 0x400
INDEX_FLAGS: Final = _MCS | _WIDTH_40 | _DUPLICATE | _SHORT_GUARD | _VHT | _WIDTH_80 | _WIDTH_160
# enum rate_info_flags
_INFO_HT, _INFO_VHT, _INFO_SHORT_GUARD, _INFO_HE, _INFO_EHT = 0x01, 0x02, 0x04, 0x10, 0x80
_INFO_OTHERS: Final = 0xFF & ~(_INFO_HT | _INFO_VHT | _INFO_SHORT_GUARD | _INFO_HE | _INFO_EHT)
# enum rate_info_bw: 20, 5, 10, 40, 80, 160 MHz, a resource unit of HE, 320 MHz; enum nl80211_he_gi, eht_gi
_WIDTHS_MHZ: Final = {0: 20, 1: 5, 2: 10, 3: 40, 4: 80, 5: 160, 7: 320}
_UNIT: Final = 6
_UNITS: Final = (26, 52, 106, 242, 484, 996, 1992)  # enum nl80211_he_ru_alloc
_GUARDS_NS: Final = (800, 1600, 3200)
# enum mac80211_rx_encoding
_PHYS: Final[tuple[Phy, ...]] = ("legacy", "ht", "vht", "he", "eht")


def rate_of(eight: bytes, bitrates: Bitrates) -> Rate | None:
    """What the bytes mean; None for one that Rate cannot say (60 GHz, S1G, a part of EHT's channel)."""
    match eight[0]:
        case 1:
            return _indexed(eight[1], int.from_bytes(eight[2:4], "little"), bitrates.get(eight[4], ()))
        case 2:
            return _described(eight)
        case 3:
            return _heard(eight, bitrates.get(eight[6] & 0xF, ()))
    return None


def _indexed(index: int, flags: int, bitrates: Sequence[int]) -> Rate | None:
    guard = 400 if flags & _SHORT_GUARD else 800
    width = next(
        (mhz for flag, mhz in ((_WIDTH_160, 160), (_WIDTH_80, 80), (_WIDTH_40, 40)) if flags & flag), 20
    )
    if flags & _VHT:
        return _with_mcs("vht", index & 0xF, (index >> 4) + 1, width, guard)
    if flags & _MCS:
        return _with_mcs("ht", index, index // 8 + 1, width, guard)
    return _legacy(bitrates[index]) if index < len(bitrates) else None


def _described(eight: bytes) -> Rate | None:
    _, mcs, streams, width, flags, special, low, high = eight
    if flags & _INFO_OTHERS:
        return None
    width, eht_guard = width & 0xF, width >> 4
    if flags & _INFO_EHT:
        return _eht(mcs, streams, width, eht_guard)
    if flags & _INFO_HE:
        return _he(mcs, streams, width, special)
    mhz = _WIDTHS_MHZ.get(width)
    guard_ns = 400 if flags & _INFO_SHORT_GUARD else 800
    if flags & _INFO_VHT:
        return _with_mcs("vht", mcs, streams, mhz, guard_ns)
    if flags & _INFO_HT:
        return _with_mcs("ht", mcs, mcs // 8 + 1, mhz, guard_ns)
    return _legacy(low | high << 8)


def _heard(eight: bytes, bitrates: Sequence[int]) -> Rate | None:
    _, index, streams, width, encoding, special, band, short = eight
    if encoding >= len(_PHYS):
        return None
    phy, mhz = _PHYS[encoding], _WIDTHS_MHZ.get(width)
    if phy == "legacy":
        return _legacy(bitrates[index]) if index < len(bitrates) else None
    if phy == "he":
        return _he(index, streams, width, special)
    if phy == "eht":
        return _eht(index, streams, width, band >> 4)
    return _with_mcs(phy, index, index // 8 + 1 if phy == "ht" else streams, mhz, 400 if short else 800)


def _he(mcs: int, streams: int, width: int, special: int) -> Rate | None:
    """`special`: he_gi in two bits, he_dcm in the third, he_ru from the fifth on."""
    unit = _UNITS[special >> 4] if width == _UNIT and special >> 4 < len(_UNITS) else None
    mhz = 20 if unit else _WIDTHS_MHZ.get(width)
    if mhz is None or special & 3 >= len(_GUARDS_NS):
        return None
    return Rate("he", None, mcs, streams, mhz, unit, _GUARDS_NS[special & 3], dcm=bool(special & 4))


def _eht(mcs: int, streams: int, width: int, guard: int) -> Rate | None:
    """Of frames that fill their channel; of its many parts nothing is said."""
    mhz = _WIDTHS_MHZ.get(width)
    return Rate("eht", None, mcs, streams, mhz, None, _GUARDS_NS[guard]) if mhz and guard < 3 else None


@lru_cache(maxsize=1024)
def _with_mcs(phy: Phy, mcs: int, streams: int, mhz: int | None, guard_ns: int) -> Rate | None:
    return Rate(phy, None, mcs, streams, mhz, None, guard_ns) if mhz else None


@lru_cache(maxsize=64)
def _legacy(hundreds: int) -> Rate | None:
    return Rate("legacy", hundreds / 10) if hundreds else None
