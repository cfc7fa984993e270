"""Filter lists: bpfcountd's format, what we add to it, and where errors point."""

import time
import tracemalloc
from pathlib import Path

import pytest

from meshlens.errors import UsageError
from meshlens.filters.lists import MAX_EXPRESSION_CHARS, MAX_LIST_CHARS, ListError, load_list, parse_list
from tests.data import DATA, needs_data


def expressions(text: str) -> dict[str, str]:
    return {each.id: each.expression for each in parse_list(text)}


def refusal(text: str) -> ListError:
    with pytest.raises(ListError) as caught:
        parse_list(text, source="mesh.filters")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("arp;arp\n", {"arp": "arp"}),
        ("arp;arp", {"arp": "arp"}),
        ("arp;arp\r\nip;ip\r\n", {"arp": "arp", "ip": "ip"}),
        ("\n\narp;arp\n \n\t\nip;ip\n\n", {"arp": "arp", "ip": "ip"}),
        ("# all of it\narp;arp\n#ip;ip\n  # nested; comment", {"arp": "arp"}),
        ("\ufeffarp;arp", {"arp": "arp"}),
        ("arp ; arp \n", {"arp": "arp"}),
        ("arp;arp;what bpfcountd never reads", {"arp": "arp"}),
        ("a:b=c,d\"e';arp[6:2] == 1", {"a:b=c,d\"e'": "arp[6:2] == 1"}),
        ('type="arp",who="me";arp and ether src $MAC', {'type="arp",who="me"': "arp and ether src $MAC"}),
        ("é;arp", {"é": "arp"}),
        ("", {}),
    ],
)
def test_a_line_is_an_id_and_an_expression(text: str, filters: dict[str, str]) -> None:
    assert expressions(text) == filters


def test_filters_keep_the_order_and_the_numbers_of_their_lines() -> None:
    filters = parse_list("# first\nb;ip\n\na;arp\n")
    assert [(each.id, each.line) for each in filters] == [("b", 2), ("a", 4)]
    assert len(filters) == 2


def test_a_line_may_be_longer_than_bpfcountd_s_4095_characters() -> None:
    ports = " or ".join(f"port {port}" for port in range(1, 5000))
    assert expressions(f"ports;{ports}") == {"ports": ports}


def test_references_are_replaced_in_parentheses_wherever_the_referred_line_stands() -> None:
    text = "IP4:MC;${IP4} && ip multicast\nIP4;ip\nBOTH;not ${IP4:MC} and ${ IP4 }"
    assert expressions(text) == {
        "IP4:MC": "(ip) && ip multicast",
        "IP4": "ip",
        "BOTH": "not ((ip) && ip multicast) and (ip)",
    }


def test_a_leading_percent_marks_a_helper_that_is_part_of_the_id() -> None:
    filters = parse_list("%MDNS;udp dst port 5353\nX;ip && ${%MDNS}")
    assert [(each.id, each.helper) for each in filters] == [("%MDNS", True), ("X", False)]
    assert filters.filters[1].expression == "ip && (udp dst port 5353)"


@pytest.mark.parametrize(
    ("id", "labels"),
    [
        ('type="arp",subtype="request",who="me"', {"type": "arp", "subtype": "request", "who": "me"}),
        ('proto="udp"', {"proto": "udp"}),
        ('a="1", b="2"', {"a": "1", "b": "2"}),
        ('%a="1"', {"a": "1"}),
        (r'a="\"quoted\" \\ and, \n"', {"a": '"quoted" \\ and, \n'}),
        ('a=""', {"a": ""}),
        ("arp", None),
        ("IP4:MC:UDP", None),
        ('a="1",a="2"', None),
        ('a="1"b="2"', None),
        ('1a="1"', None),
        ('a="1', None),
        ("a='1'", None),
    ],
)
def test_an_id_that_spells_prometheus_labels_has_them(id: str, labels: dict[str, str] | None) -> None:
    (only,) = parse_list(f"{id};arp")
    assert only.labels == labels


