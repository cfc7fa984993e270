"""Programs made for a big-endian machine do in its kernel (s390x) what those of this one do here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshlens.filters.compiler import compile_list
from meshlens.packet.capture import read_capture, write_pcap
from meshlens.probes.count.program import MISSED, Hook, count_program
from tests.kernel.classify.flow.rows import at_times, defined
from tests.kernel.count.traffic import FRAMES, filters, truth
from tests.vm.captures import fields, save
from tests.vm.conftest import ROOT
from tests.vm.guest import big_endian
from tests.vm.kernels import Unavailable, fetched
from tests.vm.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.root, pytest.mark.kernel]

SENT = [frame.data for frame in FRAMES]
HOOKS: tuple[Hook, ...] = ("tc", "xdp", "socket")


@pytest.fixture(scope="module")
def machine(compiled: None) -> Iterator[Machine]:
    try:
        kernel = fetched("6.1-s390x")
    except Unavailable as error:
        pytest.skip(str(error))
    with Machine(kernel) as ours:
        yield ours


@pytest.fixture(scope="module")
def answer(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("programs")
    write_pcap(folder / "frames.pcap", SENT)
    (folder / "programs.json").write_text(json.dumps({hook: program(hook) for hook in HOOKS}))
    command = ["/usr/bin/python3.11", "-m", "tests.vm.guest.big_endian", f"{machine.prefix}{folder}"]
    path = f"{machine.prefix}{ROOT}/src:{machine.prefix}{ROOT}"
    ran = machine.run(*command, environment={"PYTHONPATH": path}, timeout_s=120)
    assert ran.code == 0, ran.err
    result: dict[str, Any] = json.loads(ran.out)
    return result


def program(hook: Hook) -> dict[str, Any]:
    """The counting program for that machine, as data."""
    spec = count_program(compile_list(filters()), hook, "in", byteorder="big", cpus=1)
    return {
        "type": spec.type.name, "insns": spec.code.insns, "map_refs": spec.code.map_refs,
        "byteorder": spec.code.byteorder,
        "maps": [
            [each.name, int(each.type), each.key_size, each.value_size, each.max_entries, each.flags]
            for each in spec.maps.values()
        ],
    }  # fmt: skip


def test_the_machine_is_big_endian(answer: dict[str, Any]) -> None:
    assert answer["byteorder"] == "big"


@pytest.mark.parametrize("hook", HOOKS)
def test_each_filter_counts_what_it_is_about(answer: dict[str, Any], hook: Hook) -> None:
    compiled = compile_list(filters())
    pairs = answer["counters"][hook]
    counted = {
        each.id: tuple(
            sum(pairs[2 * (len(MISSED) + slot) + which] for slot in slots) for which in (0, 1)
        )
        for each, slots in zip(compiled.filters, compiled.slots_of, strict=True)
    }  # fmt: skip
    assert counted == truth(FRAMES)
    assert not any(pairs[: 2 * len(MISSED)])


def test_captured_blocks_are_the_frames(answer: dict[str, Any], tmp_path: Path) -> None:
    path = save(tmp_path / "big.pcapng", answer["capture"])
    assert path.read_bytes()[8:12] == bytes.fromhex("1a2b3c4d"), "a big-endian section"
    with open(path, "rb") as file:
        assert [frame.data for frame in read_capture(file)] == SENT
    ids = [int(number) for (number,) in fields(path, "frame.packet_id")]
    assert ids == sorted(set(ids))
    assert len(ids) == len(SENT)


def test_flows_and_interface_counters_are_those_of_this_kernel(
    answer: dict[str, Any], tmp_path: Path
) -> None:
    write_pcap(tmp_path / "frames.pcap", SENT)
    assert answer["flows"] == big_endian.flows(tmp_path / "frames.pcap")
    assert answer["traffic"] == big_endian.traffic(SENT)
    assert len(answer["flows"]) > 50


def test_the_rows_of_flows_are_those_of_the_definition(answer: dict[str, Any]) -> None:
    expected = {name: list(known.row) for name, known in defined(at_times(SENT)).items()}
    assert answer["flow_rows"] == expected
    assert len(expected) > 50
