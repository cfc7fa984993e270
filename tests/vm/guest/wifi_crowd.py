"""What it takes to read 100 stations of an access point: CPU time of a reading, memory of the process."""

import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from meshlens.ebpf.netlink import attribute
from meshlens.outputs.wifi_stations import station_table
from meshlens.wifi.joined.session import wifi_stations
from meshlens.wifi.netlink.nl80211 import Attribute, Command, Nl80211, u32
from tests.vm.guest.links import answer
from tests.vm.guest.radios import radios
from tests.vm.guest.wifi_links import access_points, send_ethernet

_AID, _LISTEN_INTERVAL, _RATES, _FLAGS = 16, 18, 19, 67
#: Authorized, WME, authenticated, associated (enum nl80211_sta_flags).
_JOINED = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7


def main(stations: int, rounds: int) -> None:
    with radios(1), access_points("wlan0"):
        macs = [struct.pack(">HI", 0x0200, 0x1000 + number) for number in range(stations)]
        for number, mac in enumerate(macs, 1):
            join("wlan0", mac, number)
        before_mib = resident_mib()
        with wifi_stations("wlan0", hooks=False, minstrel=False) as session:
            plain_ms = cpu_ms(session.stations, rounds)
        with wifi_stations("wlan0") as session:
            for mac in macs:
                send_ethernet("wlan0", mac.hex(":"), 100)  # nobody acknowledges them
            time.sleep(1)
            all_ms = cpu_ms(session.stations, rounds)
            found = session.stations()
            drawn_ms = cpu_ms(lambda: station_table(found, session.missed, session.absent, 1), rounds)
            answer({
                "stations": len(found), "hooked": sum(bool(each.tx_frames) for each in found),
                "absent": session.absent, "ms": {"nl80211 alone": plain_ms, "all sources": all_ms},
                "table_ms": drawn_ms, "resident_mib": resident_mib(), "before_mib": before_mib,
            })  # fmt: skip


def join(interface: str, mac: bytes, number: int) -> None:
    """What hostapd has the kernel do when a station has associated."""
    body = u32(Attribute.IFINDEX, socket.if_nametoindex(interface)) + attribute(Attribute.MAC, mac)
    body += attribute(_RATES, bytes([2, 4, 11, 22, 12, 18, 24, 36, 48, 72, 96, 108]))
    body += attribute(_LISTEN_INTERVAL, struct.pack("=H", 10)) + attribute(_AID, struct.pack("=H", number))
    body += attribute(_FLAGS, struct.pack("=II", _JOINED, _JOINED))
    with Nl80211() as nl80211:
        nl80211.do(Command.NEW_STATION, body)


def cpu_ms(act: Callable[[], object], rounds: int) -> float:
    """CPU time of one, user and system."""
    act()
    began = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(rounds):
        act()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent_s = used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime
    return 1000 * spent_s / rounds


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