def test_the_interface_s_address_takes_the_place_of_its_variable() -> None:
    filters = parse_list("a;ether src $MAC\nb;${a} or ether dst $MAC\nc;arp")
    assert [each.uses_mac for each in filters] == [True, True, False]
    assert filters.uses_mac
    own = filters.with_mac("02:00:00:00:00:0a")
    assert [each.expression for each in own] == [
        "ether src 02:00:00:00:00:0a",
        "(ether src 02:00:00:00:00:0a) or ether dst 02:00:00:00:00:0a",
        "arp",
    ]
    assert not own.uses_mac
    assert [each.line for each in own] == [1, 2, 3]
    with pytest.raises(UsageError, match="no MAC address"):
        filters.with_mac("eth0")


TREE = """\
# what the mesh carries
BAT; batadv
  BCAST; batadv 15 bcast
    ARP; arp
    IP6; ip6

      MDNS; udp port 5353
  OGM; batadv 15 ogm2
IP; ip
"""


def test_in_tree_form_a_child_is_tested_inside_its_parent() -> None:
    assert expressions(TREE) == {
        "BAT": "batadv",
        "BAT:BCAST": "(batadv) and (batadv 15 bcast)",
        "BAT:BCAST:ARP": "((batadv) and (batadv 15 bcast)) and (arp)",
        "BAT:BCAST:IP6": "((batadv) and (batadv 15 bcast)) and (ip6)",
        "BAT:BCAST:IP6:MDNS": "(((batadv) and (batadv 15 bcast)) and (ip6)) and (udp port 5353)",
        "BAT:OGM": "(batadv) and (batadv 15 ogm2)",
        "IP": "ip",
    }


def test_tree_form_and_references_mix() -> None:
    text = "%MC;ip multicast\nUDP;udp and ${BAT:BCAST}\nBAT;batadv\n\tBCAST;batadv 15 bcast\n\t\tMC;${%MC}"
    assert expressions(text)["UDP"] == "udp and ((batadv) and (batadv 15 bcast))"
    assert expressions(text)["BAT:BCAST:MC"] == "((batadv) and (batadv 15 bcast)) and ((ip multicast))"


def test_an_or_in_a_child_stays_inside_its_parent() -> None:
    assert expressions("a;arp\n b;ip or ip6\n  c;tcp")["a:b:c"] == "((arp) and (ip or ip6)) and (tcp)"


def test_a_helper_may_be_a_parent_and_a_child() -> None:
    filters = parse_list("%MESH;batadv 15 bcast\n ARP;arp\n %IP;ip\n  UDP;udp")
    assert [(each.id, each.helper) for each in filters] == [
        ("%MESH", True),
        ("MESH:ARP", False),
        ("%MESH:IP", True),
        ("MESH:IP:UDP", False),
    ]


def test_labels_of_parent_and_child_join_to_labels() -> None:
    filters = parse_list('type="arp";arp\n  op="request";arp[6:2] = 1\n  other;arp[6:2] > 2')
    assert [each.id for each in filters] == ['type="arp"', 'type="arp",op="request"', 'type="arp":other']
    assert filters.filters[1].labels == {"type": "arp", "op": "request"}
    assert filters.filters[2].labels is None


def test_a_list_that_is_indented_as_a_whole_is_no_tree() -> None:
    assert expressions("  a;arp\n  b;ip\n") == {"a": "arp", "b": "ip"}


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a;arp\nsome words", 2, 1, "expected `id;expression`"),
        ("a;arp\n;ip", 2, 1, "no id before the `;`"),
        ("%;ip", 1, 1, "no id before the `;`"),
        ("a;arp\nb;  ", 2, 5, "filter 'b' has no expression"),
        ("a;;arp", 1, 3, "filter 'a' has no expression"),
        ("a;arp\n\nb;ip\na;ip6", 4, 1, "id 'a' stands already in line 1"),
        ("a;arp\n b;ip\n b;ip6", 3, 2, "id 'a:b' stands already in line 2"),
        ("IP4;ip\nX;arp or ${IP6}", 2, 10, "no filter 'IP6' to refer to; did you mean IP4?"),
        ("X;  ${MAC}", 1, 5, "the interface's address is `$MAC`"),
        ("X;arp and ${Y", 1, 11, "`${` without `}`"),
        ("X;${}", 1, 3, "no filter '' to refer to"),
        ("a;arp or ${b}\nb;${c}\nc; ip or ${a}", 3, 10, "references form a cycle: a -> b -> c -> a"),
        ("a;not ${a}", 1, 7, "cycle: a -> a"),
        ("p;${p:c}\n c;arp", 2, 4, "cycle: p -> p:c -> p"),
        ("a;arp\n    b;ip\n  c;ip6", 3, 3, "indentation fits no line above"),
        ("  a;arp\nb;ip", 2, 1, "indentation fits no line above"),
    ],
)
def test_a_bad_line_is_refused_with_its_place(text: str, line: int, column: int, says: str) -> None:
    error = refusal(text)
    assert (error.line, error.column, error.source) == (line, column, "mesh.filters")
    assert says in error.reason
    assert str(error) == f"mesh.filters:{line}:{column}: {error.reason}"
    assert error.exit_code == 2


