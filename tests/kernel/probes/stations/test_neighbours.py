"""Which addresses a MAC address has: what `ip neigh` and `ip addr` were told."""

import pytest

from meshlens.probes.stations.neighbours import addresses_by_mac
from tests.kernel.conftest import NetNsPair

pytestmark = pytest.mark.root

PEER = "02:00:00:00:00:07"


def test_addresses_are_those_of_neighbour_tables_and_of_the_machine_itself(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    near.shell("ip", "addr", "add", "10.9.0.1/24", "dev", "veth0")
    own = near.shell("cat", "/sys/class/net/veth0/address").stdout.strip()
    near.shell("ip", "neigh", "add", "10.9.0.7", "lladdr", PEER, "dev", "veth0")
    near.shell("ip", "neigh", "add", "10.9.0.8", "lladdr", PEER, "dev", "veth0")
    found = near.run(addresses_by_mac)
    assert found[PEER] == {"10.9.0.7", "10.9.0.8"}
    assert found[own] == {"10.9.0.1"}


def test_an_address_that_did_not_answer_has_no_mac(netns_pair: NetNsPair) -> None:
    near = netns_pair.near
    near.shell("ip", "neigh", "add", "10.9.0.9", "lladdr", PEER, "nud", "failed", "dev", "veth0")
    assert PEER not in near.run(addresses_by_mac)
