"""Stations that join a network, in another kernel: frames given to the program, and frames on the air."""

import socket
import time

from pyroute2.iwutil import IW

from meshlens.classify.kernel.session import verdicts
from meshlens.classify.shipped import find_model
from meshlens.classify.tasks import task
from meshlens.packet.radiotap import parse_radiotap
from meshlens.wifi.monitor.hopping import Hopper
from tests.joining import CAPTURES, definition, frames_of, hostile, is_request, kernel_rows, loaded
from tests.vm.guest.links import answer, shell

MODEL = "wifi-kind"


def main() -> None:
    captures = [frames_of(path) for path in CAPTURES]
    answer(given(captures + [list(hostile(8, seed)) for seed in range(20)]) | on_the_air(captures))


def given(recordings: list[list[bytes]]) -> dict[str, object]:
    """Rows by BPF_PROG_TEST_RUN, beside the definition's."""
    with loaded() as program:
        rows = [(kernel_rows(program, frames), definition(frames)) for frames in recordings]
        return {
            "stations": sum(len(ours) for _, ours in rows),
            "different": [place for place, (theirs, ours) in enumerate(rows) if theirs != ours],
            "verified": program.info().verified_insns,
        }


def on_the_air(recordings: list[list[bytes]]) -> dict[str, object]:
    """Recorded requests, sent once more: what a model in the kernel says, beside what a packet socket got."""
    shell("modprobe mac80211_hwsim radios=2; sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    with IW() as nl80211:
        for name in ("wlan0", "wlan1"):
            nl80211.set_interface_type(socket.if_nametoindex(name), "monitor")
    shell("ip link set wlan0 up; ip link set wlan1 up")
    recording = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    recording.bind(("wlan0", 0))
    recording.settimeout(0.5)
    with verdicts(MODEL, "wlan0") as session, Hopper(["wlan0", "wlan1"], [6]):
        send([data for frames in recordings for data in frames if is_request(data)])
        time.sleep(0.2)
        samples = {each.name: each for each in session.samples()}
        named = {each.name: each.verdict for each in session.verdicts()}
    heard = definition(recorded(recording))
    model = find_model(MODEL)
    places = task(model.task).positions(model.features)
    said = {name: model.classify([row[place] for place in places]).label for name, (row, _) in heard.items()}
    return {
        "live": {name: named[name] for name in sorted(samples)},
        "file": {
            name: None if label is None else model.classes[label] for name, label in sorted(said.items())
        },
        "same_rows": {name: (each.values, each.packets) for name, each in samples.items()} == heard,
    }


def send(frames: list[bytes]) -> None:
    """Send frames without the radiotap and the FCS that they were recorded with."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("wlan1", 0))
        for data in frames:
            tap = parse_radiotap(data)
            end = len(data) - 4 * tap.fcs_at_end
            sender.send(bytes((0, 0, 8, 0, 0, 0, 0, 0)) + data[tap.length : end])
            time.sleep(0.005)


def recorded(recording: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(recording.recv(4096))
    except TimeoutError:
        return found


if __name__ == "__main__":
    main()
