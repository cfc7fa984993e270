"""Diagrams keep the meaning of a filter while its tests are decided one by one."""

from meshlens.decision import diagram as nodes
from meshlens.decision.diagram import (
    Diagram,
    Verdict,
    graft,
    interval,
    intervals_on,
    of_empty_frame,
    restrict,
    restrict_room,
    substitute,
)
from meshlens.decision.expr import MAX_VALUE, Length, Room, Space, alu, const, length, load, meta, rank, room

ETHERTYPE = load(Space.OUTER, None, 12, 2)
PROTOCOL = load(Space.OUTER, None, 23, 1)
CAPTURED = room(Space.OUTER, None)
MATCH, NO, ABORT = Verdict.MATCH, Verdict.NO, Verdict.ABORT


def is_ip_protocol(protocol: int) -> Diagram:
    inner = interval(CAPTURED, 24, MAX_VALUE, interval(PROTOCOL, protocol, protocol, MATCH, NO), ABORT)
    return interval(CAPTURED, 14, MAX_VALUE, interval(ETHERTYPE, 0x800, 0x800, inner, NO), ABORT)


def test_equal_expressions_and_diagrams_are_one_object() -> None:
    assert load(Space.OUTER, None, 12, 2) is ETHERTYPE
    assert load(Space.INNER, None, 12, 2) is not ETHERTYPE
    assert is_ip_protocol(6) is is_ip_protocol(6)
    assert is_ip_protocol(6) is not is_ip_protocol(17)


def test_arithmetic_on_numbers_is_done_at_once_as_classic_bpf_does_it() -> None:
    assert alu("-", const(0), const(1)) is const(MAX_VALUE)
    assert alu("<<", const(1), const(32)) is const(0)
    assert alu("&", ETHERTYPE, const(MAX_VALUE)) is ETHERTYPE
    assert alu("&", ETHERTYPE, const(0xFF)) is not ETHERTYPE


def test_a_test_that_decides_nothing_is_no_test() -> None:
    assert interval(ETHERTYPE, 1, 2, NO, NO) is NO


def test_a_decided_value_answers_every_test_on_it_and_no_other() -> None:
    tcp = is_ip_protocol(6)
    assert intervals_on(tcp, ETHERTYPE) == {(0x800, 0x800)}
    is_ip = restrict(tcp, ETHERTYPE, frozenset({(0x800, 0x800)}), {})
    assert isinstance(is_ip, nodes.Test)
    assert is_ip.support == {CAPTURED, PROTOCOL}
    other = restrict(tcp, ETHERTYPE, frozenset(), {})
    assert isinstance(other, nodes.Test)
    assert other.support == {CAPTURED}


def test_known_room_answers_looser_tests_and_missing_room_tighter_ones() -> None:
    tcp = is_ip_protocol(6)
    assert intervals_on(restrict_room(tcp, CAPTURED, 14, {}, enough=True), CAPTURED) == {(24, MAX_VALUE)}
    assert intervals_on(restrict_room(tcp, CAPTURED, 24, {}, enough=True), CAPTURED) == frozenset()
    assert restrict_room(tcp, CAPTURED, 14, {}, enough=False) is ABORT
    still_open = restrict_room(tcp, CAPTURED, 24, {}, enough=False)
    assert intervals_on(still_open, CAPTURED) == {(14, MAX_VALUE)}


def test_grafting_replaces_match_and_no_but_never_abort() -> None:
    negated = graft(is_ip_protocol(6), match=NO, no=MATCH)
    assert restrict_room(negated, CAPTURED, 14, {}, enough=False) is ABORT
    assert graft(negated, match=NO, no=MATCH) is is_ip_protocol(6)


def test_a_marked_test_is_replaced_by_the_diagram_it_stands_for() -> None:
    part = meta("part0")
    marked = interval(ETHERTYPE, 0x4305, 0x4305, interval(part, 1, 1, MATCH, NO), NO)
    replaced = substitute(marked, {part: interval(PROTOCOL, 6, 6, MATCH, ABORT)})
    assert replaced is interval(ETHERTYPE, 0x4305, 0x4305, interval(PROTOCOL, 6, 6, MATCH, ABORT), NO)


def test_an_empty_inner_frame_has_no_room_and_no_length() -> None:
    inner_room, inner_length = room(Space.INNER, None), length(Space.INNER)
    assert of_empty_frame(interval(inner_room, 14, MAX_VALUE, MATCH, ABORT)) is ABORT
    assert of_empty_frame(interval(inner_length, 0, 99, MATCH, NO)) is MATCH
    assert of_empty_frame(interval(inner_length, 1, 99, MATCH, NO)) is NO


def test_a_thousand_alternatives_do_not_exhaust_the_stack() -> None:
    diagram: Diagram = NO
    for port in range(5_000):
        diagram = interval(PROTOCOL, port, port, MATCH, diagram)
    assert restrict(diagram, PROTOCOL, frozenset({(4_999, 4_999)}), {}) is MATCH
    assert len(intervals_on(diagram, PROTOCOL)) == 5_000


def test_the_order_of_tests_is_the_order_of_the_frame_with_what_splits_everything_last() -> None:
    by_index = load(
        Space.OUTER, alu("<<", alu("&", load(Space.OUTER, None, 14, 1), const(15)), const(2)), 16, 2
    )
    ordered = [
        ETHERTYPE,
        PROTOCOL,
        by_index,
        Length(Space.OUTER),
        meta("direction"),
        load(Space.INNER, None, 0, 1),
    ]
    assert sorted(ordered, key=rank) == ordered
    assert isinstance(CAPTURED, Room)
