"""A small task, whole: a sample is a station, its row how many packets it sent and the size of the last one.

Only the first WINDOW packets of a station count.
"""

from collections.abc import Iterator

from meshlens.classify.features import Feature, Sample
from meshlens.classify.tasks import Task
from meshlens.packet.capture import read_capture

WINDOW = 4


def read(path: str) -> Iterator[Sample]:
    """By source address."""
    samples: dict[bytes, Sample] = {}
    with read_capture(path) as frames:
        for frame in frames:
            key = frame.data[6:12]
            name = key.hex(":")
            before = samples.get(key, Sample(path, name, frame.timestamp_ns, (0, 0)))
            if before.packets < WINDOW:
                row = (before.values[0] + 1, frame.wire_length)
                samples[key] = Sample(path, name, before.first_ns, row, before.packets + 1)
    yield from samples.values()


TASK = Task("toy", "station", (Feature("packets", "all"), Feature("size", "all", "bytes")), read)
