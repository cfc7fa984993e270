"""The example that the documentation explains counts what is sent to it."""

import os
import subprocess
import sys

import pytest

from tests.kernel.conftest import NetNsPair

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def frame(ethertype: int, ttl_offset: int, ttl: int) -> bytes:
    data = bytearray(b"\xff" * 6 + b"\2\0\0\0\0\1" + ethertype.to_bytes(2, "big") + bytes(46))
    data[14 + ttl_offset] = ttl
    return bytes(data)


def test_the_ttl_histogram_counts_by_ttl_and_hop_limit(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    command = ["ip", "netns", "exec", near.name, sys.executable, "examples/ttl_histogram.py", "veth0", "0.5"]
    environment = os.environ | {"PYTHONPATH": "src"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counting\n"
        v4 = [frame(0x0800, 8, ttl) for ttl in (64, 64, 255, 1)]
        v6 = [frame(0x86DD, 7, hop_limit) for hop_limit in (255, 255)]
        short = frame(0x0800, 8, 64)[:20]
        far.send(*v4, *v6, frame(0x0806, 8, 64), short)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.splitlines() == ["TTL   1: 1 frames", "TTL  64: 2 frames", "TTL 255: 3 frames"]
