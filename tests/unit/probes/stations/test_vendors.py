"""Whose address it is, by the packed registry."""

import subprocess
import sys

import pytest

from meshlens.probes.stations.vendors import VENDORS, vendor_of


@pytest.mark.parametrize(
    ("mac", "name"),
    [
        ("00:00:00:12:34:56", "XEROX CORPORATION"),  # the first of all
        ("fc:ff:aa:00:00:00", "IEEE Registration Authority"),  # the last one, given on in smaller pieces
        ("00:50:c2:7d:51:23", "DEUTA-WERKE GmbH"),  # 36 bits
        ("74:1a:e0:91:23:45", "Private"),  # 28 bits
    ],
)
def test_the_longest_prefix_that_was_assigned_counts(mac: str, name: str) -> None:
    assert vendor_of(mac) == name


@pytest.mark.parametrize("mac", ["02:00:00:00:00:01", "ee:ee:ee:00:00:00", "00:00:00:00:00:00"])
def test_a_locally_administered_address_has_no_vendor(mac: str) -> None:
    assert (vendor_of(mac) == "") == bool(int(mac[:2], 16) & 2)


def test_the_packed_registry_stays_small() -> None:
    assert VENDORS.stat().st_size < 400 * 1024


def test_look_ups_take_little_memory() -> None:
    code = (
        "import resource, json\n"
        "from meshlens.probes.stations.vendors import vendor_of\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "macs = (f'00:{n >> 8:02x}:{n & 255:02x}:00:00:01' for n in range(0, 65536, 97))\n"
        "found = sum(bool(vendor_of(mac)) for mac in macs)\n"
        "print(found, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, kibibytes = map(int, done.stdout.split())
    assert found > 100
    assert kibibytes < 3 * 1024
