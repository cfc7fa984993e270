"""A veth pair that carries mesh frames."""

import pytest

from tests.kernel.conftest import NetNsPair
from tests.kernel.count.traffic import MTU


@pytest.fixture
def mesh(netns_pair: NetNsPair) -> NetNsPair:
    """Two namespaces; what is sent `far` is counted coming in `near`."""
    for ns in netns_pair:
        ns.shell("ip", "link", "set", "veth0", "mtu", str(MTU))
    return netns_pair
