"""`meshlens wifi` on a busy access point, and the same stations by the API."""

import contextlib
import io
import time
from dataclasses import asdict
from unittest.mock import patch

from meshlens.cli import wifi_stations as cli
from meshlens.cli.main import run
from meshlens.wifi.joined.session import wifi_stations
from tests.vm.guest.links import answer
from tests.vm.guest.wifi_links import access_points, connect, mac, radios, send_ethernet, told

TO_STATION, TO_AP = (100,) * 30, (200,) * 20


def command(*words: str) -> list[str]:
    """What a command line of ours prints; its complaints too."""
    if "Connected" not in told("iw dev wlan1 link"):  # a slow machine may have missed the beacons
        connect("wlan1", mac("wlan0"))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["wifi", *words])
    return [*out.getvalue().splitlines(), err.getvalue(), str(code)]


def main() -> None:
    radios(2)
    with access_points("wlan0"):
        connect("wlan1", mac("wlan0"))
        with wifi_stations() as session:
            send_ethernet("wlan0", mac("wlan1"), *TO_STATION)
            send_ethernet("wlan1", mac("wlan0"), *TO_AP)
            time.sleep(0.3)
            stations = [asdict(each) for each in session.stations()]
            dump = told("iw dev wlan0 station dump")
            absent, missed = dict(session.absent), session.missed
            costs = [each.probe for each in session.costs()]
        with wifi_stations("wlan0", hooks=False, minstrel=False) as session:
            plain = [asdict(each) for each in session.stations()]
        with patch.object(cli, "drop_capabilities"):  # the last one drops them, as it would by itself
            said = {"rate-control": command("-i", "wlan0", "--by", "rate-control", "--duration", "0")}
        said["table"] = command("--duration", "0")
    answer({
        "stations": stations, "iw": dump, "absent": absent, "missed": missed, "costs": costs, "plain": plain,
        "said": said,
    })  # fmt: skip


if __name__ == "__main__":
    main()
