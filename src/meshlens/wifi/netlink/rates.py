"""Rates as nl80211 tells them (enum nl80211_rate_info)."""

from typing import Final

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.netlink.nl80211 import number
from meshlens.wifi.rates import Rate

__all__ = ["mbps_of", "rate_of"]

_BITRATE, _MCS, _40_MHZ, _SHORT_GUARD, _BITRATE32, _VHT_MCS, _VHT_STREAMS = range(1, 8)
_HE_MCS, _HE_STREAMS, _HE_GUARD, _HE_DCM, _HE_UNIT = range(13, 18)
_EHT_MCS: Final = 19
#: By the flag's number; without any of them 20 MHz.
_WIDTHS: Final = {_40_MHZ: 40, 8: 80, 9: 160, 10: 160, 11: 10, 12: 5, 18: 320}
#: enum nl80211_he_gi and nl80211_he_ru_alloc.
_HE_GUARDS_NS: Final = (800, 1600, 3200)
_HE_UNIT_TONES: Final = (26, 52, 106, 242, 484, 996, 1992)


def mbps_of(payload: bytes) -> float | None:
    """What the kernel reckons the rate is worth."""
    told = attributes(payload)
    tenths = told.get(_BITRATE32, told.get(_BITRATE))
    return number(tenths) / 10 if tenths else None


def rate_of(payload: bytes) -> Rate | None:
    """The rate; None for 802.11be and what is newer still, where there is `mbps_of` all the same."""
    told = {kind: number(value) for kind, value in attributes(payload).items()}
    width_mhz = next((mhz for flag, mhz in _WIDTHS.items() if flag in told), 20)
    guard_ns = 400 if _SHORT_GUARD in told else 800
    if _EHT_MCS in told:
        return None
    if _HE_MCS in told:
        unit, guard = told.get(_HE_UNIT), told.get(_HE_GUARD, 0)
        return Rate(
            "he",
            mcs=told[_HE_MCS],
            streams=told.get(_HE_STREAMS, 1),
            width_mhz=width_mhz,
            unit_tones=_HE_UNIT_TONES[unit] if unit is not None and unit < len(_HE_UNIT_TONES) else None,
            guard_ns=_HE_GUARDS_NS[guard] if guard < len(_HE_GUARDS_NS) else 800,
            dcm=bool(told.get(_HE_DCM)),
        )
    if _VHT_MCS in told:
        streams = told.get(_VHT_STREAMS, 1)
        return Rate("vht", mcs=told[_VHT_MCS], streams=streams, width_mhz=width_mhz, guard_ns=guard_ns)
    if _MCS in told:
        streams = told[_MCS] // 8 + 1
        return Rate("ht", mcs=told[_MCS], streams=streams, width_mhz=width_mhz, guard_ns=guard_ns)
    mbps = mbps_of(payload)
    return None if mbps is None else Rate("legacy", legacy_mbps=mbps)
