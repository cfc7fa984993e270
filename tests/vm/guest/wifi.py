"""What nl80211 tells of an access point's station, and what happens to it; `iw` is asked the same."""

import time
from dataclasses import asdict

from meshlens.wifi.events.record import WifiEvent
from meshlens.wifi.events.session import WifiEvents
from meshlens.wifi.netlink.interfaces import wifi_interfaces
from meshlens.wifi.netlink.nl80211 import Nl80211
from meshlens.wifi.netlink.stations import station_infos
from meshlens.wifi.netlink.survey import channel_surveys
from tests.vm.guest.links import answer, shell
from tests.vm.guest.radios import radios
from tests.vm.guest.wifi_links import access_points, apart, connect, mac, send_ethernet, told, until

TO_STATION, TO_AP = (100,) * 30, (200,) * 20


def main() -> None:
    with radios(3), WifiEvents() as events, access_points("wlan0", "wlan2"):
        heard: list[WifiEvent] = []
        connect("wlan1", mac("wlan0"))
        send_ethernet("wlan0", mac("wlan1"), *TO_STATION)
        send_ethernet("wlan1", mac("wlan0"), *TO_AP)
        time.sleep(0.3)
        stations, interfaces = asked()
        shell("iw dev wlan1 disconnect")
        connect("wlan1", mac("wlan2"))
        shell(f"hostapd_cli -i wlan2 deauthenticate {mac('wlan1')} reason=5")
        until(lambda: "Connected" not in told("iw dev wlan1 link"))
        connect("wlan1", mac("wlan0"))
        shell("hostapd_cli -i wlan0 chan_switch 3 2437")
        until(lambda: "2437" in told("iw dev wlan1 link"))
        shell("iw reg set DE")
        time.sleep(0.3)
        apart("wlan1")
        time.sleep(1.2)  # so long without an ACK before the kernel speaks of it
        send_ethernet("wlan0", mac("wlan1"), *(20,) * 60)
        end = time.monotonic() + 15
        while not given_up(heard) and time.monotonic() < end:
            heard += events.wait(0.2) or []
        macs = {name: mac(name) for name in ("wlan0", "wlan1", "wlan2")}
    answer({
        "stations": stations, "survey": survey(), "interfaces": interfaces,
        "events": [asdict(each) for each in heard], "missed": events.missed, "macs": macs,
    })  # fmt: skip


def asked() -> tuple[dict[str, object], list[object]]:
    """Stations, by us and by iw; interfaces."""
    stations: dict[str, object] = {}
    with Nl80211() as nl80211:
        there = wifi_interfaces(nl80211)
        for each in there:
            ours = [asdict(info) for info in station_infos(nl80211, each.name, each.index)]
            stations[each.name] = {"ours": ours, "iw": told(f"iw dev {each.name} station dump")}
    return stations, [asdict(each) for each in there]


def survey() -> dict[str, object]:
    """By us and by iw; a simulated radio keeps one of its scans if it has several channels at a time."""
    with radios(1, channels=2), Nl80211() as nl80211:
        shell("ip link set wlan0 up; iw dev wlan0 scan freq 2412 2437")
        (there,) = wifi_interfaces(nl80211)
        found = channel_surveys(nl80211, there.name, there.index)
        return {"ours": [asdict(each) for each in found], "iw": told("iw dev wlan0 survey dump")}


def given_up(heard: list[WifiEvent]) -> bool:
    """Both sides have noticed: the access point low ACK, the client lost beacons, and then it left."""
    kinds = [each.kind for each in heard]
    return (
        "low-ack" in kinds and "beacon-loss" in kinds and "disconnect" in kinds[kinds.index("beacon-loss") :]
    )


if __name__ == "__main__":
    main()