def test_a_chain_of_references_may_be_longer_than_python_recurses() -> None:
    lines = ["f0;arp", *(f"f{n};${{f{n - 1}}}" for n in range(1, 3000))]
    assert expressions("\n".join(reversed(lines)))["f2999"] == "(" * 2999 + "arp" + ")" * 2999


def test_references_that_double_at_each_line_end_in_an_error_not_in_memory() -> None:
    lines = ["f0;arp", *(f"f{n};${{f{n - 1}}} or ${{f{n - 1}}}" for n in range(1, 60))]
    tracemalloc.start()
    started = time.monotonic()
    error = refusal("\n".join(lines))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"more than {MAX_EXPRESSION_CHARS} characters" in error.reason
    assert error.line < 25
    assert peak_bytes < 16 * MAX_EXPRESSION_CHARS
    assert time.monotonic() - started < 5


def test_many_references_to_a_long_expression_end_in_an_error() -> None:
    long = "long;" + " or ".join(["arp"] * 100_000)
    error = refusal("\n".join([long, *(f"f{n};${{long}}" for n in range(1000))]))
    assert f"more than {MAX_LIST_CHARS} characters" in error.reason


def test_a_list_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read filter list .*missing: No such file"):
        load_list(tmp_path / "missing")
    with pytest.raises(UsageError, match="Is a directory"):
        load_list(tmp_path)
    latin = tmp_path / "latin1.filters"
    latin.write_bytes(b"arp;arp\nx\xe9;ip\n")
    with pytest.raises(ListError, match=r"latin1\.filters:2:2: byte 0xe9 is not UTF-8"):
        load_list(latin)


def test_a_filter_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mesh.filters"
    path.write_text("\nARP;arp\n")
    (only,) = load_list(path)
    assert only.where == f"{path}:2: filter 'ARP'"


@needs_data
@pytest.mark.parametrize(
    ("name", "filters", "helpers"),
    [
        ("bpfcountd.filters.example", 3, 0),
        ("bpfcountd.filters.example.extended", 16, 0),
        ("freifunk-hannover.ansible-ffh.bpfcount.filters.j2", 26, 0),
        ("gluon-statistics-mcast.mesh.filters", 580, 52),
        ("gluon.mesh.filters.expanded", 580, 52),
    ],
)
def test_real_lists_are_read(name: str, filters: int, helpers: int) -> None:
    read = load_list(DATA / "filters" / name)
    assert len(read) == filters
    assert sum(each.helper for each in read) == helpers


@needs_data
def test_gluon_s_references_expand_as_bpfcountd_expands_them() -> None:
    written = load_list(DATA / "filters" / "gluon-statistics-mcast.mesh.filters")
    expanded = load_list(DATA / "filters" / "gluon.mesh.filters.expanded")
    assert [(each.id, each.expression) for each in written] == [
        (each.id, each.expression) for each in expanded
    ]


@needs_data
def test_hannover_s_ids_are_labels() -> None:
    read = load_list(DATA / "filters" / "freifunk-hannover.ansible-ffh.bpfcount.filters.j2")
    assert all(each.labels for each in read)
