"""What stations are called: files of the administrator, their own names, their addresses."""

import os
from pathlib import Path

import pytest

from meshlens.probes.stations.names import StationNames, read_hosts, read_macs

PHONE, ROUTER = "02:00:00:00:00:0a", "00:11:22:33:44:05"


def test_lines_of_addresses_and_names_may_stand_either_way_round() -> None:
    text = f"# mesh\n{PHONE} phone # mine\nrouter 00:11:22:33:44:5\n\nnovel line\n02-00-00-00-00-0B tablet\n"
    assert read_macs(text) == {PHONE: "phone", ROUTER: "router", "02:00:00:00:00:0b": "tablet"}


@pytest.mark.parametrize("text", ["a b", "02:00:00:00:00 x", "02:00:00:00:00:0g x", "1:2:3:4:5:678 x"])
def test_what_is_no_address_has_no_name(text: str) -> None:
    assert read_macs(text) == {}


def test_the_first_name_of_a_host_counts() -> None:
    assert read_hosts("192.0.2.1 router gw\n::1 localhost\n") == {"192.0.2.1": "router", "::1": "localhost"}


def test_a_given_name_goes_before_the_one_that_a_station_calls_itself(tmp_path: Path) -> None:
    (tmp_path / "ethers").write_text(f"{PHONE} given\n")
    names = StationNames(tmp_path)
    assert names.name(PHONE, "itself") == "given"
    assert names.name(ROUTER, "itself") == "itself"
    assert names.name(ROUTER, "") == ""
    names.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")
@pytest.mark.root
def test_the_neighbour_table_gives_addresses_ipv4_first_and_their_names(tmp_path: Path) -> None:
    from tests.kernel.conftest import make_netns_pair

    (tmp_path / "hosts").write_text("10.9.0.7 printer\n")
    with make_netns_pair(quiet=False) as pair:
        for address, mac in (("fe80::7", PHONE), ("10.9.0.7", PHONE), ("fe80::9", ROUTER)):
            pair.near.shell("ip", "neigh", "add", address, "lladdr", mac, "dev", "veth0")
        names = pair.near.run(lambda: StationNames(tmp_path))
        names.refresh()
        assert names.name(PHONE, "") == "printer"
        assert names.name(ROUTER, "") == "fe80::9"
        names.close()
