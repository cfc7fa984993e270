"""Airtime beside the kernel's: its table for HT, VHT and HE, and its function for the rates without MCS.

mac80211 has one formula for all (ieee80211_calc_rx_airtime(), net/mac80211/airtime.c, by which
ieee80211_calc_tx_airtime() goes for each attempt): bytes x a table's duration of 1024 bytes, plus 36 us and 4
for each stream. The table is read from the kernel's memory, every entry of it. The formula is an estimate: it
splits symbols, and counts SIFS; how far it can be from the standard follows from that, and is asserted.
"""

import shutil
import struct
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import pytest

from meshlens.wifi.airtime import airtime_ns, preamble_ns
from meshlens.wifi.rates import DSSS_MBPS, OFDM_MBPS, Phy, Rate
from tests.vm.conftest import VirtualMachine

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("hostapd", "iw"))), reason="no hostapd or iw")

LENGTHS = (14, 100, 576, 1024, 1500, 2304, 7935, 65535)
WIDTHS_MHZ = (20, 40, 80, 160)
#: The table's bytes, its unit (1/1024 us), and how far its bits of a symbol of HE are from the standard's.
TABLE_BYTES, UNITS, HE_ERROR = 1024, 1024, Fraction("0.018")
#: From the last bit of a frame to the first of its ACK: SIFS, in 2.4 GHz with the signal extension.
SIFS_US = {"dsss": 10, "ofdm": 16}


class Entry(NamedTuple):
    """A rate, and how long the kernel takes 1024 bytes at it, in 1/1024 us."""

    rate: Rate
    units: int
    shift: int

    def kernel_us(self, length: int) -> int:
        """ieee80211_calc_rx_airtime()."""
        return self.units * length // TABLE_BYTES // UNITS + 36 + 4 * self.rate.streams


def entries(constant: dict[str, Any]) -> list[Entry]:
    """airtime_mcs_groups[], in its order: width, guard interval, streams."""
    memory, size, at = bytes.fromhex(constant["bytes"]), constant["shape"]["size"], 0
    found = []
    kinds: list[tuple[Phy, int, tuple[int, ...], int, int]] = [
        ("ht", 2, (800, 400), 4, 8), ("vht", 4, (800, 400), 4, 10), ("he", 4, (800, 1600, 3200), 8, 12),
    ]  # fmt: skip
    for phy, widths, guards, most_streams, numbers in kinds:
        for width in WIDTHS_MHZ[:widths]:
            for guard in guards:
                for streams in range(1, most_streams + 1):
                    shift = memory[at + constant["shape"]["shift"]]
                    for mcs in range(numbers):
                        (scaled,) = struct.unpack_from(
                            "<H", memory, at + constant["shape"]["duration"] + 2 * mcs
                        )
                        number = 8 * (streams - 1) + mcs if phy == "ht" else mcs
                        rate = Rate(phy, None, number, streams, width, None, guard)
                        found.append(Entry(rate, scaled << shift, shift))
                    at += size
    assert len(found) == 128 + 320 + 1152
    return found


@pytest.fixture
def table(vm: VirtualMachine) -> list[Entry]:
    return entries(vm.ask("minstrel")["constants"]["airtime_mcs_groups"])


def test_the_kernel_s_table_is_its_formula_with_our_bits_of_a_symbol(table: list[Entry]) -> None:
    """HT and VHT to the last bit; of HE, the bits of a symbol stand there rounded."""
    for rate, units, shift in table:
        bits, symbol = rate.data_bits, Fraction(rate.symbol_ns, 1000)
        assert bits, rate
        whole = int(bits / rate.streams) * rate.streams  # of one stream, in whole bits
        kilosymbols = ceil(Fraction(8 * TABLE_BYTES * 1024, whole))
        if rate.phy == "he":
            assert abs(units - kilosymbols * symbol) <= kilosymbols * symbol * HE_ERROR + (1 << shift), rate
        else:
            assert units == int(kilosymbols * symbol) >> shift << shift, rate


