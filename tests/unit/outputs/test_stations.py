"""Stations as text: what stands in a table of 80 columns, and what JSON says."""

import json
from dataclasses import replace

import pytest

from meshlens.outputs.stations import station_json, station_table, summary_json, summary_line
from meshlens.probes.stations.record import DhcpFingerprint, Station
from meshlens.readings.rates import rates
from meshlens.readings.reading import Reading

PHONE = Station(
    interface="wlan0",
    mac="00:00:00:12:34:56",
    kind="station",
    first_ns=0,
    last_ns=10**9,
    in_packets=1000,
    in_bytes=123_456,
    out_packets=7,
    out_bytes=700,
    unicast=990,
    multicast=8,
    broadcast=2,
    protocols={"ipv4": 1007, "udp": 900, "quic": 800, "mdns": 100, "tcp": 50, "https": 50, "arp": 3},
    sizes=(0,) * 16,
    gaps=(0,) * 24,
    seen=frozenset({"mdns", "dhcp"}),
    dhcp=DhcpFingerprint((53, 55), (1, 3), "android-dhcp-13", "phone"),
    name="phone",
    vendor="XEROX CORPORATION",
)
OTHER = replace(PHONE, mac="02:00:00:00:00:01", name="", vendor="", kind="inner", interface="mesh0")
LONG = replace(PHONE, name="a name that never ends " * 9, protocols=dict.fromkeys(PHONE.protocols, 10**15))


def lines(*stations: Station, width: int = 80) -> list[str]:
    return station_table(stations, width=width).splitlines()


def test_a_row_has_address_name_vendor_numbers_and_telling_protocols() -> None:
    heading, row = lines(PHONE)
    assert heading.split() == "station name, vendor p. in B in p. out B out protocols".split()
    assert row.split() == "00:00:00:12:34:56 phone, XEROX CORPORA… 1.00k 123k 7 700 quic mdns".split()


def test_kind_and_interface_stand_there_only_where_they_differ() -> None:
    assert "kind" not in lines(PHONE)[0]
    heading, *rows = lines(PHONE, OTHER, width=100)
    assert heading.split()[:3] == ["station", "kind", "interface"]
    assert [row.split()[1:3] for row in rows] == [["outer", "wlan0"], ["inner", "mesh0"]]


def test_a_locally_administered_address_is_said_to_be_one() -> None:
    assert "(local addr.)" in lines(OTHER)[1]


@pytest.mark.parametrize("stations", [(PHONE,), (PHONE, OTHER), (LONG, OTHER), ()])
@pytest.mark.parametrize("width", [20, 80, 100, 200])
def test_no_line_is_longer_than_the_terminal_or_80(stations: tuple[Station, ...], width: int) -> None:
    assert all(len(line) <= max(width, 80) for line in lines(*stations, width=width))


def test_with_rates_there_are_bits_per_second() -> None:
    later = replace(PHONE, in_bytes=PHONE.in_bytes + 1_000_000)
    since = rates(Reading(0, stations=(PHONE,)), Reading(2 * 10**9, stations=(later,)))
    heading, row = station_table([later], since.stations).splitlines()
    assert "b/s in" in heading
    assert "4.00M" in row


def test_only_so_many_rows_are_shown() -> None:
    assert len(station_table([PHONE] * 9, rows=4).splitlines()) == 5


def test_json_has_all_that_is_known() -> None:
    told = json.loads(station_json(PHONE))
    assert told["seen"] == ["dhcp", "mdns"]
    assert told["dhcp"] == {
        "options": [53, 55], "requested": [1, 3], "vendor_class": "android-dhcp-13", "hostname": "phone"
    }  # fmt: skip
    assert set(told) == set(Station.__dataclass_fields__)


def test_the_summary_names_reasons_only_where_something_was_missed() -> None:
    assert summary_line(3, {"map_full": 0, "fetched": 0}, 2).endswith("missed: 0 packets")
    assert summary_line(3, {"map_full": 4, "fetched": 0}, 2).endswith("missed: 4 packets (map_full 4)")
    assert json.loads(summary_json(3, {"map_full": 4}, 2)) == {
        "stations": 3, "group": 2, "missed": 4, "reasons": {"map_full": 4}
    }  # fmt: skip
