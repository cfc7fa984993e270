"""libpcap behind its small face: programs, verdicts, and errors that say where."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from meshlens.filters import names
from meshlens.filters.pcap import REJECT, SNAPLEN, CbpfInsn, FilterError, compile_cbpf, matches
from tests.unit.filters.scope_oracle import arp, ipv4

LOAD_HALF, JUMP_EQUAL, RETURN = 0x28, 0x15, 0x06


def test_a_program_is_a_tuple_of_instructions() -> None:
    assert compile_cbpf("arp") == (
        CbpfInsn(LOAD_HALF, 0, 0, 12),
        CbpfInsn(JUMP_EQUAL, 0, 1, 0x0806),
        CbpfInsn(RETURN, 0, 0, SNAPLEN),
        CbpfInsn(RETURN, 0, 0, 0),
    )


def test_the_empty_expression_matches_everything() -> None:
    assert compile_cbpf("") == (CbpfInsn(RETURN, 0, 0, SNAPLEN),)


def test_libpcap_judges_a_frame() -> None:
    program = compile_cbpf("arp[6:2] = 1")
    assert matches(program, arp(1))
    assert not matches(program, arp(2))
    assert not matches(program, arp(1)[:20])


def test_len_is_the_length_on_the_wire() -> None:
    program = compile_cbpf("len > 1000")
    assert not matches(program, arp(1))
    assert matches(program, arp(1), wire_length=1500)


@pytest.mark.parametrize("optimize", [True, False])
def test_a_contradiction_matches_nothing_and_is_no_error(optimize: bool) -> None:
    program = compile_cbpf("arp and ip", optimize=optimize)
    assert optimize == (program == REJECT)
    assert not matches(program, arp(1))
    assert not matches(program, ipv4(17, 1, 2))


def test_link_types_other_than_ethernet() -> None:
    beacon = bytes.fromhex("0000 0800 0000 0000") + b"\x80" + bytes(40)
    assert matches(compile_cbpf("type mgt subtype beacon", 127), beacon)
    assert matches(compile_cbpf("type mgt subtype beacon", 105), beacon[8:])
    with pytest.raises(FilterError, match=r"802\.11"):
        compile_cbpf("type mgt")
    with pytest.raises(FilterError, match="unknown data link type 700"):
        compile_cbpf("arp", 700)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("icmpv6 and ip", ["libpcap: can't parse filter expression: syntax error", "did you mean icmp6?"]),
        ("arp ip", ["syntax error", "`arp ip`"]),
        ("(arp", ["missing `)` after `(arp`"]),
        ("arp or", ["after `arp or`"]),
        ("port nosuchport", ["unknown port 'nosuchport'"]),
        ("ether host nosuchhost", ["unknown ether host"]),
        ("ip proto tcp", ["written `\\tcp`"]),
        ("ip broadcast", ["netmask not known"]),
        ("host 10.0.0.1/8", ["non-network bits"]),
        ("arp;ip", ["illegal character ';'"]),
        ("arp or " * 1000, ["…"]),
    ],
)
def test_an_error_has_libpcap_s_words_and_ours(expression: str, says: list[str]) -> None:
    with pytest.raises(FilterError) as caught:
        compile_cbpf(expression)
    assert all(words in str(caught.value) for words in says)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_error_can_be_told_its_filter() -> None:
    error = FilterError("no such primitive").at("mesh.filters:3: filter 'ARP'")
    assert str(error) == "mesh.filters:3: filter 'ARP': no such primitive"


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("host nosuchname", "nosuchname"),
        ("ip host 10.0.0.1 and arpp", "arpp"),
        ("src gw01.example or dst 10.0.0.1", "gw01.example"),
        ("src or dst host 1and1.example", "1and1.example"),
        ("tcp and not (ip6 host \\host)", "host"),
        ("net nosuchnet", "nosuchnet"),
    ],
)
def test_a_host_name_is_never_looked_up_over_the_network(expression: str, name: str) -> None:
    with pytest.raises(FilterError, match="DNS is never asked") as caught:
        compile_cbpf(expression)
    assert f"'{name}'" in str(caught.value)


def test_a_host_name_of_the_hosts_file_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.7 elsewhere gw01.example # gw02.example\n")
    monkeypatch.setattr(names, "HOSTS", hosts)
    names.refuse_unknown_names("ip host gw01.example or elsewhere")
    with pytest.raises(FilterError):
        names.refuse_unknown_names("ip host gw02.example")
    monkeypatch.setattr(names, "HOSTS", tmp_path / "missing")
    with pytest.raises(FilterError):
        names.refuse_unknown_names("ip host gw01.example")


def test_localhost_is_a_host() -> None:
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    assert matches(compile_cbpf("ip dst host localhost"), ipv4(17, 1, 2, "7f000001"))


@pytest.mark.parametrize(
    "expression",
    [
        "port http or domain",
        "tcp dst portrange ftp-ssh",
        "ip proto \\udp or \\icmp",
        "ether host 0a:0b:0c:0d:0e:0f and host 0x0a000001",
        "icmp6[icmp6type] = icmp6-echo and ip6 host fe80::a",
        "src host 10.0.0.1 and ip[9] = 0x11",
        "what is no expression",
    ],
)
def test_names_that_libpcap_finds_in_files_pass(expression: str) -> None:
    names.refuse_unknown_names(expression)


def test_importing_the_face_does_not_import_libpcap() -> None:
    modules = "meshlens.filters.pcap, meshlens.filters.scope, meshlens.filters.lists"
    code = f"import sys, {modules}; print('cypcap' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "False"
