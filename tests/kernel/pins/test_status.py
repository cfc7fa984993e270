"""`meshlens status` against bpftool and against what the test itself attached and sent."""

import json
import shutil
import subprocess
import threading
from contextlib import ExitStack

import pytest

from meshlens.ebpf import ProgramType, attach_clsact, attach_tcx, attach_xdp
from tests.kernel.ebpf.counting import FRAME, counter
from tests.kernel.pins.conftest import Lab

pytestmark = pytest.mark.root


def test_the_chains_of_an_interface_are_listed_in_order_ours_and_others(lab: Lab, arp_list: str) -> None:
    foreign = counter(ProgramType.SCHED_CLS, "foreign").load()
    behind = lab.near.run(lambda: attach_tcx(foreign, lab.near.ifindex, "ingress"))
    legacy = lab.near.run(lambda: attach_clsact(foreign, lab.near.ifindex, "egress"))
    with behind, legacy:
        lab.ok("count", arp_list, "-i", "veth0", "--attach", "tc", "--pin", "here")
        found = [
            (each["interface"], each["hook"], each["direction"], each["position"], each["name"], each["pin"])
            for each in lab.status()
        ]
        by = [each["ours"] for each in lab.status()]
        table = lab.ok("status", "-i", "veth0").splitlines()
    assert found == [
        ("veth0", "tcx", "in", 1, "meshlens_count", "here"),
        ("veth0", "tcx", "in", 2, "foreign", None),
        ("veth0", "tcx", "out", 1, "meshlens_count", "here"),
        ("veth0", "clsact", "out", 1, "foreign", None),
    ]
    assert by == [True, False, True, False]
    assert table[0].split()[:5] == ["INTERFACE", "HOOK", "DIR", "#", "PLACE"]
    assert table[1].endswith("meshlens, pinned as here")
    assert table[2].endswith("another")


@pytest.mark.skipif(not shutil.which("bpftool"), reason="needs bpftool")
def test_sizes_and_tags_are_bpftools(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    for each in lab.status():
        shown = subprocess.run(
            ["bpftool", "-j", "prog", "show", "id", str(each["program_id"])],
            check=True,
            capture_output=True,
            text=True,
        )
        program = json.loads(shown.stdout)
        assert each["tag"] == program["tag"]
        assert each["name"] == program["name"]
        assert each["instructions"] == program["bytes_xlated"] // 8
        maps = [_memlock(identifier) for identifier in program["map_ids"]]
        assert each["memory_bytes"] == program["bytes_memlock"] + sum(maps)


def _memlock(identifier: int) -> int:
    shown = subprocess.run(
        ["bpftool", "-j", "map", "show", "id", str(identifier)], check=True, capture_output=True, text=True
    )
    return int(json.loads(shown.stdout)["bytes_memlock"])


@pytest.mark.skipif(not shutil.which("bpftool"), reason="needs bpftool")
def test_every_hook_is_as_bpftool_shows_it(lab: Lab) -> None:
    skb, xdp = counter(ProgramType.SCHED_CLS, "skb").load(), counter(ProgramType.XDP, "xdp").load()
    near = lab.near
    attach = [
        lambda: attach_xdp(xdp, near.ifindex, "generic"),
        lambda: attach_tcx(skb, near.ifindex, "ingress"),
        lambda: attach_tcx(skb, near.ifindex, "egress"),
        lambda: attach_clsact(skb, near.ifindex, "egress"),
    ]
    with ExitStack() as attached:
        for each in attach:
            attached.enter_context(near.run(each))
        (shown,) = json.loads(near.shell("bpftool", "-j", "net", "show", "dev", "veth0").stdout)
        links = {
            each["id"]: each["prog_id"] for each in json.loads(near.shell("bpftool", "-j", "link").stdout)
        }
        filters = near.shell("tc", "filter", "show", "dev", "veth0", "egress").stdout
        status = lab.status("-i", "veth0")
    assert [(each["hook"], each["program_id"]) for each in status if each["hook"].startswith("xdp")] == [
        (f"xdp-{each['mode']}", each["id"]) for each in shown["xdp"]
    ]
    clsact = [each for each in shown["tc"] if each["kind"].startswith("clsact")]  # older ones know no TCX
    assert [(each["hook"], each["direction"]) for each in status][1:] == [
        ("tcx", "in"), ("tcx", "out"), ("clsact", "out"),
    ]  # fmt: skip
    assert [(each["id"], each["kind"]) for each in clsact] == [(status[-1]["program_id"], "clsact/egress")]
    assert [links.get(each["link_id"]) for each in status] == [
        xdp.info().id, skb.info().id, skb.info().id, None,
    ]  # fmt: skip
    assert f"pref {status[-1]['priority']} bpf" in filters
    assert f"handle {status[-1]['handle']:#x}" in filters


def test_statistics_count_each_run_while_they_are_on(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.send(*[FRAME] * 5)
    sent = 20
    sender = threading.Timer(1, lab.near.send, [FRAME] * sent)
    sender.start()
    status = {each["direction"]: each for each in lab.status("--stats", "3")}
    sender.join()
    assert status["out"]["run_count"] == sent
    assert 0 < status["out"]["ns_per_run"] < 100_000
    assert status["out"]["ns_per_run"] == status["out"]["run_time_ns"] / sent
    assert (status["in"]["run_count"], status["in"]["ns_per_run"]) == (0, None)


def test_a_pin_in_another_namespace_is_listed_as_such(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    states = [(each["pin"], each["state"]) for each in lab.status(ns=lab.far)]
    assert states == [("here", "other network namespace")] * 2


def test_a_pin_that_somebody_detached_is_listed_as_such(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--direction", "in", "--pin", "here")
    link = f"/proc/{lab.holder}/root/sys/fs/bpf/meshlens/here/veth0:in:link"
    subprocess.run(["bpftool", "link", "detach", "pinned", link], check=True, capture_output=True)
    assert [(each["pin"], each["state"]) for each in lab.status()] == [("here", "detached")]
    lab.near.send(FRAME)
    assert lab.counts("here")["veth0", "in", "all"] == (0, 0)


def test_a_running_count_is_listed_without_a_pin_and_a_socket_without_interface(
    lab: Lab, arp_list: str
) -> None:
    for attach, hook, interface in (("tc", "tcx", "veth0"), ("socket", "socket", None)):
        command = lab.command("count", arp_list, "-i", "veth0", "--attach", attach, "--direction", "in")
        with subprocess.Popen([*command, "--json", "--interval", "0.1"], stdout=subprocess.PIPE) as counting:
            assert counting.stdout is not None
            counting.stdout.readline()
            listed = [(each["hook"], each["interface"], each["pin"]) for each in lab.json("status")]
            counting.terminate()
            counting.stdout.read()
        assert (hook, interface, None) in listed
    assert lab.status() == []


def test_an_unknown_interface_is_an_error_that_names_it(lab: Lab) -> None:
    done = lab.run("status", "-i", "nix0")
    assert (done.code, done.err) == (2, "meshlens: no interface 'nix0'; 'ip link' lists those there are\n")
    assert lab.ok("status", "-i", "veth*") == "nothing is attached\n"
