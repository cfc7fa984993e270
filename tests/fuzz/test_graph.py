"""Random lists on frames that are aimed at them: interpreter = libpcap or oracle, kernel = interpreter.

The expressions of tests/oracle are the words, `and`, `or`, `not`, parentheses and scopes the grammar.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meshlens.decision.build import Classes
from meshlens.decision.diagram import (
    Diagram,
    Verdict,
    graft,
    intervals_on,
    of_empty_frame,
    restrict,
    restrict_room,
)
from meshlens.decision.diagram import Test as Decision  # pytest would take `Test` for a class of tests
from meshlens.decision.expr import Room, Space
from meshlens.decision.interpret import Frame, decide, evaluate
from meshlens.filters.cbpf import diagram_of
from meshlens.filters.compiler import CompiledList, compile_list, filter_diagram
from meshlens.filters.errors import FilterError
from meshlens.filters.pcap import compile_cbpf, matches
from tests.oracle.corpus import Sample, clients, damaged
from tests.oracle.expressions import sections
from tests.oracle.judges import HOOKS, as_list, judge, kernel_is_allowed
from tests.oracle.mesh_frames import wrapped
from tests.oracle.scopes import ABORT, CARRIERS, MATCH, NAMES, Oracle, View, verdict_of
from tests.oracle.steer import steered

#: Not those that shift what follows: `or` would carry that over, in libpcap also to what was never read.
SHIFTING = {"vlan", "mpls", "pppoe", "geneve"}
LONGEST_WORD = 100
WORDS = [
    expression
    for name, section in sections("expressions.txt").items()
    for expression in section
    if name not in SHIFTING and "vlan" not in expression and len(expression) < LONGEST_WORD
]
TYPES = [f"batadv {version} {pair.split(':')[0]}" for version in NAMES for pair in NAMES[version].split()]
AIMED_EACH = 12

#: More examples for a long run: a factor.
EFFORT = int(os.environ.get("MESHLENS_FUZZ", "1"))
BOUNDED = settings(
    max_examples=150 * EFFORT,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
FEW = settings(BOUNDED, max_examples=40 * EFFORT)


def combined(words: st.SearchStrategy[str], leaves: int) -> st.SearchStrategy[str]:
    """Expressions of these words."""
    return st.recursive(
        words,
        lambda inner: st.one_of(
            st.builds("not ({})".format, inner),
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
        ),
        max_leaves=leaves,
    )


PLAIN = combined(st.sampled_from(WORDS), 4)
SCOPED = combined(
    st.one_of(
        st.sampled_from(TYPES),
        st.sampled_from(WORDS),
        st.builds("{} and ({})".format, st.sampled_from(TYPES), PLAIN),
    ),
    4,
)
SEEDS = st.integers(0, 1 << 32)


def accepted(expressions: Sequence[str]) -> bool:
    """Whether libpcap takes them: it has no registers left for some."""
    try:
        compile_list(as_list(expressions))
    except FilterError:
        return False
    return True


def aimed(expressions: Sequence[str], seed: int) -> list[Sample]:
    """Frames that lead into the corners of plain expressions, whole and damaged."""
    rng = random.Random(seed)
    frames = [frame for each in expressions for frame in steered(compile_cbpf(each), rng, AIMED_EACH)]
    return with_damage(frames, seed)


def carried(words: Sequence[str], seed: int) -> list[Sample]:
    """Frames aimed at the words of scoped expressions, bare and in every carrier."""
    rng = random.Random(seed)
    frames = [frame for word in words for frame in steered(compile_cbpf(word), rng, 4)] + clients()[:20]
    inside = [wrapped(*carrier, rng.choice(frames), rng) for carrier in sorted(CARRIERS) for _ in range(4)]
    return with_damage([*frames, *inside], seed)


def with_damage(frames: Sequence[bytes], seed: int) -> list[Sample]:
    whole = [Sample(frame, len(frame)) for frame in frames]
    return [*whole, *damaged(whole, seed)]


def words_of(expression: str) -> list[str]:
    return [word for word in WORDS if f"({word})" in f"({expression})"][:4]


@contextmanager
def marking() -> Iterator[None]:
    """Compile as if every list crossed too much to end in classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classes, "growth", -1_000_000)
        yield


def answers(compiled: CompiledList, samples: Sequence[Sample]) -> list[set[str]]:
    """The expressions that match each frame, by the interpreter."""
    return [
        {compiled.filters[at].expression for at in compiled.match(sample.data, sample.wire_length)}
        for sample in samples
    ]


@BOUNDED
@given(st.lists(PLAIN, min_size=1, max_size=6, unique=True), SEEDS, st.booleans())
def test_a_plain_list_matches_what_libpcap_matches(expressions: list[str], seed: int, marks: bool) -> None:
    assume(accepted(expressions))
    with marking() if marks else pytest.MonkeyPatch.context():
        compiled = compile_list(as_list(expressions))
    programs = {each: compile_cbpf(each) for each in expressions}
    samples = aimed(expressions, seed)
    for sample, answer in zip(samples, answers(compiled, samples), strict=True):
        wanted = {each for each in expressions if matches(programs[each], *sample)}
        assert answer == wanted, sample


