"""`meshlens bpfcountd` is bpfcountd from outside: libpcap's packets and bytes, its socket, its signals.

The oracle is a tcpdump that captures on the same interface at the same time; its file is judged by libpcap.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from meshlens.filters.lists import FilterList, load_list
from meshlens.filters.pcap import compile_cbpf, matches
from meshlens.packet.capture import read_capture
from meshlens.packet.craft import BROADCAST, arp, ethernet, ip_frame, tag, udp
from tests.kernel.conftest import NetNs, NetNsPair

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump")]

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
ADDRESSES = ("192.0.2.1", "192.0.2.2")

LIST = """\
all;len >= 0
arp;arp
arp-me;arp and ether src $MAC
arp-others;arp and not ether src $MAC
ip;ip
tcp;tcp
syn;tcp[tcpflags] & tcp-syn != 0
data-to-server;tcp dst port 4242 and len > 100
from-server;tcp src port 4242
large;greater 1515
huge;greater 20000
small;less 100
odd;len & 1 = 1
udp-low;udp and portrange 1-1023
dns;udp port 53
host;host 192.0.2.1
src-net;src net 192.0.2.0/30
broadcast;ether broadcast
multicast;ether multicast
vlan;vlan
vlan7;vlan 7
vlan7-arp;vlan 7 and arp
vlan-ip;vlan and ip
vlan-tcp;vlan and tcp port 4242
qinq;vlan 8 and vlan 9
not-ip;not ip
neither;not ip and not arp and not vlan
type:with:colons;ether proto 0x88b5
last-bytes;ether[60:4] = 0
%helper;tcp or udp
uses-helper;${%helper} and not ${syn}"""


@pytest.fixture
def wire(netns_pair: NetNsPair) -> NetNsPair:
    """The veth pair with addresses, known to each other."""
    for ns, mac, address in zip(netns_pair, MACS, ADDRESSES, strict=True):
        ns.shell("ip", "link", "set", "veth0", "address", mac)
        ns.shell("ip", "address", "add", f"{address}/24", "dev", "veth0")
    return netns_pair


@pytest.fixture
def list_path(tmp_path: Path) -> Path:
    path = tmp_path / "all.filters"
    path.write_text(LIST)
    return path


class Daemon:
    """A running `meshlens bpfcountd`."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process, self.path = process, path

    def ask(self) -> dict[str, tuple[int, int]]:
        """(packets, bytes) by id, as a client reads them."""
        lines = ask(self.path).splitlines()
        fields = [line.rsplit(":", 2) for line in lines]
        return {id: (int(packets), int(bytes_)) for id, bytes_, packets in fields}

    def settled(self) -> dict[str, tuple[int, int]]:
        """The same, once nothing is under way any more."""
        before = self.ask()
        while True:
            time.sleep(0.3)
            now = self.ask()
            if now == before:
                return now
            before = now

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def ask(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(os.fspath(path))
        received = b""
        while chunk := client.recv(1 << 16):
            received += chunk
    return received.decode()


@contextlib.contextmanager
def daemon(ns: NetNs, list_path: Path, *options: str, interface: str = "veth0") -> Iterator[Daemon]:
    path = list_path.with_suffix(".sock")
    command = [
        *(f"nsenter --net=/run/netns/{ns.name}".split()),
        *(sys.executable, "-m", "meshlens", "bpfcountd"),
        *("-i", interface, "-f", os.fspath(list_path), "-u", os.fspath(path), *options),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 30
            while not _answers(path):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.02)
            yield Daemon(process, path)
        finally:
            process.kill()


def _answers(path: Path) -> bool:
    try:
        return bool(ask(path))
    except OSError:
        return False


@contextlib.contextmanager
def tcpdump(ns: NetNs, file: Path, *options: str, interface: str = "veth0") -> Iterator[None]:
    """Everything that passes is in `file` after the block; a frame lost fails the test."""
    command = [
        *(f"nsenter --net=/run/netns/{ns.name} tcpdump -i {interface} -n -s 0 -B 65536 -U -Z root".split()),
        *("-w", os.fspath(file), *options),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "listening on" not in (line := process.stderr.readline()):
            assert line, "tcpdump ended"
        yield
        time.sleep(1.2)  # it hands over what it has each second
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert "\n0 packets dropped by kernel" in said


def by_libpcap(file: Path, filters: FilterList, mac: str, prefilter: str = "") -> dict[str, tuple[int, int]]:
    """What libpcap says that bpfcountd's filters count of a capture."""
    with read_capture(file) as reader:
        frames = [(each.data, each.wire_length) for each in reader]
    before = compile_cbpf(prefilter)
    passed = [(data, size) for data, size in frames if matches(before, data, size)]
    counts = {}
    for each in filters.with_mac(mac):
        program = compile_cbpf(each.expression)
        sizes = [size for data, size in passed if matches(program, data, size)]
        counts[each.id] = len(sizes), sum(sizes)
    return counts


def transfer(client: NetNs, server: NetNs, size: int = 3_000_000) -> None:
    """A TCP connection that carries `size` bytes to the server and as many hundredths back."""
    listener = server.run(lambda: socket.create_server((ADDRESSES[1], 4242)))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            left = size
            while left:
                left -= len(connection.recv(1 << 16))
            connection.sendall(bytes(size // 100))

    thread = Thread(target=serve)
    thread.start()

    def send() -> None:
        with socket.create_connection((ADDRESSES[1], 4242), timeout=20) as connection:
            connection.sendall(bytes(size))
            while connection.recv(1 << 16):
                pass

    client.run(send)
    thread.join(20)
    listener.close()


def odds_and_ends(sender: NetNs) -> None:
    """Raw frames: tagged once and twice, short ones, ones of no known type, ones for others."""
    near_mac = MACS[0]
    request = arp(1, near_mac, ADDRESSES[0], "00:00:00:00:00:00", ADDRESSES[1])
    plain = ethernet(BROADCAST, near_mac, 0x0806, request)
    datagram = ip_frame(near_mac, udp(*ADDRESSES, 40000, 53, bytes(33)), BROADCAST)
    stranger = ethernet("02:00:00:00:77:77", "02:00:00:00:88:88", 0x0800, bytes(46))
    tagged = [tag(plain, 7), tag(datagram, 7), tag(datagram, 8, 9), tag(plain, 100), tag(stranger, 7)]
    short = [ethernet(BROADCAST, near_mac, 0x88B5, bytes(size)) for size in (0, 1, 46, 47)]
    for frame in (plain, datagram, stranger, *tagged, *short):
        sender.send(*[frame] * 3)


def all_traffic(wire: NetNsPair) -> None:
    odds_and_ends(wire.near)
    odds_and_ends(wire.far)
    transfer(wire.near, wire.far)


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("side", ["near", "far"])
def test_packets_and_bytes_are_libpcaps(
    wire: NetNsPair, list_path: Path, tmp_path: Path, side: str, offload: str
) -> None:
    for ns in wire:
        ns.shell("ethtool", "-K", "veth0", "tso", offload, "gso", offload, "gro", offload)
    ns, mac = getattr(wire, side), MACS[0 if side == "near" else 1]
    capture = tmp_path / "all.pcap"
    with daemon(ns, list_path, "-b", "131072") as counting, tcpdump(ns, capture):
        all_traffic(wire)
        counted = counting.settled()
    expected = by_libpcap(capture, load_list(list_path), mac)
    assert counted == expected
    assert counted["tcp"][0] > 40
    assert (counted["huge"][0] > 0) == (offload == "on")
    zero = {id for id, (packets, _) in counted.items() if not packets}
    assert zero <= {"huge", "udp-low", "vlan-tcp", "large"}, "a filter that is never tried proves nothing"


@pytest.mark.parametrize(
    ("prefilter", "direction"),
    [
        ("inbound", "in"),
        ("outbound and not tcp", "out"),
        ("inbound and (arp or vlan)", "in"),
        ("not (tcp and greater 1000)", "inout"),
        ("vlan", "inout"),
    ],
)
def test_a_prefilter_restricts_what_the_filters_see(
    wire: NetNsPair, list_path: Path, tmp_path: Path, prefilter: str, direction: str
) -> None:
    capture = tmp_path / "some.pcap"
    with (
        daemon(wire.far, list_path, "-F", prefilter) as counting,
        tcpdump(wire.far, capture, "-Q", direction),
    ):
        all_traffic(wire)
        counted = counting.settled()
    offline = prefilter.replace("inbound", "len >= 0").replace("outbound", "len >= 0")  # -Q did it
    assert counted == by_libpcap(capture, load_list(list_path), MACS[1], offline)
    assert counted["all"][0] > 0


def test_a_frame_on_the_loopback_counts_once(wire: NetNsPair, list_path: Path, tmp_path: Path) -> None:
    capture = tmp_path / "lo.pcap"

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for size in range(1, 50):
                sender.sendto(bytes(size), ("127.0.0.1", 53))

    with (
        daemon(wire.near, list_path, interface="lo") as counting,
        tcpdump(wire.near, capture, interface="lo"),
    ):
        wire.near.run(send)
        counted = counting.settled()
    assert counted == by_libpcap(capture, load_list(list_path), "00:00:00:00:00:00")
    assert counted["dns"][0] >= 49


def test_it_is_promiscuous_while_it_runs(wire: NetNsPair, list_path: Path) -> None:
    def promiscuity() -> int:
        words = wire.near.shell("ip", "-d", "link", "show", "veth0").stdout.split()
        return int(words[words.index("promiscuity") + 1])

    assert promiscuity() == 0
    with daemon(wire.near, list_path) as counting:
        until = time.monotonic() + 10
        while not promiscuity():
            assert time.monotonic() < until
        counting.end()
    assert promiscuity() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well_and_the_socket_is_gone(wire: NetNsPair, list_path: Path, number: int) -> None:
    with daemon(wire.near, list_path) as counting:
        assert counting.end(number) == 0
        assert not counting.path.exists()
        assert counting.process.stderr is not None
        assert counting.process.stderr.read() == ""


def test_after_a_kill_the_next_one_takes_the_socket_over(wire: NetNsPair, list_path: Path) -> None:
    with daemon(wire.near, list_path) as counting:
        assert counting.end(signal.SIGKILL) == -signal.SIGKILL
        assert counting.path.exists()
    with daemon(wire.near, list_path) as counting:
        assert counting.ask()["all"] == (0, 0)


def test_clients_are_answered_while_another_says_nothing(wire: NetNsPair, list_path: Path) -> None:
    with daemon(wire.near, list_path) as counting:
        with contextlib.ExitStack() as silent:
            for _ in range(8):
                silent.enter_context(socket.socket(socket.AF_UNIX)).connect(os.fspath(counting.path))
            answers = {ask(counting.path) for _ in range(5)}
        assert len(answers) == 1
        [answer] = answers
        ids = [line.rsplit(":", 2)[0] for line in answer.splitlines()]
        assert ids == [each.id for each in load_list(list_path)]
        assert counting.path.stat().st_mode & 0o777 == 0o666


def test_counting_goes_on_when_the_interface_is_back(wire: NetNsPair, list_path: Path) -> None:
    near, far = wire
    frame = ethernet(BROADCAST, MACS[0], 0x88B5, bytes(46))
    with daemon(near, list_path) as counting:
        near.send(frame)
        far.shell("ip", "link", "del", "veth0")
        near.shell("ip", "link", "add", "veth0", "type", "veth", "peer", "veth0", "netns", far.name)
        for ns in wire:
            ns.shell("ip", "link", "set", "veth0", "up")
        until = time.monotonic() + 10
        while counting.ask()["type:with:colons"][0] < 2:
            near.send(frame)
            time.sleep(0.1)
            assert time.monotonic() < until


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-i", "nix0", "-f", "{list}"], "nix0"),
        (["-i", "veth0", "-f", "/nowhere"], "cannot read filter list /nowhere"),
        (["-i", "veth0", "-f", "{list}", "-F", "not a filter"], "prefilter"),
        (["-i", "veth0"], "-f"),
        (["-f", "{list}"], "-i"),
        (["-i", "veth0", "-f", "{list}", "-u", "/nowhere/x.sock"], "/nowhere/x.sock"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    wire: NetNsPair, list_path: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    words = [word.replace("{list}", os.fspath(list_path)) for word in options]
    command = f"nsenter --net=/run/netns/{wire.near.name} {sys.executable} -m meshlens bpfcountd".split()
    done = subprocess.run(
        [*command, *words], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode in (1, 2), done
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""


def test_resident_memory_stays_small(wire: NetNsPair, list_path: Path) -> None:
    with daemon(wire.near, list_path) as counting:
        counting.ask()
        status = Path(f"/proc/{counting.process.pid}/status").read_text()
    rss_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    print(f"meshlens bpfcountd: {rss_kib / 1024:.1f} MiB resident")
    assert rss_kib < 30 * 1024
