"""Merged graphs say of every frame what each filter says alone, whichever way they were merged."""

import itertools
import random

import pytest

from meshlens.decision.build import Classes, Marks, TooEntangledError
from meshlens.decision.codegen import GraphLabels
from meshlens.decision.diagram import Diagram, Verdict, interval
from meshlens.decision.dot import to_dot
from meshlens.decision.expr import MAX_VALUE, Space, const, entry, load, room
from meshlens.decision.graph import Mark, Switch, leaf, switch, topological
from meshlens.decision.interpret import Frame, classify, decide
from meshlens.decision.merge import DecisionGraph, merge

FIELDS = [load(Space.OUTER, None, offset, 1) for offset in range(4)]
CAPTURED = room(Space.OUTER, None)
MATCH, NO = Verdict.MATCH, Verdict.NO


def random_diagram(rng: random.Random, depth: int = 4) -> Diagram:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([MATCH, NO])
    lo = rng.randrange(4)
    yes, no = (random_diagram(rng, depth - 1) for _ in range(2))
    return interval(rng.choice(FIELDS), lo, rng.choice([lo, lo, lo + 1, MAX_VALUE]), yes, no)


def guarded(diagram: Diagram) -> Diagram:
    return interval(CAPTURED, len(FIELDS), MAX_VALUE, diagram, Verdict.ABORT)


def matching(graphs: tuple[DecisionGraph, ...], data: bytes) -> set[int]:
    frame = Frame(data, len(data))
    slots = ((graph, slot) for graph in graphs for slot in classify(graph, frame))
    return {position for graph, slot in slots for position in graph.matches[slot]}


@pytest.mark.parametrize("ways", [(Classes,), (Marks,), (Classes, Marks)])
@pytest.mark.parametrize("seed", range(8))
def test_a_merged_graph_matches_what_each_filter_matches(
    monkeypatch: pytest.MonkeyPatch, ways: tuple[type, ...], seed: int
) -> None:
    for way in {Classes, Marks} - set(ways):
        monkeypatch.setattr(way, "growth", -1_000_000)
    rng = random.Random(seed)
    diagrams = [guarded(random_diagram(rng)) for _ in range(12)]
    graphs = merge(diagrams)
    for values in itertools.product(range(5), repeat=len(FIELDS)):
        data = bytes(values)
        alone = {i for i, diagram in enumerate(diagrams) if decide(diagram, Frame(data, 4)) is MATCH}
        assert matching(graphs, data) == alone
    assert matching(graphs, b"\0\0\0") == set()


def test_no_path_looks_at_a_field_twice_where_filters_end_in_classes() -> None:
    rng = random.Random(3)
    (graph,) = merge([guarded(random_diagram(rng)) for _ in range(6)])
    assert not graph.marks

    def paths(node: object, seen: tuple[object, ...]) -> None:
        if isinstance(node, Switch):
            assert node.expr not in seen
            for target in node.targets:
                paths(target, (*seen, node.expr))

    paths(graph.outer, ())


def either_end_is(value: int) -> Diagram:
    """As `port N`: source or destination."""
    return guarded(interval(FIELDS[0], value, value, MATCH, interval(FIELDS[1], value, value, MATCH, NO)))


def test_filters_that_cross_are_marked_and_the_graph_grows_with_their_sum() -> None:
    sizes = {}
    for count in (80, 160):
        (graph,) = merge([either_end_is(value) for value in range(count)])
        assert graph.marks
        sizes[count] = len(topological(graph.outer))
        assert any(isinstance(node, Mark) and node.once for node in topological(graph.outer))
        assert matching((graph,), bytes([7, 7, 0, 0])) == {7}
        assert matching((graph,), bytes([7, 9, 0, 0])) == {7, 9}
    assert sizes[160] < 2.2 * sizes[80]


def test_few_filters_that_cross_are_still_classes() -> None:
    (graph,) = merge([either_end_is(value) for value in range(10)])
    assert not graph.marks


def test_equal_filters_are_one_function_and_all_are_told() -> None:
    (graph,) = merge([either_end_is(1), either_end_is(2), either_end_is(1)])
    assert matching((graph,), bytes([1, 0, 0, 0])) == {0, 2}


def test_filters_that_look_for_the_inner_frame_in_two_places_run_one_after_another() -> None:
    inner = interval(room(Space.INNER, None), 1, MAX_VALUE, MATCH, Verdict.ABORT)
    here, there = (interval(entry(const(at)), 1, 1, inner, NO) for at in (1, 2))
    graphs = merge([here, there])
    assert len(graphs) == 2
    assert matching(graphs, b"ab") == {0}
    assert matching(graphs, b"abc") == {0, 1}


def test_beyond_the_budget_a_builder_gives_up_instead_of_filling_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Classes, "growth", -1_000_000)
    with pytest.raises(TooEntangledError):
        Classes(Space.OUTER).build(((0, either_end_is(1)), (1, either_end_is(2))))


def test_a_switch_joins_neighbours_that_go_to_the_same_node() -> None:
    node = switch(FIELDS[0], [(0, leaf(0)), (3, leaf(1)), (4, leaf(0)), (9, leaf(0))])
    assert isinstance(node, Switch)
    assert node.bounds == (3, 4)
    assert [node.target(value) for value in (0, 2, 3, 4, MAX_VALUE)] == [leaf(s) for s in (0, 0, 1, 0, 0)]
    assert switch(FIELDS[0], [(0, leaf(0)), (3, leaf(0))]) is leaf(0)


def test_the_drawing_names_every_filter_and_escapes_its_name() -> None:
    drawing = to_dot(merge([either_end_is(1), either_end_is(2)]), ['say "hi"', "two"])
    assert 'say \\"hi\\"' in drawing
    assert "two" in drawing
    assert drawing.count("{") == drawing.count("}")


def test_the_same_list_gives_the_same_graph_every_time() -> None:
    diagrams = [guarded(random_diagram(random.Random(seed))) for seed in range(9)]
    names = [str(position) for position in range(len(diagrams))]
    assert to_dot(merge(diagrams), names) == to_dot(merge(diagrams), names)


def test_leaves_are_shared_only_between_emissions_with_the_same_labels() -> None:
    assert GraphLabels(0, "count", "done").leaves is not GraphLabels(0, "count", "done").leaves


def test_the_leaves_that_no_filter_wants_are_leaves_of_the_graph() -> None:
    (graph,) = merge([either_end_is(1)])
    unwanted = graph.unwanted_leaves()
    assert unwanted
    assert set(unwanted) <= set(topological(graph.outer))
