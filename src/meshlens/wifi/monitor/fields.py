"""The fields of radiotap that the monitor program takes, and where on the stack it keeps what it finds.

Each field's code follows what `frame` and `rate` do with the decoded field.
"""

from collections.abc import Callable
from typing import Final

from meshlens.ebpf import R0, R1, R2, R3, R10, Asm, Reg
from meshlens.packet.ieee80211 import FCS_BYTES
from meshlens.packet.radiotap import FIELD_OF, RxFlag, Tap
from meshlens.wifi.monitor.layout import BIAS_DB
from meshlens.wifi.monitor.rate import (
    HE,
    HE_KNOWN_BANDWIDTH,
    HE_KNOWN_GUARD,
    HE_KNOWN_MCS,
    HE_KNOWN_STBC,
    HT,
    HT_KNOWN_BANDWIDTH,
    HT_KNOWN_GUARD,
    HT_KNOWN_INDEX,
    LEGACY,
    VHT,
    VHT_KNOWN_BANDWIDTH,
    VHT_KNOWN_GUARD,
)

__all__ = [
    "AMPDU",
    "BSSID",
    "DAMAGED",
    "FIELD_IN",
    "FREQUENCY",
    "KEY",
    "KIND",
    "NOISE",
    "PRESENT",
    "RATE",
    "READ",
    "SIGNAL",
    "SIZE",
]

# What is found, on the stack: the key of a rate, which begins with that of its transmitter; then 8 bytes a
# number. Signal, noise, A-MPDU and frequency count if their bit of PRESENT is set. Filters leave the key
# alone.
KEY: Final = -40  # transmitter 6, CPU 2
RATE: Final = KEY + 8  # 4
SIGNAL, NOISE, AMPDU, FREQUENCY = -48, -56, -64, -72
BSSID: Final = -80  # 6
DAMAGED, SIZE, KIND, PRESENT = -88, -96, -104, -112
#: Which of radiotap's fields tells the number in a place.
FIELD_IN: Final = {SIGNAL: "signal", NOISE: "noise", AMPDU: "ampdu", FREQUENCY: "channel"}


_CHANNEL, _AMPDU, _MCS, _VHT, _HE = (FIELD_OF[name] for name in ("channel", "ampdu", "mcs", "vht", "he"))

# Each field is read at R1, and its code may use R0 to R3.


def _flags(asm: Asm) -> None:
    asm.load(R0, R1, 0, 1)
    with asm.if_(R0, "&", Tap.FCS_AT_END):
        asm.load(R2, R10, SIZE, 8)
        asm.alu("-=", R2, FCS_BYTES)
        asm.store(R10, SIZE, R2, 8)
    asm.alu("&=", R0, Tap.BAD_FCS)
    asm.store(R10, DAMAGED, R0, 8)


def _rx_flags(asm: Asm) -> None:
    _load16(asm, R0)
    with asm.if_(R0, "&", RxFlag.BAD_PLCP):
        asm.store(R10, DAMAGED, 1, 8)


def _channel(asm: Asm) -> None:
    _load16(asm, R0, _CHANNEL.at("frequency"))
    asm.store(R10, FREQUENCY, R0, 8)


def _signal(asm: Asm) -> None:
    asm.load(R0, R1, 0, 1)
    asm.alu("^=", R0, BIAS_DB)  # adds it to a number of 8 bits with a sign
    asm.store(R10, SIGNAL, R0, 8)


def _noise(asm: Asm) -> None:
    asm.load(R0, R1, 0, 1)
    asm.alu("^=", R0, BIAS_DB)
    asm.store(R10, NOISE, R0, 8)


def _ampdu(asm: Asm) -> None:
    asm.load(R0, R1, _AMPDU.at("reference"), 4)
    asm.to_le(R0, 32)
    asm.store(R10, AMPDU, R0, 8)


def _rate(asm: Asm) -> None:
    asm.load(R0, R1, 0, 1)
    with asm.if_(R0, "!=", 0):
        _emit_rate(asm, LEGACY)


