"""Radios of mac80211_hwsim in one cell (IBSS): each is every other's station, and nobody has to log in."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.vm.guest.links import shell
from tests.vm.guest.medium import mac

__all__ = ["BSSID", "ETHERTYPE", "GROUP", "join", "known", "radios", "send"]

BSSID, GROUP = "02:11:22:33:44:55", "ff:ff:ff:ff:ff:ff"
ETHERTYPE = b"\x88\xb5"  # IEEE 802, for experiments


@contextmanager
def radios(number: int, *, channels: int = 1) -> Iterator[None]:
    """Interfaces wlan0 and on, which say nothing by themselves; whatever another script left is gone."""
    shell("modprobe -r mac80211_hwsim; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    shell(f"modprobe mac80211_hwsim radios={number} channels={channels}")
    yield
    shell("modprobe -r mac80211_hwsim")


def join(number: int, *, ht: bool = False) -> None:
    """All in one cell and known to each other; without HT by default, as hwsim reports no A-MPDUs."""
    for radio in range(number):
        shell(f"ip link set wlan{radio} down; iw dev wlan{radio} set type ibss; ip link set wlan{radio} up")
        shell(f"iw dev wlan{radio} ibss join cell 2412 {'HT20' if ht else 'NOHT'} fixed-freq {BSSID}")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if all(len(known(radio)) == number - 1 for radio in range(number)):
            return
        for radio in range(number):
            send(radio, GROUP)
        time.sleep(0.3)
    raise RuntimeError(f"no cell: {[known(radio) for radio in range(number)]}")


def send(radio: int, to: str, size: int = 100, *, times: int = 1) -> None:
    """Ethernet frames with so many bytes behind the header."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((f"wlan{radio}", 0))
        addresses = bytes.fromhex((to + mac(radio)).replace(":", ""))
        for _ in range(times):
            sender.send(addresses + ETHERTYPE + bytes(size))


def known(radio: int) -> dict[str, dict[str, str]]:
    """What iw says of each station."""
    said = shell(f"iw dev wlan{radio} station dump")
    found = {}
    for part in re.split(r"^Station ", said, flags=re.MULTILINE)[1:]:
        first, *lines = part.splitlines()
        found[first.split()[0]] = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
    return found
