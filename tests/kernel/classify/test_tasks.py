"""A made-up model over the real tasks, on traffic of many kinds: the kernel says of a row what Model says."""

from contextlib import closing
from dataclasses import replace

import pytest

import meshlens
from meshlens.classify.kernel.entry import MODEL
from meshlens.classify.kernel.load import load_model
from meshlens.classify.kernel.sampler import sampler
from meshlens.classify.model import Model
from meshlens.classify.shipped import find_model, shipped_models
from meshlens.classify.tasks import TASKS, task
from meshlens.packet.mesh import overhead_mix, payload_mix
from tests.kernel.classify.made import any_size, made_model, small
from tests.kernel.conftest import NetNsPair


def model_of(name: str) -> Model:
    """Random trees over all features of a task."""
    features = tuple(feature.name for feature in task(name).features)
    model = made_model(11, 8, 200, len(features), 12, lambda rng: rng.choice((small, any_size))(rng))
    return replace(model, task=name, features=features)


@pytest.mark.root
@pytest.mark.parametrize("name", ["ethernet-station", "flow"])
def test_the_verdict_on_live_traffic_is_that_of_the_row(netns_pair: NetNsPair, name: str) -> None:
    model = model_of(name)
    frames = [
        frame.data for mix in (payload_mix, overhead_mix) for frame in mix(150) if len(frame.data) < 1500
    ]
    with closing(netns_pair.far.run(lambda: meshlens.verdicts(model, "veth0").__enter__())) as session:
        netns_pair.near.send(*frames)
        found = session.verdicts()
        compared = 0
        for _, meter in session._meters:
            for _, head, row in meter.seen:
                if name == "ethernet-station" and head.packets & (head.packets - 1):
                    continue  # the row went on since the last verdict, which is due at powers of two
                verdict = model.classify(row)
                assert (head.class_index, head.votes) == (verdict.label, verdict.votes)
                compared += 1
        assert compared > 5
        assert len({each.verdict for each in found}) > 1
        assert session.missed == {"map_full": 0, "unreadable": 0, "undecided": 0}


@pytest.mark.kernel
@pytest.mark.parametrize("name", [*TASKS])
def test_a_model_of_each_task_loads_beside_its_program(name: str) -> None:
    kernel_side = sampler(name)
    model = model_of(name)
    spec = kernel_side.program(kernel_side.directions[0], max_entries=4)
    with (
        spec.load() as program,
        load_model(model, task(name).positions(model.features), program.maps) as loaded,
    ):
        assert len(loaded.programs) == 1
        assert program.maps[MODEL].lookup(0)


@pytest.mark.kernel
@pytest.mark.parametrize("name", shipped_models())
def test_the_models_that_come_along_load(name: str) -> None:
    model = find_model(name)
    kernel_side = sampler(model.task)
    spec = kernel_side.program(kernel_side.directions[0], max_entries=4)
    positions = task(model.task).positions(model.features)
    with spec.load() as program, load_model(model, positions, program.maps) as loaded:
        assert sum(each.info().verified_insns for each in loaded.programs) < 500_000
