"""A task of the tests, whose stations are told apart by the sizes of their frames; folders full of them."""

import csv
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from meshlens.classify.features import Feature, Sample, clip
from meshlens.classify.tasks import Task
from meshlens.packet.capture import read_capture, write_pcap
from meshlens.packet.craft import ethernet

FEATURES = (
    Feature("mean_size", "sizes", "bytes"),
    Feature("largest", "sizes", "bytes"),
    Feature("frames", "counts"),
    Feature("oui", "oui"),
)


def read_stations(path: str) -> Iterator[Sample]:
    sizes: defaultdict[bytes, list[int]] = defaultdict(list)
    with read_capture(path) as capture:
        for frame in capture:
            sizes[frame.data[6:12]].append(frame.wire_length)
    for mac, of in sizes.items():
        row = (sum(of) // len(of), max(of), len(of), int.from_bytes(mac[:3]))
        yield Sample(path, mac.hex(":"), 0, tuple(map(clip, row)), len(of))


TASK = Task("made-up", "station", FEATURES, read_stations)


def station_frames(mac: str, size: int, frames: int, spread: int = 20, seed: int = 0) -> list[bytes]:
    """Frames from `mac` of about `size` bytes."""
    chance = random.Random(seed)
    return [
        ethernet("ff:ff:ff:ff:ff:ff", mac, 0x88B5, bytes(max(0, size - 14 + chance.randint(-spread, spread))))
        for _ in range(frames)
    ]


def write_folder(
    folder: Path, types: Sequence[tuple[str, int]], *, units: int = 3, runs: int = 3, seed: int = 0
) -> Path:
    """A folder of captures: each type (name, size of its frames) as `units` devices, each `runs` times.

    Another station sends a frame in each capture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (name, size) in enumerate(types):
        for unit in range(units):
            mac = f"02:00:{number:02x}:00:00:{unit:02x}"
            for run in range(runs):
                file = f"{name}-{unit}-{run}.pcap"
                frames = station_frames(mac, size, 20 + run, seed=seed + 100 * number + 10 * unit + run)
                write_pcap(folder / file, [*station_frames("02:ff:00:00:00:01", 60, 1), *frames])
                rows.append({"file": file, "kind": name, "unit": f"{name} {unit}", "device_mac": mac})
    write_labels(folder, rows)
    return folder


def write_labels(folder: Path, rows: Sequence[dict[str, str]], name: str = "labels.csv") -> None:
    """A label file with the columns of the first row."""
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
