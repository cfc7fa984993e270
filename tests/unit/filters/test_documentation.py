"""What docs/filter-lists.md shows is what the code does."""

import re
from pathlib import Path

import pytest

from meshlens.filters.errors import FilterError
from meshlens.filters.lists import parse_list
from meshlens.filters.pcap import REJECT, compile_cbpf
from meshlens.filters.scope import rewrite
from meshlens.packet.batadv import PACKET_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "filter-lists.md").read_text()
LISTS = re.findall(r"```filters\n(.*?)```", PAGE, re.DOTALL)
RULES = PAGE.partition("with O for a test")[2].partition("What lists often need")[0]
OF_OUTER, OF_INNER = "ether src 02:00:00:00:00:0a", "ether src 02:00:00:00:00:0b"


def test_every_list_compiles() -> None:
    assert len(LISTS) > 8
    for text in LISTS:
        for each in parse_list(text).with_mac("02:00:00:00:00:01"):
            rewritten = rewrite(each.expression)
            programs = [compile_cbpf(rewritten.text), *(compile_cbpf(part.text) for part in rewritten.parts)]
            assert REJECT not in programs or each.id == "B", each.id


def test_the_tree_and_its_long_form_are_the_same_filters() -> None:
    tree, long_form = (
        [(each.id, each.expression) for each in parse_list(text)] for text in LISTS if "BAT;" in text
    )
    assert tree == long_form


@pytest.mark.parametrize(
    "example", [text for text in re.findall(r"`([^`]*)`", RULES) if re.search(r"\b[OI]\b", text)]
)
def test_each_primitive_of_a_rule_s_example_is_about_the_frame_it_says(example: str) -> None:
    rewritten = rewrite(re.sub(r"\bI\b", OF_INNER, re.sub(r"\bO\b", OF_OUTER, example)))
    inner = " ".join(part.text for part in rewritten.parts)
    assert OF_INNER not in rewritten.text
    assert OF_OUTER not in inner
    assert (OF_INNER in inner, OF_OUTER in rewritten.text) == ("I" in example, "O" in example)


def test_the_table_of_types_is_complete() -> None:
    rows = {int(row[1]): row for row in re.finditer(r"^\| (14|15) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)}
    for version, kinds in PACKET_TYPES.items():
        carrying = {name for kind in kinds if kind.inner for name in kind.names}
        other = {name for kind in kinds if not kind.inner for name in kind.names}
        assert set(re.findall(r"`(\w+)`", rows[version][2])) == carrying
        assert set(re.findall(r"`(\w+)`", rows[version][3])) == other


@pytest.mark.parametrize("expression", ["batadv 13", "ether proto \\batadv", "ip broadcast"])
def test_what_it_calls_refused_is_refused(expression: str) -> None:
    with pytest.raises(FilterError):
        compile_cbpf(rewrite(expression).text)
