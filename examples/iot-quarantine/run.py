"""`make quarantine`: recognise devices by their first packets, in the kernel, and keep them in their share.

Devices join a network: what each sent when it was set up is sent again, with its own address and pauses.
meshlens knows the types from other runs, names each device in the kernel, and gives its packets a priority.
Then all of them upload more than the link carries, beside a call that needs short delays; once without, once
with meshlens. `--data` names a folder of labelled captures, as `meshlens classify train` takes it; without,
devices are made up.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from actors import bulk_frame, echo, flood, measure_latency, recognise_in_user_space, replay
from lab import COMPUTER_MAC, DEVICES, LINK_MBIT, Lab, lab
from made_up import write_captures
from picture import draw

import meshlens
from meshlens.classify.crossval import learn
from meshlens.classify.dataset import Labelled, Table, read_dataset
from meshlens.classify.ethernet_station.features import WINDOW_US
from meshlens.classify.forest import Forest, Recipe
from meshlens.classify.metrics import UNKNOWN, Report, report
from meshlens.classify.model import Model
from meshlens.classify.tasks import task
from meshlens.classify.training import train
from meshlens.ebpf import run_statistics
from meshlens.packet.capture import read_capture

TASK: Final = task("ethernet-station")
RECIPE: Final = Recipe("extra-trees", 24, features=0.3)
#: What devices send in all when they upload: twice what the link carries.
FLOOD_PPS: Final = 2 * LINK_MBIT * 1_000_000 / 8 / 1250
POLL_S: Final = 0.1
MOST_FRAMES: Final = 400
MARK: Final = 7


@dataclass
class Device:
    """A device of the lab: what it is, and what it says when it joins: (seconds, frame)."""

    mac: str
    truth: str
    events: list[tuple[float, bytes]]
    named: str = ""
    seconds: float | None = None
    packets: int | None = None


@dataclass
class Outcome:
    """What a run came to. Latencies are (seconds, ms or None) of each probe."""

    devices: list[Device]
    report: Report
    computer: str
    without: list[tuple[float, float | None]] = field(default_factory=list)
    with_meshlens: list[tuple[float, float | None]] = field(default_factory=list)
    kernel_ns: float = 0
    kernel_packets: int = 0
    user: tuple[int, int, int, float] = (0, 0, 0, 0.0)


def main() -> int:
    """Train, join, upload twice, compare; 1 if the call is not better off with meshlens."""
    options = _options()
    if os.geteuid():
        sys.exit("the lab needs root: it makes network namespaces and loads eBPF programs")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as until_end:
        directory = options.data
        if not directory:
            directory = until_end.enter_context(TemporaryDirectory())
            write_captures(Path(directory))
        table, devices = _choose(directory, options.label, options.devices, options.join)
        print(f"{len(devices)} devices join; {len(table)} other runs are learnt from.", flush=True)
        training = train(table, task=TASK.name, label=options.label, recipes=(RECIPE,))
        outcome = _play(training.model, learn(table, RECIPE), table, devices, options)
    if options.json:
        print(json.dumps(_plain(outcome)))
    else:
        _tell(outcome)
    if options.figure:
        draw(options.figure, outcome)
    without, with_ = (_p95(each) for each in (outcome.without, outcome.with_meshlens))
    return 0 if with_ < without else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", help="folder with captures and labels.csv (default: made-up devices)")
    parser.add_argument("--label", default="type", help="the column with the types (default: type)")
    parser.add_argument("--devices", type=int, default=12, help="how many join at most (default: 12)")
    parser.add_argument("--join", type=float, default=0, metavar="SECONDS",
                        help="how long they may join (default: until their windows close, 2 minutes; "
                        "12 s for made-up ones)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=8, help="seconds of each upload (default: 8)")
    parser.add_argument("--figure", metavar="FILE.png", help="draw what happened (needs matplotlib)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    options.join = options.join or (1 + WINDOW_US / 1e6 if options.data else 12)
    return options


def _choose(directory: str, label: str, most: int, join_s: float) -> tuple[Table, list[Device]]:
    """The last run of each type joins, if no other has its address; all other runs are learnt from."""
    dataset = read_dataset(TASK, directory, demand=[label])
    runs = defaultdict[str, list[Labelled]](list)
    for one in dataset.labelled:
        runs[one.row[label]].append(one)
    chosen: dict[str, Labelled] = {}
    for _, of_type in sorted(runs.items()):
        last = max(of_type, key=lambda one: int(one.row.get("seq") or 0))
        if len(of_type) > 1:
            chosen.setdefault(last.sample.name, last)
    step = max(1, len(chosen) // most)
    joining = list(chosen.values())[::step][:most]
    files = {one.row["file"] for one in joining}
    table = dataset.table(label, where=lambda row: row["file"] not in files).without(["oui"])
    return table, [
        Device(one.sample.name, one.row[label], _events(one, join_s, number))
        for number, one in enumerate(joining)
    ]


def _events(one: Labelled, join_s: float, number: int) -> list[tuple[float, bytes]]:
    """What the device sent, its times from its first packet; devices join a fifth of a second apart."""
    mac = bytes.fromhex(one.sample.name.replace(":", ""))
    with read_capture(one.sample.file) as reader:
        own = [(frame.timestamp_ns, frame.data) for frame in reader if frame.data[6:12] == mac]
    events = [((when - own[0][0]) / 1e9, data) for when, data in own[:MOST_FRAMES]]
    return [(at_s + number / 5, data) for at_s, data in events if at_s <= join_s and len(data) <= 1514]


def _play(model: Model, forest: Forest, table: Table, devices: list[Device], options: Any) -> Outcome:
    """Let it all happen in the lab."""
    actions = [f"{name}={what}" for name in model.classes for what in (f"mark:{MARK}", f"priority:{DEVICES}")]
    events = sorted((event for device in devices for event in device.events), key=lambda event: event[0])
    bulk = [bulk_frame(device.mac, number) for number, device in enumerate(devices, 1)]
    kept = list(TASK.positions(tuple(feature.name for feature in table.features)))
    with lab() as place:
        echoing = place.start(place.internet, echo)
        try:
            time.sleep(0.3)
            without = _upload(place, bulk, options.seconds)
            print("The devices join ...", flush=True)
            with run_statistics(), meshlens.verdicts(model, "gw0", actions=actions) as session:
                _join(place, events, session, devices, options.join + len(devices) / 5)
                said = {each.name: each.verdict or UNKNOWN for each in session.verdicts()}
                for device in devices:
                    device.named = said.get(device.mac, UNKNOWN)
                print("... and upload.", flush=True)
                with_meshlens = _upload(place, bulk, options.seconds)
                costs = session.costs()
                computer = {each.name: each.verdict for each in session.verdicts()}.get(COMPUTER_MAC)
            user = _in_user_space(place, forest, kept, events, bulk, options.seconds)
        finally:
            echoing.terminate()
            echoing.join()
    # The model's programs are called by the others, whose time theirs is part of.
    own = [cost for cost in costs if cost.direction]
    figures = report([device.truth for device in devices], [device.named for device in devices])
    return Outcome(
        devices, figures, computer or UNKNOWN, without, with_meshlens,
        sum(cost.run_time_ns for cost in own), sum(cost.run_count for cost in own), user,
    )  # fmt: skip


def _join(place: Lab, events: Sequence[Any], session: Any, devices: list[Device], join_s: float) -> None:
    """Send what there is to send, and look how long it takes until each device is named rightly."""
    by_mac = {device.mac: device for device in devices}
    sending = place.start(place.lan, replay, "lan0", events)
    end = time.monotonic() + join_s
    while sending.is_alive() or time.monotonic() < end:
        now_ns = time.time_ns()
        for each in session.verdicts():
            device = by_mac.get(each.name)
            if device is None:
                continue
            if each.verdict != device.truth:
                device.seconds = device.packets = None
            elif device.seconds is None:
                device.seconds, device.packets = (now_ns - each.first_ns) / 1e9, each.packets
        time.sleep(POLL_S)
    sending.join()


def _upload(place: Lab, bulk: list[bytes], seconds: float) -> list[tuple[float, float | None]]:
    """All devices upload while the call goes on; its latencies."""
    results: Any = _queue()
    processes = [
        place.start(place.lan, measure_latency, seconds, results),
        place.start(place.lan, flood, "lan0", bulk, FLOOD_PPS, seconds),
    ]
    latencies = results.get(timeout=seconds + 20)
    for process in processes:
        process.join()
    return list(latencies)


def _in_user_space(
    place: Lab, forest: Forest, kept: list[int], events: Sequence[Any], bulk: list[bytes], seconds: float
) -> tuple[int, int, int, float]:
    """The same packets for the same work by a packet socket; the joining goes on without its pauses."""
    results: Any = _queue()
    reader = place.start(place.gateway, recognise_in_user_space, "gw0", forest, kept, seconds + 2, results)
    time.sleep(0.5)
    place.start(place.lan, replay, "lan0", [(0.001 * n, data) for n, (_, data) in enumerate(events)]).join()
    place.start(place.lan, flood, "lan0", bulk, FLOOD_PPS, seconds).join()
    found: tuple[int, int, int, float] = results.get(timeout=seconds + 20)
    reader.join()
    return found


def _queue() -> Any:
    from multiprocessing import get_context

    return get_context("fork").Queue()


def _p95(latencies: Sequence[tuple[float, float | None]]) -> float:
    """The latency that 95 of 100 probes keep below; one that is lost is infinitely late."""
    values = sorted(float("inf") if rtt is None else rtt for _, rtt in latencies)
    return values[len(values) * 95 // 100] if values else float("inf")


def _plain(outcome: Outcome) -> dict[str, Any]:
    packets, verdicts, lost, cpu = outcome.user
    return {
        "devices": [{key: getattr(device, key) for key in ("mac", "truth", "named", "seconds", "packets")}
                    for device in outcome.devices],
        "precision_macro": outcome.report.precision_macro,
        "recall_macro": outcome.report.recall_macro,
        "f1_macro": outcome.report.f1_macro,
        "computer": outcome.computer,
        "latency_p95_ms": {  # null: more than 5 % are lost
            name: None if (p95 := _p95(each)) == float("inf") else p95
            for name, each in (("without", outcome.without), ("with", outcome.with_meshlens))
        },
        "kernel": {"packets": outcome.kernel_packets, "ns": outcome.kernel_ns},
        "user_space": {"packets": packets, "verdicts": verdicts, "lost": lost, "cpu_s": cpu},
    }  # fmt: skip


def _tell(outcome: Outcome) -> None:
    print(f"\n{'device':<22}{'named':<22}{'rightly after':>14}{'packets':>9}")
    for device in outcome.devices:
        after = "" if device.seconds is None else f"{device.seconds:.1f} s"
        print(f"{device.truth:<22}{device.named:<22}{after:>14}{device.packets or '':>9}")
    right = [device for device in outcome.devices if device.seconds is not None]
    if right:
        seconds, packets = (median(getattr(each, name) for each in right) for name in ("seconds", "packets"))
        print(f"\nTime to verdict, median: {seconds:.1f} s, {packets:.0f} packets (looked every {POLL_S} s).")
    figures = outcome.report
    print(
        f"Macro: precision {figures.precision_macro:.2f}, recall {figures.recall_macro:.2f}, "
        f"F1 {figures.f1_macro:.2f}. The computer is {outcome.computer}."
    )
    print(
        f"\nThe call's delay beside uploads of {FLOOD_PPS * 1250 * 8 / 1e6:.0f} Mbit/s on {LINK_MBIT} Mbit/s:"
    )
    for name, latencies in (("without", outcome.without), ("with meshlens", outcome.with_meshlens)):
        there = [rtt for _, rtt in latencies if rtt is not None]
        lost = len(latencies) - len(there)
        middle = f"{median(there):.1f} ms" if there else "-"
        most = "" if (p95 := _p95(latencies)) == float("inf") else f"95 % below {p95:.1f} ms, "
        print(f"{name:>15}: median {middle}, {most}{lost} of {len(latencies)} lost")
    packets, verdicts, lost, cpu = outcome.user
    print("\nCPU for a packet:")
    in_kernel, in_user = outcome.kernel_ns / max(1, outcome.kernel_packets), 1e9 * cpu / max(1, packets)
    print(f"{'in the kernel':>15}: {in_kernel:,.0f} ns, of which about 20 for taking the time")
    print(f"{'in user space':>15}: {in_user:,.0f} ns; {verdicts} verdicts, {lost} packets lost")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
