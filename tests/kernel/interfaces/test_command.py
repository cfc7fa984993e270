"""`meshlens interfaces`: what it prints, and that it leaves nothing attached."""

import json
import os
import signal
import subprocess
import sys

import pytest

from meshlens.ebpf import attached
from tests.kernel.conftest import NetNs, NetNsPair
from tests.kernel.ebpf.counting import FRAME

pytestmark = pytest.mark.root


def command(ns: NetNs, *words: str) -> list[str]:
    inside = ["nsenter", f"--net=/run/netns/{ns.name}"]
    return [*inside, sys.executable, "-m", "meshlens", "interfaces", *words]


def test_at_ctrl_c_the_sums_are_printed_and_nothing_stays_attached(netns_pair: NetNsPair) -> None:
    near, far = netns_pair
    words = command(far, "-i", "veth0", "--json", "--interval", "0.1")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        near.send(*[FRAME] * 5)
        far.send(*[FRAME] * 3)
        running.send_signal(signal.SIGINT)
        *_, last, missed = map(json.loads, running.stdout.read().splitlines())
        assert running.wait(10) == 130
    assert (first["interface"], first["in"]["packets"]) == ("veth0", 0)
    assert [last[way]["ethertypes"] for way in ("in", "out")] == [
        {"exp1": {"packets": 5, "bytes": 300}},
        {"exp1": {"packets": 3, "bytes": 180}},
    ]
    assert last["in"]["broadcast"] == 5
    assert last["drops"]["rx_dropped"] >= 5
    assert missed == {"missed": 0, "reasons": {"unreadable": 0}}
    assert far.run(lambda: attached(far.ifindex)) == []


def test_into_a_pipe_the_table_is_printed_once_with_sums(netns_pair: NetNsPair) -> None:
    done = subprocess.run(
        command(netns_pair.far, "--duration", "0.3"), check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "interface", "lo", "veth0", "missed:",
    ]  # fmt: skip


def test_on_a_terminal_the_table_has_rates_and_then_the_sums(netns_pair: NetNsPair) -> None:
    words = " ".join(command(netns_pair.far, "-i", "veth0", "--interval", "0.2", "--duration", "0.7"))
    environment = {**os.environ, "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    done = subprocess.run(
        ["script", "-qec", words, "/dev/null"], check=True, capture_output=True, text=True, env=environment
    )
    assert "pkt/s" in done.stdout
    assert "packets  bytes" in done.stdout.rpartition("pkt/s")[2]


def test_an_unknown_interface_is_an_error_of_one_line(netns_pair: NetNsPair) -> None:
    done = subprocess.run(command(netns_pair.far, "-i", "wlan7"), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "meshlens: no interface 'wlan7'; there are lo, veth0\n")
