"""Radios in an IBSS on a medium whose losses and signals are known, watched at mac80211's functions."""

import re
import socket
import time
from dataclasses import asdict

from meshlens.ebpf.tracing import Hook
from meshlens.wifi.hooks.session import hooked_stations
from tests.vm.guest.links import answer, shell
from tests.vm.guest.medium import Link, Medium, mac

RADIOS = 3
#: Signals, tries and duplicates of data frames, from radio to radio.
LINKS = {
    (0, 1): ((-60,), (3,), 0),
    (1, 0): ((-70, -71, -73, -30), (2, 1, 0, 4), 0),
    (0, 2): ((-45, -88), (1, 1, 1, 0), 4),
    (2, 0): ((-50,), (1,), 0),
}
FRAMES = 24
BYTES = 100
HOOKS: tuple[Hook, ...] = ("fentry", "kprobe")


def main() -> None:
    shell(f"modprobe mac80211_hwsim radios={RADIOS}; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    with Medium(RADIOS, {ends: Link(*how) for ends, how in LINKS.items()}) as medium:
        join()
        answer({hook: watched(hook, medium) for hook in HOOKS})


def join() -> None:
    """All radios in one cell, without HT, whose A-MPDUs hwsim does not report on."""
    for radio in range(RADIOS):
        shell(f"ip link set wlan{radio} down; iw dev wlan{radio} set type ibss; ip link set wlan{radio} up")
        shell(f"iw dev wlan{radio} ibss join cell 2412 NOHT fixed-freq 02:11:22:33:44:55")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if all(len(known(radio)) == RADIOS - 1 for radio in range(RADIOS)):
            return
        for radio in range(RADIOS):
            send(radio, b"\xff" * 6, 1)
        time.sleep(0.3)
    raise RuntimeError(f"no cell: {[known(radio) for radio in range(RADIOS)]}")


def watched(hook: Hook, medium: Medium) -> dict[str, object]:
    """Data both ways on all links; what the session, iw and the medium say of it."""
    with hooked_stations(hooks=(hook,)) as session:
        medium.quiet = True
        time.sleep(0.3)
        medium.begin_again()
        before = {radio: known(radio) for radio in range(RADIOS)}
        for _ in range(FRAMES):
            for source, to in LINKS:
                send(source, bytes.fromhex(mac(to).replace(":", "")), 1)
                time.sleep(0.01)
        settle(medium)
        after = {radio: known(radio) for radio in range(RADIOS)}
        medium.quiet = False
        return {
            "functions": session.functions,
            "stations": [asdict(each) for each in session.stations()],
            "outcomes": session.outcomes, "missed": session.missed,
            "costs": [asdict(each) for each in session.costs()],
            "medium": {f"wlan{source} {mac(to)}": [dict(link.truth), dict(link.heard_at)]
                       for (source, to), link in medium.links.items()},
            "iw": {f"wlan{radio} {station}": [before[radio][station], numbers]
                   for radio, found in after.items() for station, numbers in found.items()},
        }  # fmt: skip


def settle(medium: Medium) -> None:
    deadline = time.monotonic() + 10
    while (
        any(each.truth["frames"] < FRAMES for each in medium.links.values()) and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    time.sleep(0.3)


def send(radio: int, to: bytes, times: int) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((f"wlan{radio}", 0))
        source = bytes.fromhex(mac(radio).replace(":", ""))
        for _ in range(times):
            sender.send(to + source + b"\x88\xb5" + bytes(BYTES))


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


if __name__ == "__main__":
    main()
