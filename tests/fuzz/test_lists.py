"""Filter lists made up by hypothesis: any text is read or refused, and what was written is what is read."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlens.filters.lists import ListError, parse_list

Draw = Callable[[st.SearchStrategy[int]], int]

IDS = st.from_regex(r"%?[A-Za-z0-9:=,\"'_. -]{0,12}[A-Za-z0-9]", fullmatch=True).map(str.strip)
EXPRESSIONS = st.from_regex(r"[a-z0-9(][a-z0-9 ()\[\]:=&|!\\$.]{0,20}[a-z0-9)]", fullmatch=True)
LIST_SYNTAX = st.text(alphabet='ab;${}%#" =,\t\r\n:\\', max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), LIST_SYNTAX))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    lines = text.split("\n")
    try:
        filters = parse_list(text)
    except ListError as error:
        at_line, at_column = error.line, error.column
    else:
        assert len({each.id for each in filters}) == len(filters)
        assert all("${" not in each.expression and each.expression.strip() for each in filters)
        return
    assert 1 <= at_line <= len(lines)
    assert 1 <= at_column <= len(lines[at_line - 1]) + 2


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(IDS, EXPRESSIONS, max_size=8), st.sampled_from(["\n", "\r\n", "\n\n", " \n", "\n# x;y\n"])
)
def test_what_is_written_is_read(filters: dict[str, str], end: str) -> None:
    text = "".join(f"{id};{expression}{end}" for id, expression in filters.items())
    assert {each.id: each.expression for each in parse_list(text)} == filters
    assert parse_list(text.rstrip("\n")).filters == parse_list(text).filters


@st.composite
def acyclic_references(draw: Draw) -> list[list[int]]:
    """For each filter the earlier filters that it refers to."""
    count = draw(st.integers(1, 8))
    return [
        [draw(st.integers(0, n - 1)) for _ in range(draw(st.integers(0, 3)))] if n else []
        for n in range(count)
    ]


@settings(max_examples=150, deadline=None)
@given(acyclic_references(), st.data())
def test_references_expand_the_same_in_any_order_of_lines(
    references: list[list[int]], data: st.DataObject
) -> None:
    lines = [f"f{n};p{n}" + "".join(f" or ${{f{m}}}" for m in needed) for n, needed in enumerate(references)]
    expected: list[str] = []
    for n, needed in enumerate(references):
        expected.append(f"p{n}" + "".join(f" or ({expected[m]})" for m in needed))
    shuffled = data.draw(st.permutations(lines))
    read = {each.id: each.expression for each in parse_list("\n".join(shuffled))}
    assert read == {f"f{n}": text for n, text in enumerate(expected)}


@settings(max_examples=100, deadline=None)
@given(acyclic_references(), st.data())
def test_one_reference_back_is_a_cycle(references: list[list[int]], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(references) - 1))
    reachable = {start}
    for n in range(start, -1, -1):
        if n in reachable:
            reachable.update(references[n])
    end = data.draw(st.sampled_from(sorted(reachable)))
    references[end].append(start)
    lines = [f"f{n};p" + "".join(f" or ${{f{m}}}" for m in needed) for n, needed in enumerate(references)]
    with pytest.raises(ListError, match="cycle"):
        parse_list("\n".join(lines))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 9), st.booleans())
def test_indentation_nests(depths: list[int], step: int, tabs: bool) -> None:
    path: list[str] = []
    lines: list[str] = []
    expected: dict[str, str] = {}
    for n, wanted in enumerate(depths):
        path = path[: min(wanted, len(path))]
        lines.append(("\t" if tabs else " " * step) * len(path) + f"f{n};p{n}")
        parent = ":".join(path)
        path.append(f"f{n}")
        expected[":".join(path)] = f"({expected[parent]}) and (p{n})" if parent else f"p{n}"
    assert {each.id: each.expression for each in parse_list("\n".join(lines))} == expected
