"""Rates as nl80211 tells them (enum nl80211_rate_info)."""

from typing import Final

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.netlink.nl80211 import number
from meshlens.wifi.rates import Rate

__all__ = ["mbps_of", "rate_of"]

_BITRATE, _MCS, _40_MHZ, _SHORT_GUARD, _BITRATE32, _VHT_MCS, _VHT_STREAMS = range(1, 8)
_HE_MCS, _HE_STREAMS, _HE_GUARD, _HE_DCM, _HE_UNIT = range(13, 18)
_EHT_MCS, _EHT_STREAMS, _EHT_GUARD, _EHT_UNIT = range(19, 23)
#: By the flag's number; without any of them 20 MHz.
_WIDTHS: Final = {_40_MHZ: 40, 8: 80, 9: 160, 10: 160, 11: 10, 12: 5, 18: 320}
#: enum nl80211_he_gi, nl80211_eht_gi.
_GUARDS_NS: Final = (800, 1600, 3200)
#: enum nl80211_he_ru_alloc; of nl80211_eht_ru_alloc those that are one unit.
_HE_UNIT_TONES: Final = dict(enumerate((26, 52, 106, 242, 484, 996, 1992)))
_EHT_UNIT_TONES: Final = {0: 26, 1: 52, 3: 106, 5: 242, 6: 484, 8: 996, 11: 1992, 15: 3984}


def mbps_of(payload: bytes) -> float | None:
    """What the kernel reckons the rate is worth."""
    told = attributes(payload)
    tenths = told.get(_BITRATE32, told.get(_BITRATE))
    return number(tenths) / 10 if tenths else None


def rate_of(payload: bytes) -> Rate | None:
    """The rate; None for one that has no name here, where there is `mbps_of` all the same."""
    told = {kind: number(value) for kind, value in attributes(payload).items()}
    width_mhz = next((mhz for flag, mhz in _WIDTHS.items() if flag in told), 20)
    guard_ns = 400 if _SHORT_GUARD in told else 800
    if _EHT_MCS in told:
        if _EHT_UNIT in told and told[_EHT_UNIT] not in _EHT_UNIT_TONES:
            return None  # several units together
        streams, guard = told.get(_EHT_STREAMS, 1), _guard_ns(told.get(_EHT_GUARD, 0))
        unit = _EHT_UNIT_TONES.get(told.get(_EHT_UNIT, -1))
        return Rate("eht", None, told[_EHT_MCS], streams, width_mhz, unit, guard)
    if _HE_MCS in told:
        streams, guard = told.get(_HE_STREAMS, 1), _guard_ns(told.get(_HE_GUARD, 0))
        unit = _HE_UNIT_TONES.get(told.get(_HE_UNIT, -1))
        dcm = bool(told.get(_HE_DCM))
        return Rate("he", None, told[_HE_MCS], streams, width_mhz, unit, guard, dcm=dcm)
    if _VHT_MCS in told:
        return Rate("vht", None, told[_VHT_MCS], told.get(_VHT_STREAMS, 1), width_mhz, None, guard_ns)
    if _MCS in told:
        return Rate("ht", None, told[_MCS], told[_MCS] // 8 + 1, width_mhz, None, guard_ns)
    mbps = mbps_of(payload)
    return None if mbps is None else Rate("legacy", mbps)


def _guard_ns(number: int) -> int:
    return _GUARDS_NS[number] if number < len(_GUARDS_NS) else _GUARDS_NS[0]
