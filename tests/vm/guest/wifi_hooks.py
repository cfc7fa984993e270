"""Radios in an IBSS on a medium whose losses and signals are known, watched at mac80211's functions."""

import time
from dataclasses import asdict

from meshlens.ebpf.tracing import Hook
from meshlens.wifi.hooks.session import hooked_stations
from tests.vm.guest.links import answer
from tests.vm.guest.medium import Link, Medium, mac
from tests.vm.guest.radios import join, known, radios, send

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
    with radios(RADIOS), Medium(RADIOS, {ends: Link(*how) for ends, how in LINKS.items()}) as medium:
        join(RADIOS)
        answer({hook: watched(hook, medium) for hook in HOOKS})


def watched(hook: Hook, medium: Medium) -> dict[str, object]:
    """Data both ways on all links; what the session, iw and the medium say of it."""
    with hooked_stations(hooks=(hook,)) as session:
        medium.quiet = True
        time.sleep(0.3)
        medium.begin_again()
        before = {radio: known(radio) for radio in range(RADIOS)}
        for _ in range(FRAMES):
            for source, to in LINKS:
                send(source, mac(to), BYTES)
                time.sleep(0.01)
        settle(medium)
        after = {radio: known(radio) for radio in range(RADIOS)}
        seen: dict[str, object] = {
            "functions": session.functions,
            "stations": [asdict(each) for each in session.stations()],
            "outcomes": session.outcomes, "missed": session.missed,
            "costs": [asdict(each) for each in session.costs()],
            "medium": {f"wlan{source} {mac(to)}": [dict(link.truth), dict(link.heard_at)]
                       for (source, to), link in medium.links.items()},
            "iw": {f"wlan{radio} {station}": [before[radio][station], numbers]
                   for radio, found in after.items() for station, numbers in found.items()},
        }  # fmt: skip
        medium.quiet = False  # from here on beacons are heard: not while stations and rates are read
        return seen


def settle(medium: Medium) -> None:
    deadline = time.monotonic() + 10
    while (
        any(each.truth["frames"] < FRAMES for each in medium.links.values()) and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    time.sleep(0.3)


if __name__ == "__main__":
    main()
