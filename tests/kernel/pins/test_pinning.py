"""Counting with no process: what is pinned goes on counting, says what it is, and ends without a trace."""

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from meshlens.packet.craft import BROADCAST, arp, ethernet
from tests.data import DATA, needs_data
from tests.kernel.pins.conftest import Lab

pytestmark = pytest.mark.root

MAC = "02:00:00:00:00:01"
ARP = ethernet(BROADCAST, MAC, 0x0806, arp(1, MAC, "192.0.2.1", "00:00:00:00:00:00", "192.0.2.2"))
UNKNOWN = ethernet(BROADCAST, MAC, 0x88B5, bytes(100))
KIB = 1024


def second_interface(lab: Lab, name: str) -> None:
    """Another veth pair beside the first."""
    lab.near.shell("ip", "link", "add", name, "type", "veth", "peer", "far1", "netns", lab.far.name)
    lab.near.shell("ip", "link", "set", name, "up")
    lab.far.shell("ip", "link", "set", "far1", "up")


def test_the_kernel_counts_both_directions_with_no_process_resident(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.send(ARP, ARP, UNKNOWN)
    lab.far.send(ARP)
    assert lab.counts("here") == {
        ("veth0", "in", "arp"): (1, len(ARP)),
        ("veth0", "in", "all"): (1, len(ARP)),
        ("veth0", "in", "tcp"): (0, 0),
        ("veth0", "out", "arp"): (2, 2 * len(ARP)),
        ("veth0", "out", "all"): (3, 2 * len(ARP) + len(UNKNOWN)),
        ("veth0", "out", "tcp"): (0, 0),
    }
    lab.near.send(ARP)
    assert lab.counts("here")["veth0", "out", "arp"] == (3, 3 * len(ARP))


@pytest.mark.parametrize(
    ("attach", "hooks"),
    [("tc", ["tcx", "tcx"]), ("xdp", ["xdp-native", "tcx"]), ("xdp-generic", ["xdp-generic", "tcx"])],
)
def test_every_hook_that_outlives_a_process_can_be_pinned(
    lab: Lab, arp_list: str, attach: str, hooks: list[str]
) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--attach", attach, "--pin", "here")
    status = lab.status()
    assert [(each["hook"], each["direction"]) for each in status] == list(
        zip(hooks, ("in", "out"), strict=True)
    )
    lab.near.send(ARP)
    lab.far.send(ARP)
    counts = lab.counts("here")
    assert [counts["veth0", way, "arp"][0] for way in ("in", "out")] == [1, 1]
    lab.ok("detach", "here")
    assert lab.status() == []


def test_a_packet_socket_cannot_be_pinned(lab: Lab, arp_list: str) -> None:
    done = lab.run("count", arp_list, "-i", "veth0", "--attach", "socket", "--pin", "here")
    assert (done.code, done.out) == (2, "")
    assert "a packet socket ends with its process" in done.err
    assert lab.pinned() == []


def test_detach_leaves_neither_program_nor_pin(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    assert len(lab.status()) == 2
    assert lab.ok("detach", "here") == "detached here\n"
    assert lab.status() == []
    assert lab.pinned() == []
    again = lab.run("detach", "here")
    assert (again.code, again.err) == (1, "meshlens: nothing is pinned as 'here': nothing is\n")


def test_an_unknown_name_is_answered_with_those_there_are(lab: Lab, arp_list: str) -> None:
    for name in ("one", "two.3"):
        lab.ok("count", arp_list, "-i", "veth0", "--pin", name)
    for command in ("read", "detach"):
        done = lab.run(command, "three")
        assert (done.code, done.err) == (1, "meshlens: nothing is pinned as 'three': there is one, two.3\n")
    assert lab.ok("detach", "--all") == "detached one\ndetached two.3\n"
    assert lab.ok("detach", "--all") == "nothing is pinned\n"
    assert lab.status() == []


def test_a_name_that_is_taken_stays_as_it_is(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.send(ARP)
    done = lab.run("count", arp_list, "-i", "veth0", "--pin", "here")
    assert (done.code, done.err) == (
        2,
        "meshlens: 'here' is pinned already: 'meshlens detach here' ends it\n",
    )
    assert lab.counts("here")["veth0", "out", "arp"][0] == 1
    assert len(lab.status()) == 2


def test_two_counters_side_by_side_count_the_same_and_end_apart(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "one")
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "two")
    lab.near.send(ARP)
    assert lab.counts("one") == lab.counts("two")
    lab.ok("detach", "one")
    lab.near.send(ARP)
    assert lab.counts("two")["veth0", "out", "arp"][0] == 2


@pytest.mark.parametrize("name", ["", "..", "a/b", "ä", "-x", "a:b", "x" * 65])
def test_a_name_that_cannot_be_is_refused(lab: Lab, arp_list: str, name: str) -> None:
    done = lab.run("count", arp_list, "-i", "veth0", f"--pin={name}")
    assert done.code == 2, done
    assert "64 letters" in done.err
    assert lab.pinned() == []


def test_a_list_that_is_wrong_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "wrong.filters"
    path.write_text("arp;arp\nno;arpp\n")
    done = lab.run("count", os.fspath(path), "-i", "veth0", "--pin", "here")
    assert done.code == 2
    assert lab.pinned() == []
    assert lab.status() == []


def test_what_cannot_be_attached_leaves_nothing(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--attach", "xdp", "--pin", "first")
    done = lab.run("count", arp_list, "-i", "veth0", "--attach", "xdp", "--pin", "second")
    assert done.code == 1
    assert "another program is there" in done.err
    assert {each["pin"] for each in lab.status()} == {"first"}
    assert {path.split("/")[0] for path in lab.pinned()} == {"first"}


def test_counts_of_an_interface_that_is_gone_can_still_be_read(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.send(ARP)
    lab.far.shell("ip", "link", "del", "veth0")
    assert lab.counts("here")["veth0", "out", "arp"] == (1, len(ARP))
    assert [(each["interface"], each["state"]) for each in lab.status()] == [("veth0", "interface gone")] * 2
    lab.ok("detach", "here")
    assert lab.pinned() == []


def test_a_renamed_interface_keeps_the_name_it_was_pinned_under(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.shell("ip", "link", "set", "veth0", "name", "renamed0")
    lab.far.send(ARP)
    assert lab.counts("here")["veth0", "in", "arp"][0] == 1
    assert [(each["interface"], each["pin"], each["state"]) for each in lab.status()] == [
        ("renamed0", "here", "attached")
    ] * 2


def test_names_with_dots_and_several_interfaces_go_into_one_pin(lab: Lab, arp_list: str) -> None:
    second_interface(lab, "mesh0.7")
    lab.ok("count", arp_list, "-i", "veth0", "-i", "mesh0.7", "--direction", "out", "--pin", "a.b")
    lab.near._replace(ifname="mesh0.7").send(ARP)
    counts = lab.counts("a.b")
    assert counts["mesh0.7", "out", "arp"] == (1, len(ARP))
    assert counts["veth0", "out", "arp"] == (0, 0)
    assert len(lab.pinned()) == 6


def test_each_interface_has_its_own_address_in_the_list(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "mac.filters"
    path.write_text("mine;ether src $MAC\nothers;not ether src $MAC\n")
    lab.near.shell("ip", "link", "set", "veth0", "address", MAC)
    second_interface(lab, "mesh0")
    lab.ok("count", os.fspath(path), "-i", "veth0", "-i", "mesh0", "--direction", "out", "--pin", "here")
    for ifname in ("veth0", "mesh0"):
        lab.near._replace(ifname=ifname).send(ARP)  # from MAC
    assert {key: packets for key, (packets, _) in lab.counts("here").items()} == {
        ("veth0", "out", "mine"): 1,
        ("veth0", "out", "others"): 0,
        ("mesh0", "out", "mine"): 0,
        ("mesh0", "out", "others"): 1,
    }


def test_a_counter_left_half_made_says_so_and_can_be_removed(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    Path(f"/proc/{lab.holder}/root/sys/fs/bpf/meshlens/here/manifest").unlink()  # what is made last
    done = lab.run("read", "here")
    assert (done.code, done.err) == (
        1, "meshlens: 'here' was left half made: 'meshlens detach here' removes it\n"
    )  # fmt: skip
    assert len(lab.status()) == 2
    lab.ok("detach", "here")
    assert lab.status() == []
    assert lab.pinned() == []


def test_a_bpffs_is_mounted_where_there_is_none(lab: Lab, arp_list: str) -> None:
    script = (
        f'meshlens() {{ nsenter {shlex.join(lab.command()[2:])} "$@"; }}; umount /sys/fs/bpf; '
        f"! grep /sys/fs/bpf /proc/mounts && meshlens count {arp_list} -i veth0 --pin here && "
        "grep /sys/fs/bpf /proc/mounts && meshlens read here --format bpfcountd && meshlens detach here"
    )
    # In a pid namespace of its own the mount namespace is that of process 1, as it is on a machine.
    own = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c", script]
    done = subprocess.run(own, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    assert "bpf /sys/fs/bpf bpf rw" in done.stdout
    assert "arp:0:0\nall:0:0\ntcp:0:0\ndetached here\n" in done.stdout


def test_pinning_where_the_mount_would_end_with_the_command_is_refused(lab: Lab, arp_list: str) -> None:
    inside = ["ip", "netns", "exec", lab.near.name, *lab.command("count", arp_list, "-i", "veth0")[3:]]
    done = subprocess.run([*inside, "--pin", "here"], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "nsenter --net=/run/netns/NAME" in done.stderr
    assert lab.status() == []


def test_without_privilege_the_error_says_what_is_needed(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
    pinning = ["count", "-e", "arp", "-i", "veth0", "--pin", "there"]
    for words in (["read", "here"], ["detach", "here"], ["status"], pinning):
        done = lab.run(*words, user=nobody)
        assert done.code == 1, done
        assert "root" in done.err, done
        assert len(done.err.splitlines()) == 1


def test_a_reader_needs_cap_bpf_and_no_more(lab: Lab, arp_list: str) -> None:
    """As packaging/meshlens-bpfcountd@.service starts it."""
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    capable = ("setpriv", "--bounding-set=-all,+bpf", "--inh-caps=-all", "--no-new-privs")
    done = lab.run("read", "here", "--format", "bpfcountd", user=capable)
    assert (done.code, done.out) == (0, "arp:0:0\nall:0:0\ntcp:0:0\n"), done


def test_pinning_and_detaching_need_no_more_than_their_unit_grants(lab: Lab, arp_list: str) -> None:
    """As packaging/meshlens-count@.service runs both, also where others have XDP programs."""
    lab.ok("count", arp_list, "-i", "veth0", "--attach", "xdp", "--pin", "other")
    granted = ("setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon", "--inh-caps=-all", "--no-new-privs")
    for words in (["count", arp_list, "-i", "veth0", "--attach", "tc", "--pin", "here"], ["detach", "here"]):
        done = lab.run(*words, user=granted)
        assert done.code == 0, done
    assert {each["pin"] for each in lab.status()} == {"other"}


def test_where_no_interface_fits_nothing_is_pinned(lab: Lab, arp_list: str) -> None:
    done = lab.run("count", arp_list, "-i", "nix*", "--pin", "here")
    assert (done.code, done.err) == (1, "meshlens: nothing to pin: there is no interface to count on\n")
    assert lab.pinned() == []


@needs_data
def test_580_filters_both_directions_take_less_than_512_kib(lab: Lab) -> None:
    path = os.fspath(DATA / "filters/gluon-statistics-mcast.mesh.filters")
    lab.ok("count", path, "-i", "veth0", "--pin", "here")
    status = lab.status()
    assert len(status) == 2
    manifest = Path(f"/proc/{lab.holder}/root/sys/fs/bpf/meshlens/here/manifest")
    shown = subprocess.run(
        ["bpftool", "-j", "map", "show", "pinned", os.fspath(manifest)],
        capture_output=True,
        text=True,
        check=False,
    )
    manifest_bytes = int(shown.stdout.split('"bytes_memlock":')[1].split(",")[0].strip('"} \n'))
    total = sum(each["memory_bytes"] for each in status) + manifest_bytes
    print(f"kernel memory: {total / KIB:.0f} KiB, of which manifest {manifest_bytes / KIB:.1f} KiB")
    cpus = os.cpu_count() or 1
    assert total <= 512 * KIB + 2 * 64 * KIB * max(0, cpus - 2)  # counters are per CPU


@needs_data
def test_reading_starts_fast_and_without_heavy_modules(lab: Lab) -> None:
    path = os.fspath(DATA / "filters/gluon-statistics-mcast.mesh.filters")
    lab.ok("count", path, "-i", "veth0", "--pin", "here")
    best = min(_timed(lab) for _ in range(5))
    print(f"meshlens read, 580 filters: {best * 1000:.0f} ms")
    assert best < 1.0  # 0.1 here; other work may be going on
    program = (
        "import sys; from meshlens.cli.main import run; "
        "run(['read', 'here', '--format', 'bpfcountd']); print(*sys.modules)"
    )
    command = [*lab.command()[:-2], "-c", program]
    modules = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()
    )
    assert "meshlens.probes.count.pinned" in modules
    assert not {"rich", "cypcap", "pyroute2", "meshlens.filters.compiler"} & set(modules)


def _timed(lab: Lab) -> float:
    start = time.monotonic()
    assert len(lab.ok("read", "here", "--format", "bpfcountd").splitlines()) > 500
    return time.monotonic() - start


def test_read_repeats_and_ends_cleanly(lab: Lab, arp_list: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    command = lab.command("read", "here", "--interval", "0.1", "--format", "bpfcountd")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        first = [reader.stdout.readline() for _ in range(3)]
        lab.near.send(ARP)
        until = time.monotonic() + 10
        while f"arp:{len(ARP)}:1\n" not in reader.stdout.readline():
            assert time.monotonic() < until
        reader.terminate()
        reader.stdout.read()
        assert reader.wait(10) == 143
    assert first == ["arp:0:0\n", "all:0:0\n", "tcp:0:0\n"]


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        (["--format", "prometheus"], "# "),
        (["--format", "respondd-compact"], "{"),
        (["--format", "table"], "filter"),
        ([], '{"filter": "arp"'),
    ],
)
def test_read_prints_every_format(lab: Lab, arp_list: str, options: list[str], begins: str) -> None:
    lab.ok("count", arp_list, "-i", "veth0", "--pin", "here")
    lab.near.send(ARP)
    assert lab.ok("read", "here", *options).startswith(begins)
