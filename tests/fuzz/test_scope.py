"""Made-up expressions: our parser against libpcap's, and scopes against their second definition."""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshlens.filters.errors import FilterError
from meshlens.filters.expression import parse, to_text
from meshlens.filters.pcap import compile_cbpf, matches
from meshlens.filters.scope import rewrite
from meshlens.packet.batadv import PACKET_TYPES
from tests.unit.filters.scope_oracle import (
    FRAMES,
    And,
    Batadv,
    Not,
    Or,
    Test,
    Tree,
    meaning,
    rewritten_matches,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

VOCABULARY = (
    "arp ip tcp udp ether host net port portrange proto src dst and or not && || ! ( ) [ ] = != < > + & / "
    "mask 80 443 0x11 10.0.0.1 10.0.0.0 255.0.0.0 ::1 01:02:03:04:05:06 \\icmp 10-20 len vlan broadcast "
    "multicast less greater icmp6type : * -"
).split()

TESTS = [
    "arp",
    "ip",
    "ip6",
    "udp",
    "tcp port 80",
    "udp port 53",
    "ether broadcast",
    "ether src 02:00:00:00:00:04",
    "ip multicast",
    "len > 200",
    "less 190",
    "ip[9] = 17",
    "(ip[0] & 0xf) != 5",
    "arp[6:2] == 1",
    "ether proto 0x4305",
    "ip proto (6 or 17)",
]
TYPED = [Batadv(version, kind.name) for version, kinds in PACKET_TYPES.items() for kind in kinds]
COMMON = [
    Batadv(15, "bcast"),
    Batadv(15, "unicast"),
    Batadv(14, "bcast"),
    Batadv(15, "mcast"),
    Batadv(15, "unicast_frag"),
]
LEAVES = st.one_of(
    st.sampled_from(TESTS).map(Test),
    st.sampled_from(COMMON),
    st.sampled_from([Batadv(), Batadv(15), Batadv(14), *TYPED]),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(And, inner, inner),
        st.builds(And, inner, inner),
        st.builds(Or, inner, inner),
        st.builds(Not, inner),
    ),
    max_leaves=10,
)


@st.composite
def spelled(draw: Draw, tree: Tree) -> str:
    """One of the ways to write a tree."""
    parenthesised = f"({draw(unparenthesised(tree))})"
    return parenthesised if draw(st.booleans()) or isinstance(tree, And | Or) else parenthesised[1:-1]


@st.composite
def unparenthesised(draw: Draw, tree: Tree) -> str:
    match tree:
        case And(left, right) | Or(left, right):
            words = ["and", "&&"] if isinstance(tree, And) else ["or", "||"]
            # `and` and `or` associate to the left, so the left side needs no parentheses.
            first = draw(st.one_of(unparenthesised(left), spelled(left)))
            return f"{first} {draw(st.sampled_from(words))} {draw(spelled(right))}"
        case Not(operand):
            return f"{draw(st.sampled_from(['not ', '!', '! ']))}{draw(spelled(operand))}"
        case Test(text):
            return text
        case Batadv():
            return tree.text.replace("_", draw(st.sampled_from("_-")))


@settings(max_examples=400, deadline=None)
@given(TREES.flatmap(lambda tree: st.tuples(st.just(tree), unparenthesised(tree))))
def test_a_scoped_expression_means_what_its_definition_says(case: tuple[Tree, str]) -> None:
    tree, text = case
    rewritten = rewrite(text)
    for frame in FRAMES:
        if rewritten_matches(rewritten, frame) != meaning(tree, frame):
            # libpcap's optimiser forgets the last test of `a or b and (a and b)`: that is no fault of ours.
            plain = compile_cbpf(rewritten.text, optimize=False)
            assert not rewritten.parts, (text, rewritten)
            assert matches(plain, frame) == meaning(tree, frame), (text, rewritten)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abdtvrp 15()!&|=[]:;\\$.-\n\0é", max_size=40))
def test_any_text_with_batadv_is_rewritten_or_refused(text: str) -> None:
    try:
        rewrite(f"batadv {text}")
    except FilterError as error:
        assert str(error)  # noqa: PT017


def test_what_libpcap_accepts_our_parser_reads_alike() -> None:
    rng = random.Random("pcap-filter")
    accepted = 0
    for _ in range(15_000):
        text = " ".join(rng.choices(VOCABULARY, k=rng.randint(1, 7)))
        accepted += same_program(text)
    for _ in range(3_000):
        accepted += same_program(generated(rng, 3))
    assert accepted > 3_000


def same_program(text: str) -> bool:
    """Whether libpcap accepts the text; if so, it must make the same program of our tree."""
    try:
        program = compile_cbpf(text, optimize=False)
    except FilterError:
        return False
    assert compile_cbpf(to_text(parse(text)), optimize=False) == program, text
    return True


def generated(rng: random.Random, depth: int) -> str:
    """A random expression in which identifiers inherit their qualifiers."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(
            [*TESTS, "tcp dst port 80", "host 10.0.0.1", "src or dst port 5", "not ip proto 17"]
        )
    if rng.random() < 0.3:
        identifiers = f" {rng.choice(['or', 'and', '||'])} {rng.choice(['', 'not ', '! '])}".join("123")
        return rng.choice(["port {}", "tcp src port ({})", "ip proto {}", "port 9 or ({})"]).format(
            identifiers
        )
    parts = [
        rng.choice(["{}", "({})", "not ({})"]).format(generated(rng, depth - 1))
        for _ in range(rng.randint(2, 3))
    ]
    return f" {rng.choice(['and', 'or', '&&', '||'])} ".join(parts)
