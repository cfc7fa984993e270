"""Data rates of 802.11: what a frame's modulation, streams, width and guard interval are worth in Mbit/s.

An OFDM symbol carries `tones x bits x coding x streams` data bits, and lasts as long as the inverse of the
tones' distance plus the guard interval. Sources, in IEEE 802.11-2020: 15.2.3.4 and 16.2.3.4 (DSSS, HR/DSSS),
table 17-4 (OFDM), 19.5 (HT), 21.5 (VHT); in IEEE 802.11ax-2021: 27.5 (HE) and table 27-12 (symbol times); in
IEEE 802.11be-2024: 36.5 (EHT).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

__all__ = ["DSSS_MBPS", "LEGACY_MBPS", "OFDM_MBPS", "Phy", "Rate"]

#: Without MCS (802.11b, a, g); with one: 802.11n, ac, ax, be.
Phy = Literal["legacy", "ht", "vht", "he", "eht"]

#: DSSS and HR/DSSS; OFDM; both.
DSSS_MBPS: Final = (1.0, 2.0, 5.5, 11.0)
OFDM_MBPS: Final = (6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0, 54.0)
LEGACY_MBPS: Final = (*DSSS_MBPS, *OFDM_MBPS)

#: Coded bits a tone, and how many of them are data, by MCS: BPSK, QPSK, 16-, 64-, 256-, 1024- and 4096-QAM.
_MODULATIONS: Final = (
    (1, Fraction(1, 2)), (2, Fraction(1, 2)), (2, Fraction(3, 4)), (4, Fraction(1, 2)), (4, Fraction(3, 4)),
    (6, Fraction(2, 3)), (6, Fraction(3, 4)), (6, Fraction(5, 6)), (8, Fraction(3, 4)), (8, Fraction(5, 6)),
    (10, Fraction(3, 4)), (10, Fraction(5, 6)), (12, Fraction(3, 4)), (12, Fraction(5, 6)),
)  # fmt: skip
#: EHT's numbers for BPSK with each bit on two tones, alone and with the channel's halves alike (36.3.13.9).
_EHT_SLOW: Final = {15: 2, 14: 4}
#: Data tones by width in MHz, and of HE's resource units by their tones, pilots included.
_TONES: Final[dict[Phy, dict[int, int]]] = {
    "ht": {20: 52, 40: 108},
    "vht": {20: 52, 40: 108, 80: 234, 160: 468},
    "he": {20: 234, 40: 468, 80: 980, 160: 1960},
    "eht": {20: 234, 40: 468, 80: 980, 160: 1960, 320: 3920},
}
_UNIT_TONES: Final = {26: 24, 52: 48, 106: 102, 242: 234, 484: 468, 996: 980, 1992: 1960, 3984: 3920}
#: The symbol without its guard interval.
_SYMBOL_NS: Final[dict[Phy, int]] = {"legacy": 3200, "ht": 3200, "vht": 3200, "he": 12800, "eht": 12800}
_HIGHEST_MCS: Final[dict[Phy, int]] = {"ht": 7, "vht": 9, "he": 11, "eht": 13}
#: HT numbers modulation and streams together: up to here each stream has the same modulation.
_HT_EQUAL: Final = 31
#: HT's number for the slowest rate of all, sent twice side by side: 6 Mbit/s in 40 MHz (19.5.5).
_HT_DUPLICATE: Final = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """How a frame was sent.

    "legacy" has only `legacy_mbps`, and at 2, 5.5 and 11 Mbit/s perhaps a `short_preamble`. `mcs` is the
    standard's number for this `phy`: in HT it tells the streams too. `width_mhz` is that of the channel; an
    HE or EHT frame in a part of it has `unit_tones` instead (26, 52, 106, 242, 484, 996, 1992, 3984).
    `guard_ns` is the guard interval. `dcm`: each bit on two tones (HE).
    """

    phy: Phy
    legacy_mbps: float | None = None
    mcs: int | None = None
    streams: int = 1
    width_mhz: int = 20
    unit_tones: int | None = None
    guard_ns: int = 800
    dcm: bool = False
    short_preamble: bool = False

    @property
    def mbps(self) -> float | None:
        """Mbit/s; None for a combination that the formula does not know (HT with unequal modulation)."""
        if self.mcs is None:
            return self.legacy_mbps
        bits = self.data_bits
        return None if bits is None else float(1000 * bits / self.symbol_ns)

    @property
    def symbol_ns(self) -> int:
        """How long an OFDM symbol lasts, with its guard interval."""
        return _SYMBOL_NS[self.phy] + self.guard_ns

    @property
    def data_bits(self) -> Fraction | None:
        """Data bits of an OFDM symbol, N_DBPS; None as `mbps`, and for DSSS, which has no such symbols."""
        if self.legacy_mbps in OFDM_MBPS:
            return Fraction(self.legacy_mbps) * 4
        if self.phy == "ht" and self.mcs == _HT_DUPLICATE:
            return Fraction(24)
        coded = self.coded_bits
        return None if coded is None else coded * _MODULATIONS[self._modulation()][1]

    @property
    def coded_bits(self) -> Fraction | None:
        """Bits of an OFDM symbol with a known modulation and coding, the redundant ones too (N_CBPS)."""
        modulation, streams = self._modulation(), self.spatial_streams
        units = _UNIT_TONES if self.unit_tones else _TONES.get(self.phy, {})
        tones = units.get(self.unit_tones or self.width_mhz)
        if tones is None or modulation > _HIGHEST_MCS[self.phy] or not streams:
            return None
        repeated = _EHT_SLOW.get(self.mcs or 0, 1) if self.phy == "eht" else 2 if self.dcm else 1
        return Fraction(tones * _MODULATIONS[modulation][0] * streams, repeated)

    @property
    def spatial_streams(self) -> int | None:
        """How many streams the frame had; None for HT with unequal modulation."""
        if self.phy != "ht" or self.mcs is None:
            return self.streams
        if self.mcs > _HT_DUPLICATE:
            return None
        return self.mcs // 8 + 1 if self.mcs <= _HT_EQUAL else 1

    def _modulation(self) -> int:
        """Its place in the table of modulations."""
        number = self.mcs or 0
        if self.phy == "ht" and number <= _HT_EQUAL:
            return number % 8
        return 0 if self.phy == "eht" and number in _EHT_SLOW else number

    def __str__(self) -> str:
        """As in "54", "11 short", "ht 7", "vht 9x2 80 MHz short", "he 11x1 106 tones 1.6"."""
        if self.mcs is None:
            return f"{self.legacy_mbps:g}" + (" short" if self.short_preamble else "")
        words = [self.phy, str(self.mcs) if self.phy == "ht" else f"{self.mcs}x{self.streams}"]
        if self.unit_tones:
            words.append(f"{self.unit_tones} tones")
        elif self.width_mhz != 20:
            words.append(f"{self.width_mhz} MHz")
        if self.guard_ns != 800:
            words.append("short" if self.guard_ns == 400 else f"{self.guard_ns / 1000:g} us")
        return " ".join([*words, "dcm"] if self.dcm else words)
