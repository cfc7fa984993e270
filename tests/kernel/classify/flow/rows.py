"""Rows of flows by the kernel's program and by the Python definition, from the same frames."""

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from meshlens.classify.flow.program import entry_name, flow_program
from meshlens.classify.flow.sample import FlowRows
from meshlens.classify.kernel.entry import SAMPLES, Head, unpack_row
from meshlens.ebpf import BpfError, Program
from meshlens.ebpf.contexts import Skb, pack_context
from meshlens.packet.capture import CapturedFrame
from meshlens.probes.flows.layout import Key
from meshlens.probes.flows.packet import NotIp, Unreadable, dissect

__all__ = ["Known", "Rows", "at_times", "by_kernel", "defined", "emptied", "loaded", "whole"]

MILLISECOND_NS = 1_000_000
BEGIN_NS = 1_700_000_000_000_000_000


class Known(NamedTuple):
    """What is known of a flow: when it began, and its row."""

    first_ns: int
    row: tuple[int, ...]


#: Flows by their names.
Rows = dict[str, Known]


def loaded(max_entries: int = 4096) -> Program:
    """The program, which takes a frame's time from its context."""
    return flow_program("in", max_entries=max_entries, clock="skb").load()


def at_times(frames: Iterable[bytes]) -> list[CapturedFrame]:
    """These frames, each some milliseconds after the one before, once in a while before it."""
    return [
        CapturedFrame(data, len(data), BEGIN_NS + (number * 7 % 50 + number) * MILLISECOND_NS, 0, 1, None)
        for number, data in enumerate(frames)
    ]


def emptied(program: Program) -> Program:
    """The program, with no flow in its map."""
    samples = program.maps[SAMPLES]
    for key, _ in list(samples.items()):
        samples.delete(key)
    return program


def by_kernel(program: Program, frames: Iterable[CapturedFrame]) -> Rows:
    """The flows after these frames."""
    for frame in frames:
        program.test_run(frame.data, ctx=pack_context(Skb, tstamp=frame.timestamp_ns))
    return {
        entry_name(key, Head.unpack(value)): Known(Head.unpack(value).first_ns, unpack_row(value))
        for key, value in program.maps[SAMPLES].items()
    }


def defined(frames: Iterable[CapturedFrame]) -> Rows:
    """The same by the definition."""
    flows = FlowRows()
    for frame in frames:
        flows.add(frame)
    return {sample.name: Known(sample.first_ns, sample.values) for sample in flows.samples("")}


def whole(program: Program, frames: Iterable[CapturedFrame]) -> list[CapturedFrame]:
    """The frames of those flows of which BPF_PROG_TEST_RUN takes every frame."""
    taken: list[tuple[Key | None, CapturedFrame]] = []
    refused: set[Key | None] = set()
    for frame in frames:
        key = None
        with suppress(NotIp, Unreadable):
            key = dissect(frame.data, frame.link_type).packet.key
        taken.append((key, frame))
        if frame.link_type != 1 or len(frame.data) != frame.wire_length or not _runs(program, frame.data):
            refused.add(key)
    return [frame for key, frame in taken if key not in refused]


def _runs(program: Program, data: bytes) -> bool:
    try:
        program.test_run(data)
    except BpfError:
        return False
    return True