def _mcs(asm: Asm) -> None:
    """R3 = known, R2 = shape."""
    asm.load(R3, R1, _MCS.at("known"), 1)
    with asm.if_(R3, "&", HT_KNOWN_INDEX):
        asm.load(R0, R1, _MCS.at("index"), 1)
        asm.load(R1, R1, _MCS.at("flags"), 1)
        asm.mov(R2, R1)
        asm.alu("&=", R2, HT_KNOWN_GUARD)
        asm.alu("&=", R2, R3)
        with asm.if_(R3, "&", HT_KNOWN_BANDWIDTH):
            asm.alu("&=", R1, 3)
            asm.alu("|=", R2, R1)
        asm.alu("<<=", R2, 24)
        _emit_rate(asm, HT, R2)


def _vht(asm: Asm) -> None:
    """R3 = known, R2 = shape."""
    _load16(asm, R3, _VHT.at("known"))
    asm.mov(R2, 0)
    with asm.if_(R3, "&", VHT_KNOWN_BANDWIDTH):
        asm.load(R2, R1, _VHT.at("bandwidth"), 1)
        asm.alu("&=", R2, 0x1F)
    with asm.if_(R3, "&", VHT_KNOWN_GUARD):
        asm.load(R0, R1, _VHT.at("flags"), 1)
        asm.alu("&=", R0, 4)
        asm.alu("<<=", R0, 5)
        asm.alu("|=", R2, R0)
    asm.load(R0, R1, _VHT.at("user0"), 1)
    asm.alu("<<=", R2, 24)
    _emit_rate(asm, VHT, R2)


def _he(asm: Asm) -> None:
    """R3 = data1, R2 = shape, later with the streams before it."""
    _load16(asm, R3, _HE.at("data1"))
    with asm.if_(R3, "&", HE_KNOWN_MCS):
        asm.mov(R2, 0)
        with asm.if_(R3, "&", HE_KNOWN_BANDWIDTH):
            _load16(asm, R2, _HE.at("data5"))
            asm.alu("&=", R2, 0xF)
        _load16(asm, R0, _HE.at("data2"))
        with asm.if_(R0, "&", HE_KNOWN_GUARD):
            _load16(asm, R0, _HE.at("data5"))
            asm.alu("&=", R0, 0x30)
            asm.alu("|=", R2, R0)
        asm.alu("<<=", R2, 8)
        _load16(asm, R0, _HE.at("data6"))
        asm.alu("&=", R0, 0xF)
        asm.alu("|=", R2, R0)
        _load16(asm, R0, _HE.at("data3"))
        asm.alu(">>=", R0, 8)
        with asm.if_(R3, "&", HE_KNOWN_STBC):
            asm.mov(R3, R0)
            asm.alu("&=", R3, 0x80)
            asm.alu("|=", R2, R3)
        asm.alu("&=", R0, 0x1F)
        asm.alu("<<=", R2, 16)
        _emit_rate(asm, HE, R2)


def _load16(asm: Asm, dst: Reg, offset: int = 0) -> None:
    asm.load(dst, R1, offset, 2)
    asm.to_le(dst, 16)


def _emit_rate(asm: Asm, field: int, more: Reg | None = None) -> None:
    """The four bytes of a rate: field, index R0, and `more`."""
    asm.alu("<<=", R0, 8)
    asm.alu("|=", R0, field)
    if more is not None:
        asm.alu("|=", R0, more)
    asm.to_le(R0, 32)
    asm.store(R10, RATE, R0, 4)


#: The code for each field, by its name.
READ: Final[dict[str, Callable[[Asm], None]]] = {
    "flags": _flags,
    "rate": _rate,
    "channel": _channel,
    "signal": _signal,
    "noise": _noise,
    "rx_flags": _rx_flags,
    "mcs": _mcs,
    "ampdu": _ampdu,
    "vht": _vht,
    "he": _he,
}
