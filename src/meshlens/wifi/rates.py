"""Data rates of 802.11: what a frame's modulation, streams, width and guard interval are worth in Mbit/s.

An OFDM symbol carries `tones x bits x coding x streams` data bits, and lasts as long as the inverse of the
tones' distance plus the guard interval. Sources, in IEEE 802.11-2020: 15.2.3.4 and 16.2.3.4 (DSSS, HR/DSSS),
table 17-4 (OFDM), 19.5 (HT), 21.5 (VHT); in IEEE 802.11ax-2021: 27.5 (HE) and table 27-12 (symbol times).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

__all__ = ["LEGACY_MBPS", "Phy", "Rate"]

#: Without MCS (802.11b, a, g); with one: 802.11n, ac, ax.
Phy = Literal["legacy", "ht", "vht", "he"]

#: DSSS and HR/DSSS, then OFDM.
LEGACY_MBPS: Final = (1.0, 2.0, 5.5, 11.0, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0, 54.0)

#: Coded bits a tone, and how many of them are data, by MCS: BPSK, QPSK, 16-, 64-, 256- and 1024-QAM.
_MODULATIONS: Final = (
    (1, Fraction(1, 2)), (2, Fraction(1, 2)), (2, Fraction(3, 4)), (4, Fraction(1, 2)), (4, Fraction(3, 4)),
    (6, Fraction(2, 3)), (6, Fraction(3, 4)), (6, Fraction(5, 6)), (8, Fraction(3, 4)), (8, Fraction(5, 6)),
    (10, Fraction(3, 4)), (10, Fraction(5, 6)),
)  # fmt: skip
#: Data tones by width in MHz, and of HE's resource units by their tones, pilots included.
_TONES: Final[dict[Phy, dict[int, int]]] = {
    "ht": {20: 52, 40: 108},
    "vht": {20: 52, 40: 108, 80: 234, 160: 468},
    "he": {20: 234, 40: 468, 80: 980, 160: 1960},
}
_UNIT_TONES: Final = {26: 24, 52: 48, 106: 102, 242: 234, 484: 468, 996: 980, 1992: 1960}
#: The symbol without its guard interval.
_SYMBOL_NS: Final[dict[Phy, int]] = {"ht": 3200, "vht": 3200, "he": 12800}
_HIGHEST_MCS: Final[dict[Phy, int]] = {"ht": 7, "vht": 9, "he": 11}
#: HT numbers modulation and streams together: up to here each stream has the same modulation.
_HT_EQUAL: Final = 31
#: HT's number for the slowest rate of all, sent twice side by side: 6 Mbit/s in 40 MHz (19.5.5).
_HT_DUPLICATE: Final = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """How a frame was sent.

    "legacy" has only `legacy_mbps`. `mcs` is the standard's number for this `phy`: in HT it tells the
    streams too. `width_mhz` is that of the channel; an HE frame in a part of it has `unit_tones` instead (26,
    52, 106, 242, 484, 996, 1992). `guard_ns` is the guard interval. `dcm`: each bit on two tones (HE).
    """

    phy: Phy
    legacy_mbps: float | None = None
    mcs: int | None = None
    streams: int = 1
    width_mhz: int = 20
    unit_tones: int | None = None
    guard_ns: int = 800
    dcm: bool = False

    @property
    def mbps(self) -> float | None:
        """Mbit/s; None for a combination that the formula does not know (HT with unequal modulation)."""
        if self.mcs is None:
            return self.legacy_mbps
        modulation, streams = self.mcs, self.streams
        if self.phy == "ht":
            if self.mcs == _HT_DUPLICATE:
                return float(Fraction(24_000, 3200 + self.guard_ns))
            if self.mcs > _HT_EQUAL:
                return None
            streams, modulation = self.mcs // 8 + 1, self.mcs % 8
        units = _UNIT_TONES if self.unit_tones else _TONES.get(self.phy, {})
        tones = units.get(self.unit_tones or self.width_mhz)
        if tones is None or modulation > _HIGHEST_MCS[self.phy] or not streams:
            return None
        bits, coding = _MODULATIONS[modulation]
        data_bits = tones * bits * coding * streams / (2 if self.dcm else 1)
        return float(1000 * data_bits / (_SYMBOL_NS[self.phy] + self.guard_ns))

    def __str__(self) -> str:
        """As in "54", "ht 7", "vht 9x2 80 MHz short", "he 11x1 106 tones 1.6"."""
        if self.mcs is None:
            return f"{self.legacy_mbps:g}"
        words = [self.phy, str(self.mcs) if self.phy == "ht" else f"{self.mcs}x{self.streams}"]
        if self.unit_tones:
            words.append(f"{self.unit_tones} tones")
        elif self.width_mhz != 20:
            words.append(f"{self.width_mhz} MHz")
        if self.guard_ns != 800:
            words.append("short" if self.guard_ns == 400 else f"{self.guard_ns / 1000:g} us")
        return " ".join([*words, "dcm"] if self.dcm else words)
