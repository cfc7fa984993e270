"""Flows on an interface are named, and have the rows, that a capture file of the same frames gives."""

from contextlib import closing
from pathlib import Path

import pytest

import meshlens
from meshlens.classify.features import Sample
from meshlens.classify.flow.features import FEATURES
from meshlens.classify.flow.sample import read
from meshlens.classify.model import ONE, Leaf, Model, Split
from meshlens.packet.capture import write_pcap
from meshlens.packet.mesh import overhead_mix, payload_mix
from tests.kernel.conftest import NetNsPair

pytestmark = [pytest.mark.root, pytest.mark.kernel]

#: By the size of the first packet alone.
MODEL = Model(
    "flow",
    "size",
    ("small", "large"),
    ("size_1",),
    ((Split(0, 199, 1, 2), Leaf(((0, ONE),)), Leaf(((1, ONE),))),),
)


def untimed(sample: Sample) -> tuple[int, ...]:
    return tuple(
        value for feature, value in zip(FEATURES, sample.values, strict=True) if feature.group != "timing"
    )


def test_live_flows_have_the_names_rows_and_verdicts_of_a_capture(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    frames = [
        frame.data for mix in (payload_mix, overhead_mix) for frame in mix(300) if len(frame.data) < 1500
    ]
    write_pcap(tmp_path / "sent.pcap", frames)
    expected = {sample.name: untimed(sample) for sample in read(tmp_path / "sent.pcap")}
    begin = netns_pair.far.run(lambda: meshlens.verdicts(MODEL, "veth0").__enter__())
    with closing(begin) as session:
        netns_pair.near.send(*frames)
        verdicts = {each.name: each.verdict for each in session.verdicts()}
        assert {sample.name: untimed(sample) for sample in session.samples()} == expected
    assert len(expected) > 300
    assert verdicts == {name: "large" if row[0] >= 200 else "small" for name, row in expected.items()}
    assert set(verdicts.values()) == {"small", "large"}
