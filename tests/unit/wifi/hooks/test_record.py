"""What several CPUs saw of a station is one record; what was not told is None."""

import struct

import pytest

from meshlens.wifi.hooks.layout import (
    ENTRY_BYTES,
    KEY,
    RATE_KEY,
    Entry,
    RateCount,
    RateKey,
    StationKey,
    in_rate,
    in_signal,
    within,
)
from meshlens.wifi.hooks.rate import HEARD, INDEX
from meshlens.wifi.hooks.record import record
from meshlens.wifi.rates import Rate

MAC = bytes.fromhex("020000000102")
BITRATES = {0: (10, 20)}
SLOW, FAST, RX = bytes([INDEX, 0, *bytes(6)]), bytes([INDEX, 1, *bytes(6)]), bytes([HEARD, 1, *bytes(6)])


def entry(bssid: bytes = bytes(6), signals: dict[str, list[int]] | None = None, **numbers: int) -> Entry:
    """As a program writes it, number by number."""
    value = bytearray(ENTRY_BYTES)

    def put(place: tuple[int, int], number: int) -> None:
        offset, size = place
        value[offset : offset + size] = number.to_bytes(size, "little")

    for name, number in numbers.items():
        put(within(name), number)
    offset = within("bssid").offset
    value[offset : offset + 6] = bssid
    for name, levels in (signals or {}).items():
        put(in_signal(name, "frames"), len(levels))
        put(in_signal(name, "sum"), sum(levels))
        put(in_signal(name, "last"), levels[-1])
        put(in_signal(name, "max"), max(levels))
        put(in_signal(name, "below"), 255 - min(levels))
        for level in levels:
            offset, size = in_signal(name, "bins")
            place = offset + 8 * min(31, level // 4), size
            put(place, int.from_bytes(value[place[0] : place[0] + 8], "little") + 1)
    return Entry.unpack(bytes(value))


def test_numbers_of_cpus_add_up_and_the_latest_is_the_last() -> None:
    later = entry(signals={"rx": [70, 80]}, last_ns=20, rx_frames=2, tx_frames=1)
    earlier = entry(bytes.fromhex("02aabbccddee"), {"rx": [60]}, last_ns=10, rx_last_ns=15, rx_frames=1)
    both = later.plus(earlier)
    assert (both.last_ns, both.numbers["rx_frames"], both.numbers["tx_frames"]) == (20, 3, 1)
    told = record("wlan0", MAC, both, (), BITRATES)
    assert told.bssid == "02:aa:bb:cc:dd:ee"
    assert told.signal is not None
    assert (told.signal.frames, told.signal.last_dbm) == (3, 80 - 128)
    assert (told.signal.min_dbm, told.signal.max_dbm) == (60 - 128, 80 - 128)
    assert told.signal.mean_dbm == -58
    assert told.signal.histogram == {-68: 1, -60: 1, -48: 1}


def test_a_signal_that_only_the_earlier_cpu_saw_is_the_last() -> None:
    both = entry(rx_frames=1).plus(entry(signals={"ack": [50]}))
    assert both.signals["ack"].last == 50


def test_rates_of_cpus_and_forms_are_one_and_those_heard_are_apart() -> None:
    rates = [
        (SLOW, RateCount(1, 4, 1, 400)), (FAST, RateCount(2, 3, 2, 300)), (SLOW, RateCount(1, 1, 0, 100)),
        (RX, RateCount(7, 2, 0, 700)), (bytes(8), RateCount(9, 9, 9, 9)),
    ]  # fmt: skip
    told = record("wlan0", MAC, entry(), rates, BITRATES)
    assert [(each.rate, each.attempts, each.frames, each.acked, each.bytes) for each in told.rates] == [
        (Rate("legacy", 1.0), 5, 2, 1, 500), (Rate("legacy", 2.0), 3, 2, 2, 300),
    ]  # fmt: skip
    assert [(each.rate, each.frames, each.retries, each.bytes) for each in told.rx_rates] == [
        (Rate("legacy", 2.0), 7, 2, 700)
    ]
    assert told.rates[0].loss_ratio == pytest.approx(0.8)
    assert told.rates[0].bit_error_ratio == pytest.approx(1 - 0.2 ** (1 / 800))
    assert told.rates[1].bit_error_ratio == pytest.approx(1 - (2 / 3) ** (1 / 800))


def test_nothing_is_told_of_what_was_not_reported() -> None:
    told = record("wlan0", MAC, entry(tx_frames=3, tx_acked=3), (), BITRATES)
    for name in ("tx_attempts", "tx_retries", "ampdus", "ampdu_frames", "ampdu_acked", "airtime_ns",
                 "airtime_source", "ack_signal", "signal", "rx_fcs_failed", "rx_plcp_failed",
                 "latency_mean_us", "subframe_error_ratio", "rx_bit_error_ratio"):  # fmt: skip
        assert getattr(told, name) is None, name
    assert (told.bssid, told.chain_signals, told.latency_us) == ("", (), {})


def test_ratios_are_of_what_they_say() -> None:
    told = record(
        "wlan0", MAC,
        entry(tx_frames=12, tx_acked=8, tx_failed=2, tx_no_ack_wanted=2, ampdus=1, ampdu_frames=8,
              ampdu_acked=6, rx_frames=9, rx_bytes=9 * 121, rx_fcs_failed=1), (), BITRATES,
    )  # fmt: skip
    assert told.loss_ratio == pytest.approx(0.2)
    assert told.subframe_error_ratio == pytest.approx(0.25)
    assert told.rx_bit_error_ratio == pytest.approx(1 - 0.9 ** (1 / 1000))
    assert record("wlan0", MAC, entry(), (), BITRATES).loss_ratio is None


def test_keys_are_the_same_for_all_cpus() -> None:
    keys = [KEY.pack(2**63, 7, MAC, cpu) for cpu in range(3)]
    assert {StationKey.unpack(key) for key in keys} == {StationKey(2**63, 7, MAC)}
    rate = RATE_KEY.pack(2**63, 7, MAC, 2, SLOW)
    assert rate.startswith(keys[2])
    assert RateKey.unpack(rate) == RateKey(StationKey(2**63, 7, MAC), SLOW)
    assert in_rate("size").offset == struct.calcsize("=3Q")
