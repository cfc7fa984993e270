"""A station that joins gets its verdict with its request: in the kernel as in a file."""

from pathlib import Path

import pytest

from meshlens.classify.kernel.entry import SAMPLES, UNKNOWN, Head, unpack_row
from meshlens.classify.kernel.load import load_model
from meshlens.classify.shipped import find_model, shipped_models
from meshlens.classify.tasks import task
from tests.data import captures, needs_data
from tests.joining import CAPTURES, frames_of, hostile, loaded

pytestmark = pytest.mark.kernel


def check(name: str, recordings: list[list[bytes]]) -> int:
    """Hold the label of each station against the model's; how many there were."""
    model = find_model(name)
    places = task("wifi-station").positions(model.features)
    verdicts = 0
    with loaded() as program, load_model(model, places, program.maps):
        samples = program.maps[SAMPLES]
        for frames in recordings:
            for data in frames:
                assert program.test_run(data).retval == 0xFFFFFFFF  # TC_ACT_UNSPEC
            for key, value in list(samples.items()):
                head, row = Head.unpack(value), unpack_row(value)
                verdict = model.classify([row[place] for place in places])
                expected = UNKNOWN if verdict.label is None else verdict.label + 1
                assert (head.label, head.votes) == (expected, verdict.votes)
                assert head.runs == head.packets  # one for each request
                samples.delete(key)
                verdicts += 1
    return verdicts


@pytest.mark.parametrize("name", shipped_models())
def test_recorded_and_hostile_stations_get_the_verdict_of_the_model(name: str) -> None:
    recordings = [frames_of(path) for path in CAPTURES] + [list(hostile(8, seed)) for seed in range(20)]
    assert check(name, recordings) > 20


@needs_data
@pytest.mark.parametrize("name", shipped_models())
def test_every_station_of_the_collection_gets_the_verdict_of_the_model(name: str) -> None:
    def frames(path: Path) -> list[bytes]:
        return [data for data in frames_of(path) if len(data) >= 14]

    assert check(name, [frames(path) for path in captures("wifi_taxonomy")]) > 1000
