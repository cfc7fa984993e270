"""The process that counts: its signals, what it leaves behind, what it costs and may do, whom it tells."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from meshlens.ebpf.query import attached
from tests.kernel.conftest import NetNsPair
from tests.kernel.count.daemon import ENVIRONMENT, counting, finish, in_namespace, last_report
from tests.kernel.count.traffic import FILTERS, FRAMES, MTU, eventually, send, truth

pytestmark = pytest.mark.root

#: The command line where the kernel has no TCX.
WITHOUT_TCX = """
import meshlens.probes.attach
from meshlens.cli.main import main
from meshlens.errors import NotSupported

def no_tcx(*_):
    raise NotSupported("as before Linux 6.6")

meshlens.probes.attach.attach_tcx = no_tcx
main()
"""

MIB = 1 << 20


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "my.filters"
    path.write_text("".join(f"{name};{text}\n" for name, (text, _) in FILTERS.items()))
    return path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
@pytest.mark.parametrize("program", [None, WITHOUT_TCX], ids=["tcx", "clsact"])
def test_a_signal_ends_it_with_the_final_counts_and_nothing_attached(
    mesh: NetNsPair, listed: Path, number: signal.Signals, code: int, program: str | None
) -> None:
    with counting(mesh.near, str(listed), "--json", program=program) as process:
        send(mesh.far)
        ended, out, err = finish(process, number)
    assert (ended, err) == (code, "")
    assert last_report(out) == (truth(FRAMES), 0)
    assert mesh.near.run(lambda: attached(mesh.near.ifindex)) == []


def test_killed_it_leaves_nothing_attached(mesh: NetNsPair, listed: Path) -> None:
    for mode in ("auto", "xdp", "socket"):
        with counting(mesh.near, str(listed), "--attach", mode) as process:
            finish(process, signal.SIGKILL)
            assert eventually(lambda: mesh.near.run(lambda: attached(mesh.near.ifindex)) == [])


def test_what_a_kill_leaves_at_clsact_is_removed_by_the_next_start(mesh: NetNsPair, listed: Path) -> None:
    with counting(mesh.near, str(listed), program=WITHOUT_TCX) as process:
        finish(process, signal.SIGKILL)
    assert len(mesh.near.run(lambda: attached(mesh.near.ifindex))) == 2
    with counting(mesh.near, str(listed), "--json", program=WITHOUT_TCX) as process:
        send(mesh.far)
        _, out, _ = finish(process, signal.SIGTERM)
    assert last_report(out) == (truth(FRAMES), 0)
    assert mesh.near.run(lambda: attached(mesh.near.ifindex)) == []


def test_a_reader_that_closes_the_pipe_ends_it(mesh: NetNsPair, listed: Path) -> None:
    with counting(mesh.near, str(listed), "--json", "--interval", "0.1") as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 141
    assert mesh.near.run(lambda: attached(mesh.near.ifindex)) == []


def test_duration_and_interval_are_kept(mesh: NetNsPair, listed: Path) -> None:
    with counting(mesh.near, str(listed), "--json", "--duration", "1.1", "--interval", "0.3") as process:
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.count('"missed"') == 4  # after 0.3, 0.6 and 0.9 seconds, and the last one


def test_sighup_reads_the_list_again(mesh: NetNsPair, listed: Path) -> None:
    with counting(mesh.near, str(listed), "--format", "bpfcountd", "--interval", "0.2") as process:
        assert process.stdout
        assert process.stderr
        send(mesh.far)
        listed.write_text("all;len >= 0\nfresh;arp\n")
        process.send_signal(signal.SIGHUP)
        assert any(line.startswith("fresh:") for line in process.stdout)
        listed.write_text("all;what is this\n")
        process.send_signal(signal.SIGHUP)
        complaint = process.stderr.readline()
        assert re.match(rf"meshlens: {listed}:1: .*; the list read before stays in force\n", complaint)
        send(mesh.far)
        _, out, _ = finish(process, signal.SIGTERM)
    twice = truth(FRAMES, times=2)
    packets, size = truth(FRAMES)["arp"]
    assert out.splitlines()[-2:] == [
        f"all:{twice['all'][1]}:{twice['all'][0]}",
        f"fresh:{size}:{packets}",
    ]


def test_it_keeps_only_the_capabilities_that_following_interfaces_takes(
    mesh: NetNsPair, listed: Path
) -> None:
    with counting(mesh.near, str(listed), "-i", "mesh*", "--json") as process:

        def kept() -> set[str]:
            status = Path(f"/proc/{process.pid}/status").read_text()
            return set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)", status, re.MULTILINE))

        wanted = {f"{1 << 12 | 1 << 38 | 1 << 39:016x}"}  # net_admin, perfmon, bpf
        assert eventually(lambda: kept() == wanted)  # it attaches first
        mesh.near.shell(
            "ip", "link", "add", "mesh5", "mtu", str(MTU), "type", "veth",
            "peer", "mesh5", "mtu", str(MTU), "netns", mesh.far.name,
        )  # fmt: skip
        for ns in mesh:
            ns.shell("ip", "link", "set", "mesh5", "up")
        index = mesh.near._replace(ifname="mesh5").ifindex
        assert eventually(lambda: len(mesh.near.run(lambda: attached(index))) == 2)
        send(mesh.far, interface="mesh5")
        _, out, _ = finish(process, signal.SIGTERM)
    assert last_report(out, interface="mesh5") == (truth(FRAMES), 0)


def test_six_interfaces_and_580_filters_take_less_than_30_mib(mesh: NetNsPair, tmp_path: Path) -> None:
    scopes = ("", "batadv 15 bcast and ", "batadv 15 unicast and ", "batadv 15 mcast and ")
    lines = [f"{scope}{port};{scope}udp dst port {port}\n" for scope in scopes for port in range(5000, 5145)]
    listed = tmp_path / "long.filters"
    listed.write_text("".join(lines))
    assert len(lines) == 580
    for number in range(5):
        mesh.near.shell("ip", "link", "add", f"w{number}", "type", "veth", "peer", f"p{number}")
    arguments = ["-i", "w*", str(listed), "--json", "--interval", "0.2"]
    with counting(mesh.near, *arguments) as process:
        assert process.stdout
        reports = 0
        while reports < 3:
            reports += '"missed"' in process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak_kib = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1])  # type: ignore[index]
    assert peak_kib * 1024 < 30 * MIB


def test_bpfcountds_socket_prometheus_and_the_textfile_tell_the_same(
    mesh: NetNsPair, listed: Path, tmp_path: Path
) -> None:
    path, textfile = tmp_path / "counts.sock", tmp_path / "counts.prom"
    services = ["--socket", str(path), "--socket-mode", "600", "--prometheus-listen", "9417",
                "--textfile", str(textfile), "--interval", "0.2"]  # fmt: skip
    packets, size = truth(FRAMES)["bcast:arp"]

    def ask_socket() -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            return client.makefile().read()

    def ask_http() -> str:
        with urllib.request.urlopen("http://127.0.0.1:9417/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    with counting(mesh.near, str(listed), *services) as process:
        assert eventually(path.exists)
        send(mesh.far)
        assert f"bcast:arp:{size}:{packets}\n" in ask_socket()
        assert path.stat().st_mode & 0o777 == 0o600
        line = f'{{filter="bcast:arp",interface="veth0",direction="in"}} {packets}\n'
        assert "meshlens_filter_packets_total" + line in mesh.near.run(ask_http)
        assert eventually(lambda: line in textfile.read_text())
        code, out, _ = finish(process, signal.SIGTERM)
    assert (code, out) == (143, "")
    assert not path.exists()


def test_on_a_terminal_it_shows_a_live_table_and_at_the_end_the_exact_one(
    mesh: NetNsPair, listed: Path
) -> None:
    leader, follower = pty.openpty()
    command = in_namespace(
        mesh.near, "-m", "meshlens", "count", str(listed), "-i", "veth0", "--interval", "0.2"
    )
    environment = ENVIRONMENT | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
    )
    os.close(follower)
    seen = b""
    deadline = time.monotonic() + 20
    while b"pkt/s" not in seen and time.monotonic() < deadline:
        seen += os.read(leader, 65536)
    send(mesh.far)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:  # the terminal is closed
        pass
    os.close(leader)
    assert process.wait(20) == 130
    packets, size = truth(FRAMES)["bcast:arp"]
    assert re.search(rf"bcast:arp +{packets} +{size} ", seen.decode())


def test_without_privileges_it_says_what_is_needed(mesh: NetNsPair, listed: Path) -> None:
    root_without_capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    command = ["meshlens", "count", str(listed), "-i", "veth0"]
    done = subprocess.run(
        ["ip", "netns", "exec", mesh.near.name, *root_without_capabilities, sys.executable, "-m", *command],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"meshlens: cannot .*: permission denied; run as root, or with CAP_.*\n", done.stderr)


def test_bad_requests_end_with_one_line_and_nothing_attached(mesh: NetNsPair, listed: Path) -> None:
    for arguments, complaint in (
        (["-i", "wlan7"], "meshlens: no interface 'wlan7'; there are lo, veth0"),
        (
            ["-i", "veth0", "--prometheus-listen", "nine"],
            "meshlens: --prometheus-listen takes PORT or HOST:PORT",
        ),
        (["-i", "veth0", "--socket", "/proc/none"], "meshlens: cannot make the socket /proc/none"),
    ):
        done = subprocess.run(
            in_namespace(mesh.near, "-m", "meshlens", "count", str(listed), *arguments),
            env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode in (1, 2)
        assert done.stderr.startswith(complaint)
        assert done.stderr.count("\n") == 1
        assert mesh.near.run(lambda: attached(mesh.near.ifindex)) == []
