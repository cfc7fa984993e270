"""Filters without a scope: kernel = interpreter = libpcap, on every captured frame and on made-up ones."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.pcap import compile_cbpf
from tests.oracle.conftest import Compare
from tests.oracle.corpus import Sample, captured, damaged, jumbo, mesh_mixes
from tests.oracle.expressions import sections
from tests.oracle.judges import HOOKS, Libpcap, Verdicts, as_list, join, kernel_is_allowed
from tests.oracle.real_lists import real_lists
from tests.oracle.scopes import is_plain
from tests.oracle.steer import steered

STEERED_EACH = 20


@pytest.fixture(scope="module")
def filters() -> CompiledList:
    """The expressions of expressions.txt, and of the lists in use what speaks of the outer frame alone."""
    own = [as_list(section) for section in sections("expressions.txt").values()]
    real = [
        replace(each, filters=tuple(entry for entry in each if is_plain(entry.expression)))
        for each in real_lists().values()
    ]
    return join([compile_list(each, helpers=True) for each in (*own, *real) if len(each)])


def frames(filters: CompiledList) -> Iterator[Sample]:
    """Every captured frame; those that lead each filter into its corners; some of all kinds damaged."""
    aimed = [
        frame
        for each in filters.filters  # each with its own chance: one more filter changes no other's frames
        for frame in steered(compile_cbpf(each.expression), random.Random(each.expression), STEERED_EACH)
    ]
    made = [*mesh_mixes(), *(Sample(frame, len(frame)) for frame in aimed)]
    yield from (*captured(), *made, *jumbo())
    yield from damaged((*captured()[::8], *made[::5]), seed=2)


@pytest.fixture(scope="module")
def verdicts(filters: CompiledList, compare: Compare) -> Verdicts:
    samples = tuple(dict.fromkeys(frames(filters)))
    return compare(filters, samples, Libpcap(filters.filters).answer)


def test_the_interpreter_says_what_libpcap_says(verdicts: Verdicts) -> None:
    assert verdicts.complaint("interpreter") == ""


@pytest.mark.kernel
def test_the_kernel_counts_what_the_interpreter_says(verdicts: Verdicts) -> None:
    if not kernel_is_allowed():
        pytest.skip("programs may not be loaded")
    assert verdicts.complaint(*HOOKS) == ""


def test_every_expression_matches_some_frame(verdicts: Verdicts) -> None:
    """Else its comparison would say little."""
    own = sections("expressions.txt")
    never = set(own.pop("never"))
    assert {each for section in own.values() for each in section} <= verdicts.matched
    assert never.isdisjoint(verdicts.matched)