@BOUNDED
@given(st.lists(SCOPED, min_size=1, max_size=5, unique=True), SEEDS)
def test_a_scoped_list_matches_what_the_oracle_says(expressions: list[str], seed: int) -> None:
    assume(accepted(expressions))
    compiled = compile_list(as_list(expressions))
    samples = carried([word for each in expressions for word in words_of(each)], seed)
    oracle = {each: verdict_of(each) for each in expressions}
    for sample, answer in zip(samples, answers(compiled, samples), strict=True):
        said = {each: verdict(View(sample)) for each, verdict in oracle.items()}
        # libpcap leaves out tests that decide nothing, and misses no bytes for them: `not (batadv and ip)`.
        certain = {each for each, verdict in said.items() if verdict != ABORT}
        assert answer & certain == {each for each in certain if said[each] == MATCH}, sample


@pytest.mark.kernel
@FEW
@given(st.lists(st.one_of(PLAIN, SCOPED), min_size=1, max_size=8, unique=True), SEEDS, st.booleans())
def test_the_kernel_counts_what_the_interpreter_says(expressions: list[str], seed: int, marks: bool) -> None:
    assume(kernel_is_allowed())
    assume(accepted(expressions))
    with marking() if marks else pytest.MonkeyPatch.context():
        compiled = compile_list(as_list(expressions))
    samples = carried([word for each in expressions for word in words_of(each)], seed)
    verdicts = judge(compiled, samples, Oracle(expressions).answer, HOOKS)
    assert verdicts.complaint(*HOOKS) == ""


@FEW
@given(st.lists(st.one_of(PLAIN, SCOPED), min_size=2, max_size=8, unique=True), SEEDS)
def test_the_order_of_a_list_makes_no_difference(expressions: list[str], seed: int) -> None:
    assume(accepted(expressions))
    samples = carried([word for each in expressions for word in words_of(each)], seed)
    other = expressions.copy()
    random.Random(seed).shuffle(other)
    one, another = (compile_list(as_list(each)) for each in (expressions, other))
    assert answers(one, samples) == answers(another, samples)


class Strict(bytes):
    """Bytes beyond whose end nothing may be read."""

    def __getitem__(self, key: Any) -> Any:
        assert isinstance(key, slice)
        assert 0 <= key.start <= key.stop <= len(self)
        return bytes.__getitem__(self, key)


@BOUNDED
@given(st.lists(st.one_of(PLAIN, SCOPED), min_size=1, max_size=6, unique=True), SEEDS)
def test_no_byte_is_looked_at_before_it_is_known_to_be_there(expressions: list[str], seed: int) -> None:
    assume(accepted(expressions))
    compiled = compile_list(as_list(expressions))
    for sample in carried([word for each in expressions for word in words_of(each)], seed):
        compiled.match(Strict(sample.data), sample.wire_length)


@BOUNDED
@given(PLAIN, SEEDS)
def test_what_a_frame_is_known_to_be_changes_no_verdict_on_it(expression: str, seed: int) -> None:
    assume(accepted([expression]))
    root = filter_diagram(expression)
    for sample in aimed([expression], seed):
        frame = Frame(*sample)
        test = reached(root, frame)
        if test is None:
            continue
        if isinstance(test.expr, Room):
            enough = evaluate(test.expr, frame) >= test.lo
            known = restrict_room(root, test.expr, test.lo, {}, enough=enough)
        else:
            value = evaluate(test.expr, frame)
            true = frozenset(each for each in intervals_on(root, test.expr) if each[0] <= value <= each[1])
            known = restrict(root, test.expr, true, {})
            assert test.expr not in (known.support if isinstance(known, Decision) else ())
        assert decide(known, frame) is decide(root, frame), sample


def reached(root: Diagram, frame: Frame) -> Decision | None:
    """A test that the frame passes, the deepest one: its expression may be evaluated."""
    last = None
    while isinstance(root, Decision):
        last = root
        value = evaluate(root.expr, frame)
        root = root.yes if root.lo <= value <= root.hi else root.no
    return last


@BOUNDED
@given(PLAIN, PLAIN, PLAIN, SEEDS)
def test_grafted_diagrams_go_on_where_the_first_ends(first: str, match: str, no: str, seed: int) -> None:
    assume(accepted([first, match, no]))
    begin, after_match, after_no = map(filter_diagram, (first, match, no))
    whole = graft(begin, match=after_match, no=after_no)
    for sample in aimed([first, match, no], seed):
        frame = Frame(*sample)
        after = {Verdict.MATCH: after_match, Verdict.NO: after_no, Verdict.ABORT: Verdict.ABORT}
        assert decide(whole, frame) is decide(after[decide(begin, frame)], frame), sample


@BOUNDED
@given(PLAIN)
def test_an_empty_frame_is_decided_beforehand(expression: str) -> None:
    assume(accepted([expression]))
    inner = diagram_of(compile_cbpf(expression), Space.INNER, marked=False)
    assert of_empty_frame(inner) is decide(inner, Frame(bytes(40), 40, inner_offset=40))