@pytest.mark.parametrize("length", LENGTHS)
def test_airtime_is_the_kernel_s_as_far_as_that_is_exact(table: list[Entry], length: int) -> None:
    """The kernel leaves out SERVICE, tail and the rest of the last symbol, and its numbers are rounded."""
    for entry in table:
        rate, bits, symbol = entry.rate, entry.rate.data_bits, Fraction(entry.rate.symbol_ns, 1000)
        ours, preamble = airtime_ns(rate, length), preamble_ns(rate)
        assert ours, rate
        assert preamble, rate
        assert bits, rate
        overhead = Fraction(preamble, 1000) - (36 + 4 * rate.streams)  # ours above the kernel's
        data = Fraction(8 * length) / bits * symbol
        # HE's bits of a symbol, VHT's that are cut to whole ones; the table's steps; what divisions leave.
        error = HE_ERROR if rate.phy == "he" else bits / (int(bits / rate.streams) * rate.streams) - 1
        rounding = data * error + Fraction(length * ((1 << entry.shift) + 6), TABLE_BYTES * UNITS) + 1
        most_tail = 6 * 9  # an encoder's tail is 6 bits; up to 4 streams there are 6, and HE has none or one
        last = symbol * (1 + Fraction(16 + most_tail) / bits) + 4  # short symbols fill long ones
        difference = Fraction(ours, 1000) - entry.kernel_us(length) - overhead
        assert -rounding <= difference <= last + rounding, (rate, float(difference))


def test_frames_without_mcs_are_as_long_as_the_kernel_reckons(vm: VirtualMachine) -> None:
    """ieee80211_frame_duration() of net/mac80211/util.c counts SIFS too, and a length without FCS."""
    reached = set()
    for (band, length, tenths, erp, short), result in vm.ask("minstrel")["durations"]:
        kind, rates = ("ofdm", OFDM_MBPS) if erp else ("dsss", DSSS_MBPS)
        mbps = tenths / 10
        # The kernel reckons the ACK of an OFDM frame as OFDM whatever its rate is, and short at 1 Mbit/s.
        if mbps in rates and not (mbps == 1 and short):
            ours = airtime_ns(Rate("legacy", mbps, short_preamble=bool(short)), length + 4)
            assert (band, ours) == (0, 1000 * (result - SIFS_US[kind])), mbps
            reached.add(mbps)
    assert {1, 6} <= reached  # by which Minstrel reckons its overhead; others as frames were acknowledged


def test_frames_without_mcs_are_as_long_as_minstrel_takes_them(vm: VirtualMachine) -> None:
    """CCK_DURATION(), OFDM_DURATION() of rc80211_minstrel_ht.c: 1200 bytes, FCS, SIFS.

    A part of a symbol is cut, and SERVICE and tail are divided by ten with what is in tenths.
    """
    constant = vm.ask("minstrel")["constants"]["minstrel_mcs_groups"]
    shape, memory = constant["shape"], bytes.fromhex(constant["bytes"])
    rates = [Rate("legacy", mbps, short_preamble=short) for short in (False, True) for mbps in DSSS_MBPS]
    for group, kind, rounding_us, its_rates in (
        (16, "dsss", 1, rates),
        (17, "ofdm", 2 * 4, [Rate("legacy", mbps) for mbps in OFDM_MBPS]),
    ):
        at = group * shape["size"]
        step = 1 << memory[at + shape["shift"]]
        for place, rate in enumerate(its_rates):
            if rate.legacy_mbps == 1 and rate.short_preamble:
                continue  # as above
            (scaled,) = struct.unpack_from("<H", memory, at + shape["duration"] + 2 * place)
            ours = airtime_ns(rate, 1204)
            assert ours, rate
            left = ours + 1000 * SIFS_US[kind] - scaled * step
            assert 0 <= left <= 1000 * rounding_us + step, rate


def test_mac80211_hwsim_never_has_airtime_reckoned(vm: VirtualMachine) -> None:
    """Why the table is read instead: drivers with airtime queue limits ask for it, and mt76 by itself."""
    assert set(vm.ask("minstrel")["airtime calls"].values()) == {0}
