"""Monitor interfaces and captures of other link types: kernel = interpreter = libpcap, on every frame."""

import random
from typing import NamedTuple

import pytest

from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.errors import FilterError
from meshlens.filters.pcap import compile_cbpf
from tests.data import needs_data
from tests.oracle.conftest import Compare
from tests.oracle.corpus import Sample, captured, damaged
from tests.oracle.expressions import sections
from tests.oracle.judges import HOOKS, Libpcap, Verdicts, as_list, join, kernel_is_allowed
from tests.oracle.steer import steered


class LinkType(NamedTuple):
    """What capture files and libpcap call it, the expressions for it, how many frames are aimed at each."""

    linktype: int
    dlt: int
    expressions: str
    aimed: int
    kernel: bool


#: Interfaces can be of the first three types, capture files of all.
LINK_TYPES = {
    "802.11": LinkType(105, 105, "wifi.txt", 20, kernel=True),
    "radiotap": LinkType(127, 127, "wifi.txt", 20, kernel=True),
    "prism": LinkType(119, 119, "wifi.txt", 20, kernel=True),
    "raw": LinkType(101, 12, "expressions.txt", 3, kernel=False),
    "cooked": LinkType(113, 113, "expressions.txt", 3, kernel=False),
}


def accepted(expressions: list[str], link_type: int) -> list[str]:
    """Those of the expressions that libpcap takes for this link type."""
    found = []
    for expression in expressions:
        try:
            compile_cbpf(expression, link_type)
        except FilterError:
            continue
        found.append(expression)
    return found


def filters_for(link: LinkType) -> CompiledList:
    lists = [as_list(accepted(section, link.dlt)) for section in sections(link.expressions).values()]
    return join([compile_list(each, link_type=link.dlt) for each in lists if len(each)])


@pytest.fixture(scope="module", params=LINK_TYPES)
def verdicts(request: pytest.FixtureRequest, compare: Compare) -> Verdicts:
    link = LINK_TYPES[request.param]
    compiled, rng = filters_for(link), random.Random(1)
    programs = [compile_cbpf(each.expression, link.dlt) for each in compiled.filters]
    aimed = [frame for program in programs for frame in steered(program, rng, link.aimed)]
    whole = [*captured(link.linktype), *(Sample(frame, len(frame)) for frame in aimed)]
    samples = tuple(dict.fromkeys((*whole, *damaged(whole[::3], seed=2))))
    return compare(compiled, samples, Libpcap(compiled.filters, link.dlt).answer, kernel=link.kernel)


def test_the_interpreter_says_what_libpcap_says(verdicts: Verdicts) -> None:
    assert verdicts.complaint("interpreter") == ""


@pytest.mark.kernel
def test_the_kernel_counts_what_the_interpreter_says(verdicts: Verdicts) -> None:
    if not kernel_is_allowed():
        pytest.skip("programs may not be loaded")
    assert verdicts.complaint(*HOOKS) == ""


@needs_data
@pytest.mark.parametrize("number", [105, 127])
def test_every_captured_frame_of_a_monitor_interface_is_there(number: int) -> None:
    assert len(captured(number)) > 30_000
