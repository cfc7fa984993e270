"""`meshlens wifi` on a busy access point, and the same stations by the API."""

import contextlib
import io
import json
import os
import time
from dataclasses import asdict

from meshlens.cli.main import run
from meshlens.wifi.joined.session import wifi_stations
from tests.vm.guest.links import answer
from tests.vm.guest.radios import radios
from tests.vm.guest.wifi_links import access_points, connect, mac, send_ethernet, told

TO_STATION, TO_AP = (100,) * 30, (200,) * 20


def command(*words: str) -> list[str]:
    """What a command line of ours prints and complains of, its exit code; in a child: it drops rights."""
    if "Connected" not in told("iw dev wlan1 link"):  # a slow machine may have missed the beacons
        connect("wlan1", mac("wlan0"))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(["wifi", *words])
        os.write(writing, json.dumps([*out.getvalue().splitlines(), err.getvalue(), str(code)]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        lines = [str(line) for line in json.load(said)]
    os.waitpid(child, 0)
    return lines


def main() -> None:
    with radios(2), access_points("wlan0"):
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
        said = {
            "rate-control": command("-i", "wlan0", "--by", "rate-control", "--duration", "0"),
            "table": command("--duration", "0"),
        }
    answer({
        "stations": stations, "iw": dump, "absent": absent, "missed": missed, "costs": costs, "plain": plain,
        "said": said,
    })  # fmt: skip


if __name__ == "__main__":
    main()
