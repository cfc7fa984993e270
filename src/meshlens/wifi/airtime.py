"""How long a frame is on the air: from its rate and length, by the formulas of each PHY.

Sources: TXTIME in IEEE 802.11-2020, 15.3.3 and 16.3.4 (DSSS, HR/DSSS), 17.4.3 (OFDM), 18.5.3 (ERP), 19.4.3
(HT), 21.4.3 (VHT); in IEEE 802.11ax-2021, 27.4.3 (HE); in IEEE 802.11be-2024, 36.4.3 (EHT).

It is the time of the frame alone: what comes before and after it, backoff, SIFS, the ACK, RTS and CTS, is not
in it. What the rate does not tell is taken as most frames have it: HT-mixed format, HE and EHT to a single
user, convolutional coding in HT and VHT (LDPC may take one symbol more or less), no space-time block coding,
HE-LTFs of twice the length (four times with 3.2 us of guard interval), no packet extension.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, gcd
from typing import Final

from meshlens.wifi.rates import DSSS_MBPS, Phy, Rate

__all__ = ["airtime_ns", "ampdu_bytes", "total_airtime_ns"]

_US: Final = 1000

#: Preamble and header of DSSS, long and short (16.2.2.2, 16.2.2.3). 1 Mbit/s has the long one only.
_DSSS_PREAMBLE_US: Final = (144 + 48, 72 + 24)

#: Short and long training field, L-SIG, and what each PHY has behind them up to its long training fields:
#: HT-SIG, HT-STF; VHT-SIG-A, VHT-STF, VHT-SIG-B; RL-SIG, HE-SIG-A, HE-STF; RL-SIG, U-SIG, EHT-SIG, EHT-STF.
_LEGACY_PREAMBLE_US: Final = 8 + 8 + 4
_PREAMBLE_US: Final[dict[Phy, int]] = {
    "legacy": _LEGACY_PREAMBLE_US,
    "ht": _LEGACY_PREAMBLE_US + 8 + 4,
    "vht": _LEGACY_PREAMBLE_US + 8 + 4 + 4,
    "he": _LEGACY_PREAMBLE_US + 4 + 8 + 4,
    # EHT-SIG to one user at its lowest rate: 52 bits, 26 a symbol (36.3.12.8).
    "eht": _LEGACY_PREAMBLE_US + 4 + 8 + 8 + 4,
}
#: Long training fields by space-time streams (tables 19-13, 21-13, 27-15).
_TRAINING_FIELDS: Final = (0, 1, 2, 4, 4, 6, 6, 8, 8)
#: One of them: in HT and VHT as long as a symbol with the long guard interval.
_TRAINING_NS: Final = 4 * _US
_HE_TRAINING_NS: Final = {800: 6400 + 800, 1600: 6400 + 1600, 3200: 12800 + 3200}

#: Behind a frame in the 2.4 GHz band, in which receivers of OFDM decode (aSignalExtension, table 19-25).
_SIGNAL_EXTENSION_NS: Final = 6 * _US
_LOWER_BAND_MHZ: Final = 3000

#: SERVICE field; tail of each convolutional encoder.
_SERVICE_BITS, _TAIL_BITS = 16, 6
#: What one encoder takes: HT has two above 300 Mbit/s, VHT one for each 540 Mbit/s, at 0.8 us.
_ENCODER_BITS: Final[dict[Phy, int]] = {"ht": 1200, "vht": 2160}
_MOST_ENCODERS: Final = 16
#: HE and EHT code convolutionally up to this, and with LDPC, which has no tail, beyond (27.3.12.5).
_CONVOLUTIONAL_MCS, _CONVOLUTIONAL_STREAMS, _CONVOLUTIONAL_TONES = 9, 4, 242

_DELIMITER_BYTES, _ALIGNMENT = 4, 4


def airtime_ns(rate: Rate, length_bytes: int, *, frequency_mhz: int | None = None) -> int | None:
    """Nanoseconds from the first of the preamble to the last of the frame.

    `length_bytes`: from the 802.11 header to the FCS; of an A-MPDU, all of it (`ampdu_bytes`).
    `frequency_mhz`: in the 2.4 GHz band, OFDM frames end with a signal extension of 6 us; without it, they do
    not. None if the rate is one that the formulas do not know.
    """
    mbps = rate.legacy_mbps
    if mbps in DSSS_MBPS and mbps:
        preamble_us = _DSSS_PREAMBLE_US[rate.short_preamble and mbps > 1]
        return (preamble_us + ceil(8 * length_bytes / Fraction(mbps))) * _US
    preamble, symbols = preamble_ns(rate), symbol_count(rate, length_bytes)
    if preamble is None or symbols is None:
        return None
    data = symbols * rate.symbol_ns
    if rate.phy in ("ht", "vht"):  # the legacy header tells the length in long symbols
        data = ceil(Fraction(data, _TRAINING_NS)) * _TRAINING_NS
    extension = _SIGNAL_EXTENSION_NS if frequency_mhz and frequency_mhz < _LOWER_BAND_MHZ else 0
    return preamble + data + extension


def total_airtime_ns(rate: Rate, frames: int, bytes: int, *, frequency_mhz: int | None = None) -> int | None:
    """The same of `frames` together, each a transmission of its own, that have so many `bytes` in all.

    How long each one was is not known: they may have taken up to a symbol more or less for each (DSSS: 1 us).
    """
    if not frames:
        return 0
    each, least = divmod(bytes, frames)
    long, short = (airtime_ns(rate, size, frequency_mhz=frequency_mhz) for size in (each + 1, each))
    if long is None or short is None:
        return None
    return least * long + (frames - least) * short


def ampdu_bytes(frame_bytes: Iterable[int]) -> int:
    """How long the A-MPDU of these frames is (9.7.1): delimiters, and padding between the frames."""
    length = 0
    for each in frame_bytes:
        length += -length % _ALIGNMENT + _DELIMITER_BYTES + each
    return length


def preamble_ns(rate: Rate) -> int | None:
    """All before the data of an OFDM frame; None for streams or guard intervals that the PHY has not."""
    if rate.phy == "legacy":
        return _LEGACY_PREAMBLE_US * _US
    streams = rate.spatial_streams
    each = _HE_TRAINING_NS.get(rate.guard_ns) if rate.phy in ("he", "eht") else _TRAINING_NS
    if each is None or not streams or streams >= len(_TRAINING_FIELDS):
        return None
    return _PREAMBLE_US[rate.phy] * _US + _TRAINING_FIELDS[streams] * each


def symbol_count(rate: Rate, length_bytes: int) -> int | None:
    """The OFDM symbols in which so many bytes are (N_SYM), None for a rate that has none."""
    bits = rate.data_bits
    if not bits:
        return None
    return ceil((8 * length_bytes + _SERVICE_BITS + _tail_bits(rate, bits)) / bits)


def _tail_bits(rate: Rate, bits: Fraction) -> int:
    match rate.phy:
        case "legacy":
            return _TAIL_BITS
        case "ht" | "vht":
            return _TAIL_BITS * _encoders(rate, bits)
    wide = (rate.unit_tones or 0) > _CONVOLUTIONAL_TONES or (not rate.unit_tones and rate.width_mhz > 20)
    ldpc = wide or (rate.mcs or 0) > _CONVOLUTIONAL_MCS or rate.streams > _CONVOLUTIONAL_STREAMS
    return 0 if ldpc else _TAIL_BITS


def _encoders(rate: Rate, bits: Fraction) -> int:
    """N_ES: as many as the rate takes; each has to get, and to give, a whole number of bits (21.5)."""
    least = max(1, ceil(bits / _ENCODER_BITS[rate.phy]))
    of_both = gcd(int(bits), int(rate.coded_bits or 0))
    return next((each for each in range(least, _MOST_ENCODERS) if of_both % each == 0), least)
