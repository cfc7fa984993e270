"""Station dumps: every attribute is the field it should be; pyroute2 reads the same from the same bytes."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nl80211 import nl80211cmd

from meshlens.ebpf.netlink import attributes
from meshlens.wifi.netlink.nl80211 import Attribute, Command
from meshlens.wifi.netlink.rates import mbps_of, rate_of
from meshlens.wifi.netlink.stations import StationInfo, TidInfo, station_info
from meshlens.wifi.rates import Rate
from tests.unit.wifi.netlink_messages import STATION, Value, datagram, payload, station

#: By attribute: its value, and the field and what stands in it.
TOLD: dict[int, tuple[Value, dict[str, object]]] = {
    1: ((40, 4), {"inactive_ms": 40}),
    6: ((4, 1), {"mesh_link": "established"}),
    7: ((-61, 1), {"signal_dbm": -61}),
    8: ({1: (65, 2), 5: (65, 4), 2: (0, 1)}, {"tx_rate": Rate("ht", mcs=0), "tx_mbps": 6.5}),
    9: ((1000, 4), {"rx_packets": 1000}),
    10: ((2000, 4), {"tx_packets": 2000}),
    11: ((300, 4), {"tx_retries": 300}),
    12: ((4, 4), {"tx_failed": 4}),
    13: ((-63, 1), {"signal_mean_dbm": -63}),
    14: ({1: (540, 2), 5: (540, 4)}, {"rx_rate": Rate("legacy", 54.0), "rx_mbps": 54.0}),
    16: ((86_400, 4), {"connected_s": 86_400}),
    17: (payload((0xFE, 4)) + payload((0x02, 4)), {"authorized": True}),
    18: ((2, 4), {"beacon_loss": 2}),
    23: ((1 << 40, 8), {"rx_bytes": 1 << 40}),
    24: ((1 << 41, 8), {"tx_bytes": 1 << 41}),
    25: ({0: (-62, 1), 1: (-70, 1)}, {"chain_signals_dbm": (-62, -70)}),
    26: ({0: (-64, 1), 2: (-71, 1)}, {"chain_signal_means_dbm": (-64, -71)}),
    27: ((43_000, 4), {"expected_kbps": 43_000}),
    28: ((7, 8), {"rx_dropped": 7}),
    29: ((900, 8), {"beacons": 900}),
    30: ((-60, 1), {"beacon_signal_mean_dbm": -60}),
    31: (
        {1: {1: (5, 8), 2: (6, 8), 3: (7, 8), 4: (8, 8)}, 17: {2: (9, 8)}},
        {"tids": (
            TidInfo(tid=0, rx_msdus=5, tx_msdus=6, tx_retries=7, tx_failed=8), TidInfo(tid=16, tx_msdus=9),
        )},
    ),
    32: ((123_456, 8), {"rx_duration_us": 123_456}),
    34: ((-58, 1), {"ack_signal_dbm": -58}),
    35: ((-59, 1), {"ack_signal_mean_dbm": -59}),
    36: ((5000, 4), {"rx_mpdus": 5000}),
    37: ((60, 4), {"fcs_errors": 60}),
    39: ((654_321, 8), {"tx_duration_us": 654_321}),
    40: ((256, 2), {"airtime_weight": 256}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TOLD)
def test_each_attribute_fills_its_fields_and_no_other(kind: int) -> None:
    value, expected = TOLD[kind]
    info = station_info("wlan0", station({kind: value}))
    assert info == StationInfo(interface="wlan0", mac="02:00:00:00:01:00", **expected)  # type: ignore[arg-type]


def test_every_field_is_told_by_some_attribute() -> None:
    filled = {name for _, expected in TOLD.values() for name in expected}
    assert filled == {field.name for field in fields(StationInfo)} - {"interface", "mac"}


def test_pyroute2_reads_the_same_from_the_same_bytes() -> None:
    values = {kind: value for kind, (value, _) in TOLD.items()}
    message = nl80211cmd(datagram(Command.NEW_STATION, {Attribute.MAC: STATION, Attribute.STA_INFO: values}))
    message.decode()
    theirs = message.get_attr("NL80211_ATTR_STA_INFO")
    ours = station_info("wlan0", station(values))
    assert ours
    for name, field in (
        ("SIGNAL", "signal_dbm"), ("TX_RETRIES", "tx_retries"), ("TX_FAILED", "tx_failed"),
        ("RX_BYTES64", "rx_bytes"), ("ACK_SIGNAL", "ack_signal_dbm"), ("TX_DURATION", "tx_duration_us"),
        ("EXPECTED_THROUGHPUT", "expected_kbps"), ("FCS_ERROR_COUNT", "fcs_errors"),
        ("CONNECTED_TIME", "connected_s"), ("RX_DROP_MISC", "rx_dropped"), ("BEACON_LOSS", "beacon_loss"),
        ("RX_DURATION", "rx_duration_us"), ("BEACON_RX", "beacons"), ("RX_MPDUS", "rx_mpdus"),
    ):  # fmt: skip
        assert theirs.get_attr(f"NL80211_STA_INFO_{name}") == getattr(ours, field), name


def test_bytes_of_64_bits_are_believed_where_both_are_told() -> None:
    info = station_info("wlan0", station({2: (5, 4), 23: ((1 << 32) + 5, 8), 3: (6, 4)}))
    assert info
    assert (info.rx_bytes, info.tx_bytes) == ((1 << 32) + 5, 6)


def test_a_message_without_an_address_is_no_station() -> None:
    assert station_info("wlan0", {Attribute.STA_INFO: payload({7: (-61, 1)})}) is None


@pytest.mark.parametrize(
    ("told", "rate", "mbps"),
    [
        ({1: (10, 2)}, Rate("legacy", 1.0), 1.0),
        ({1: (1350, 2), 2: (7, 1), 3: None}, Rate("ht", mcs=7, width_mhz=40), 135.0),
        ({1: (3000, 2), 2: (15, 1), 3: None, 4: None},
         Rate("ht", mcs=15, streams=2, width_mhz=40, guard_ns=400), 300.0),
        ({5: (8667, 4), 6: (9, 1), 7: (2, 1), 8: None, 4: None},
         Rate("vht", mcs=9, streams=2, width_mhz=80, guard_ns=400), 866.7),
        ({5: (24_019, 4), 13: (11, 1), 14: (2, 1), 15: (0, 1), 10: None},
         Rate("he", mcs=11, streams=2, width_mhz=160), 2401.9),
        ({5: (88, 4), 13: (0, 1), 14: (1, 1), 15: (2, 1), 16: (1, 1), 17: (3, 1)},
         Rate("he", mcs=0, unit_tones=242, guard_ns=3200, dcm=True), 8.8),
        ({5: (57_647, 4), 18: None, 19: (13, 1), 20: (2, 1)},
         Rate("eht", mcs=13, streams=2, width_mhz=320), 5764.7),
        ({5: (1000, 4), 19: (1, 1), 22: (2, 1)}, None, 100.0),
        ({}, None, None),
    ],
)  # fmt: skip
def test_a_rate_is_what_its_flags_say(told: dict[int, Value], rate: Rate | None, mbps: float | None) -> None:
    assert (rate_of(payload(told)), mbps_of(payload(told))) == (rate, mbps)
    if rate and mbps and not rate.unit_tones:
        assert rate.mbps == pytest.approx(mbps, abs=0.1)  # our formula is the kernel's


@given(st.binary(max_size=200))
def test_whatever_the_kernel_says_is_read(data: bytes) -> None:
    assert station_info("wlan0", {Attribute.MAC: STATION, Attribute.STA_INFO: data})
    assert isinstance(attributes(data), dict)
