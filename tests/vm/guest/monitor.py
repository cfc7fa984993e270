"""What a monitor interface of mac80211 hears of another radio; a packet socket beside it hears the same."""

import socket
import time
from dataclasses import asdict, replace

from pyroute2.iwutil import IW

from meshlens.packet.craft_wifi import dot11, radiotap
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.wifi.monitor.hopping import Hopper
from meshlens.wifi.monitor.record import Transmitter, records
from meshlens.wifi.monitor.session import transmitters
from meshlens.wifi.monitor.table import MonitorTable
from tests.vm.guest.links import answer, shell

AP, STATION, OTHER = "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03"
FRAMES = [
    dot11("beacon", "ff:ff:ff:ff:ff:ff", AP, AP, bytes(60)),
    dot11("data", AP, STATION, AP, bytes(100), flags=HeaderFlag.TO_DS),
    dot11("data", AP, STATION, AP, bytes(100), flags=HeaderFlag.TO_DS | HeaderFlag.RETRY),
    dot11("probe-req", "ff:ff:ff:ff:ff:ff", OTHER, "ff:ff:ff:ff:ff:ff", bytes(20)),
]
TIMES = 5


def main() -> None:
    shell("modprobe mac80211_hwsim radios=2; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    with IW() as nl80211:
        for name in ("wlan0", "wlan1"):
            nl80211.set_interface_type(socket.if_nametoindex(name), "monitor")
    shell("ip link set wlan0 up; ip link set wlan1 up")
    recording = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    recording.bind(("wlan0", 0))
    recording.settimeout(0.5)
    with transmitters("wlan0") as session, transmitters("wlan0", filter="wlan type mgt") as filtered:
        with Hopper(["wlan1"], [6]):
            with Hopper(["wlan0"], [6]):
                send()
            with Hopper(["wlan0"], [1]):
                send()  # nobody hears it there
        time.sleep(0.2)
        answer({
            "heard": [plain(each) for each in session.transmitters()],
            "recorded": [plain(each) for each in recorded(recording)],
            "filtered": [plain(each) for each in filtered.transmitters()],
            "outcomes": session.outcomes,
        })  # fmt: skip


def send() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("wlan1", 0))
        for _ in range(TIMES):
            for frame in FRAMES:
                sender.send(radiotap() + frame)
                time.sleep(0.005)


def recorded(recording: socket.socket) -> list[Transmitter]:
    """By the definition, of what the packet socket got."""
    table = MonitorTable()
    try:
        while True:
            data = recording.recv(4096)
            table.add(data, len(data), 127, 1)
    except TimeoutError:
        return records("wlan0", table.entries, table.rates)


def plain(each: Transmitter) -> dict[str, object]:
    """Without times, of which the socket knows nothing."""
    return asdict(replace(each, first_ns=0, last_ns=0))


main()
