"""What the probes on mac80211's functions cost: frames between two radios, by pktgen, with and without.

Without a medium, hwsim hands a frame from radio to radio within the kernel. Each frame passes three probes:
when it is handed over, when it is reported, when the other radio hears it.
"""

import struct
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from meshlens.ebpf import run_statistics
from meshlens.ebpf.tracing import Hook
from meshlens.packet.craft_wifi import dot11
from meshlens.wifi.hooks.session import HookedSession, hooked_stations
from tests.vm.guest.links import answer, shell
from tests.vm.guest.medium import Medium, mac
from tests.vm.guest.radios import BSSID, join, radios, send

HOOKS: tuple[Hook, ...] = ("fentry", "kprobe")
STATIONS, FREQUENCY = 100, struct.pack("=I", 2412)


def main() -> None:
    rounds, frames = int(sys.argv[1]), int(sys.argv[2])
    with radios(2):
        join(2)
        shell("modprobe pktgen")
        pktgen(frames)
        costs = {
            "frame_ns": frame_ns(rounds, frames),
            "run_ns": run_ns(rounds, frames),
            "stations": hundred(),
        }
        Path("/proc/net/pktgen/kpktgend_0").write_text("rem_device_all\n")
    answer(costs)


def frame_ns(rounds: int, frames: int) -> dict[str, float]:
    """Nanoseconds a frame, all that comes of it included: the least of many short turns."""
    seen: dict[str, list[float]] = {name: [] for name in ("none", *HOOKS)}
    for hook in (None, *HOOKS, None):
        with hooked_stations(hooks=(hook,)) if hook else nullcontext():
            seen[hook or "none"] += [pktgen(frames) for _ in range(rounds)]
    return {name: min(values) for name, values in seen.items()}


def run_ns(rounds: int, frames: int) -> dict[str, dict[str, float]]:
    """Nanoseconds a run of each program, as the kernel times them (which costs some itself)."""
    found: dict[str, dict[str, float]] = {}
    for hook in HOOKS:
        with run_statistics(), hooked_stations(hooks=(hook,)) as session:
            timed = Timed(session)
            for _ in range(rounds):
                pktgen(frames)
                timed.look()
            found[hook] = timed.least_ns
    return found


class Timed:
    """The least mean time of a run between two looks: what else the machine does only adds."""

    def __init__(self, session: HookedSession) -> None:
        self.session = session
        self.before: dict[str, tuple[int, int]] = {}
        self.least_ns: dict[str, float] = {}

    def look(self) -> None:
        for each in self.session.costs():
            count, time_ns = self.before.get(each.interface, (0, 0))
            self.before[each.interface] = each.run_count, each.run_time_ns
            if each.run_count > count:
                mean_ns = (each.run_time_ns - time_ns) / (each.run_count - count)
                self.least_ns[each.interface] = min(mean_ns, self.least_ns.get(each.interface, mean_ns))


def pktgen(frames: int) -> float:
    """Nanoseconds a frame from wlan0 to wlan1 (Documentation/networking/pktgen.rst)."""
    for path, line in (
        ("kpktgend_0", "rem_device_all"), ("kpktgend_0", "add_device wlan0"),
        ("wlan0", f"count {frames}"), ("wlan0", "pkt_size 200"), ("wlan0", "delay 0"),
        ("wlan0", f"dst_mac {mac(1)}"), ("wlan0", "dst 10.99.0.1"), ("pgctrl", "start"),
    ):  # fmt: skip
        Path("/proc/net/pktgen", path).write_text(line + "\n")
    result = Path("/proc/net/pktgen/wlan0").read_text().rpartition("Result: OK: ")[2]
    return float(result.partition("(")[0]) * 1000 / frames


def hundred() -> dict[str, object]:
    """A hundred stations: each is heard and sent to in turn."""
    addresses = [f"02:00:00:01:00:{number:02x}" for number in range(STATIONS)]
    with Medium(2, {}) as medium, run_statistics(), hooked_stations("wlan0") as session:
        medium.quiet = True
        timed = Timed(session)
        for _ in range(5):
            for address in addresses:
                frame = dot11("data", mac(0), address, BSSID, bytes(100))
                medium.deliver(0, frame, 4, -50, FREQUENCY)
            time.sleep(0.3)  # stations are made in a work queue
            timed.look()
        for _ in range(5):
            for address in addresses:
                send(0, address)
                time.sleep(0.002)
            time.sleep(0.3)
            timed.look()
        began = time.process_time()
        stations = session.stations()
        took_s = time.process_time() - began
        return {
            "stations": len([each for each in stations if each.tx_frames and each.rx_frames]),
            "read_ms": 1000 * took_s,
            "memory_bytes": sum(each.memory_bytes for each in session.costs()),
            "run_ns": timed.least_ns,
            "missed": session.missed,
        }


if __name__ == "__main__":
    main()
