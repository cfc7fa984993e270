"""What `meshlens capture` writes is what was on the wire, whole, in order, and honest about what it lost."""

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshlens.ebpf import query
from meshlens.ebpf.query import Attachment
from meshlens.packet.capture import read_capture
from meshlens.packet.captured import CapturedFrame
from tests.kernel.conftest import NetNs, NetNsPair

pytestmark = [pytest.mark.root, pytest.mark.kernel]

MAC_A, MAC_B, EVERYBODY = bytes.fromhex("020000000001"), bytes.fromhex("020000000002"), b"\xff" * 6
TCPDUMP = ("tcpdump", "-Z", "root", "--immediate-mode", "-B", "65536", "-i", "veth0", "-U", "-w")
ARP, IPV4, BATADV = b"\x08\x06", b"\x08\x00", b"\x43\x05"


def frame(ethertype: bytes, payload: bytes, to: bytes = MAC_B) -> bytes:
    return to + MAC_A + ethertype + payload


def numbered(count: int, size: int = 64) -> list[bytes]:
    return [frame(IPV4, number.to_bytes(4, "big").ljust(size - 14, b"\0")) for number in range(count)]


def command(ns: NetNs, *words: str) -> list[str]:
    return ["ip", "netns", "exec", ns.name, sys.executable, "-m", "meshlens", "capture", *words]


@contextlib.contextmanager
def capturing(ns: NetNs, *words: str, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A capture that has attached; ended at the end, if it has not by itself."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command(ns, *words), stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        deadline = time.monotonic() + 20
        while not attached(ns) and process.poll() is None:
            assert time.monotonic() < deadline, "not attached within 20 s"
            time.sleep(0.02)
        time.sleep(0.1)  # the other direction, and the file's header
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


def attached(ns: NetNs) -> list[Attachment]:
    return ns.run(lambda: query.attached(socket.if_nametoindex(ns.ifname)))


def ended(process: subprocess.Popen[str], number: int | None = signal.SIGINT) -> tuple[int, str]:
    """The exit code and what was said, after a signal."""
    if number is not None:
        process.send_signal(number)
    _, said = process.communicate(timeout=20)
    return process.returncode, said


def wireshark_reads(path: Path) -> str:
    """What capinfos says of a file that neither it nor tshark has anything to complain about."""
    said = ""
    for tool in (["tshark", "-r", str(path), "-T", "fields", "-e", "frame.number"], ["capinfos", str(path)]):
        done = subprocess.run(tool, check=True, capture_output=True, text=True, timeout=60)
        complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
        assert complaints == []
        said = done.stdout
    return said


def frames_of(path: Path) -> list[CapturedFrame]:
    with open(path, "rb") as file:
        return list(read_capture(file))


def test_the_file_holds_what_tcpdump_holds(netns_pair: NetNsPair, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.pcapng", tmp_path / "theirs.pcap"
    sent = [
        *numbered(50),
        frame(IPV4, bytes(1400)),
        frame(ARP, bytes(46), to=EVERYBODY),
        frame(b"\x81\x00\x00\x2a" + IPV4, b"tagged".ljust(60, b".")),
        *(frame(IPV4, bytes(size)) for size in range(1, 9)),
    ]
    tcpdump = subprocess.Popen(
        ["ip", "netns", "exec", netns_pair.far.name, *TCPDUMP, str(theirs)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tcpdump.stderr is not None
    assert "listening" in tcpdump.stderr.readline()
    with capturing(netns_pair.far, "-i", "veth0", "-w", str(ours)) as process:
        netns_pair.near.send(*sent)
        time.sleep(0.5)
        code, said = ended(process)
    tcpdump.send_signal(signal.SIGINT)
    tcpdump.wait(10)
    tcpdump.stderr.close()
    assert (code, said) == (130, f"veth0: {len(sent)} captured, 0 filtered out, 0 dropped\n")
    captured, reference = frames_of(ours), frames_of(theirs)
    assert [each.data for each in captured] == [each.data for each in reference] == sent
    assert [each.wire_length for each in captured] == [each.wire_length for each in reference]
    for one, other in zip(captured, reference, strict=True):
        assert abs(one.timestamp_ns - other.timestamp_ns) < 50_000_000
    assert {each.direction for each in captured} == {"in"}
    said = wireshark_reads(ours)
    assert re.search(r"Strict time order:\s+True", said)
    assert re.search(r"Number of stat entries = 1", said)


def test_each_direction_is_told(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    with capturing(netns_pair.near, "-i", "veth0", "-w", str(path)) as process:
        netns_pair.near.send(*numbered(3))
        netns_pair.far.send(*numbered(2))
        time.sleep(0.3)
        ended(process, signal.SIGTERM)
    assert process.returncode == 143
    assert [each.direction for each in frames_of(path)] == ["out"] * 3 + ["in"] * 2


@pytest.mark.parametrize("point", ["tc-in", "entry"])
def test_the_filter_runs_in_the_kernel_inside_batman_adv_too(
    netns_pair: NetNsPair, tmp_path: Path, point: str
) -> None:
    path = tmp_path / "arp.pcapng"
    inner_arp, inner_ip = frame(ARP, bytes(46), to=EVERYBODY), frame(IPV4, bytes(46), to=EVERYBODY)
    broadcast = b"\x01\x0f" + bytes(12)  # packet type 1, compat version 15: 14 bytes
    mesh = [frame(BATADV, broadcast + inner) for inner in (inner_arp, inner_ip)]
    words = ["-i", "veth0", "--at", point, "-w", str(path), "batadv", "15", "bcast", "and", "arp"]
    with capturing(netns_pair.far, *words) as process:
        netns_pair.near.send(*mesh, inner_arp)
        time.sleep(0.3)
        _, said = ended(process)
    assert said == "veth0: 1 captured, 2 filtered out, 0 dropped\n"
    assert [each.data for each in frames_of(path)] == mesh[:1]
    assert "Filter string = batadv 15 bcast and arp" in wireshark_reads(path)


def test_at_xdp_frames_of_several_buffers_are_whole_and_judged_by_all_of_their_bytes(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    path, big = tmp_path / "jumbo.pcapng", frame(IPV4, bytes(7000) + b"\x42" + bytes(900))
    for ns in netns_pair:
        ns.shell("ip", "link", "set", "veth0", "mtu", "9000")
    expression = f"len = {len(big)} and ether[7014] = 0x42 or len = 64"
    with capturing(netns_pair.far, "-i", "veth0", "--at", "entry", "-w", str(path), expression) as process:
        assert "xdpgeneric" not in netns_pair.far.shell("ip", "-d", "link", "show", "veth0").stdout
        netns_pair.near.send(big, big[:-1], big.replace(b"\x42", b"\x43"), *numbered(2))
        time.sleep(0.3)
        _, said = ended(process)
    assert said == "veth0: 3 captured, 2 filtered out, 0 dropped\n"
    assert [each.data for each in frames_of(path)] == [big, *numbered(2)]
    wireshark_reads(path)


def test_at_xdp_the_verdict_is_told_which_is_to_pass(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "verdict.pcapng"
    with capturing(netns_pair.far, "-i", "veth0", "--at", "entry", "-w", str(path)) as process:
        netns_pair.near.send(*numbered(2))
        time.sleep(0.3)
        ended(process)
    words = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.verdict.ebpf_xdp"]
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    assert told.split() == ["2", "2"]
    assert [each.data for each in frames_of(path)] == numbered(2)


def test_snapshots_are_cut_and_tell_the_length(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "short.pcapng"
    sent = [frame(IPV4, bytes(range(size))) for size in range(1, 60)]
    with capturing(netns_pair.far, "-i", "veth0", "-s", "35", "-w", str(path)) as process:
        netns_pair.near.send(*sent)
        time.sleep(0.3)
        ended(process)
    captured = frames_of(path)
    assert [(each.data, each.wire_length) for each in captured] == [(each[:35], len(each)) for each in sent]
    wireshark_reads(path)


def test_bytes_beyond_the_linear_part_are_captured(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "tcp.pcapng"
    loopback = NetNs(netns_pair.far.name, "lo")
    sent = os.urandom(1 << 19)
    with capturing(loopback, "-i", "lo", "--at", "tc-out", "-w", str(path), "tcp dst port 5001") as process:
        loopback.run(lambda: to_ourselves(sent))
        time.sleep(0.3)
        ended(process)
    segments = {}
    for each in frames_of(path):
        ip = (each.data[14] & 15) * 4
        tcp = 14 + ip
        segments[struct.unpack_from(">I", each.data, tcp + 4)[0]] = each.data[
            tcp + (each.data[tcp + 12] >> 4) * 4 :
        ]
    assert max(map(len, segments.values())) > 1500, "several segments in one skb"
    assert sent in b"".join(segment for _, segment in sorted(segments.items()))


def to_ourselves(data: bytes) -> int:
    address = ("127.0.0.1", 5001)
    with (
        socket.create_server(address) as server,
        socket.create_connection(address) as client,
        server.accept()[0] as receiver,
    ):
        thread = threading.Thread(target=client.sendall, args=(data,))
        thread.start()
        received = 0
        while received < len(data):
            received += len(receiver.recv(1 << 16))
        thread.join(10)
    return received


def test_a_count_is_exact(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "ten.pcapng"
    with capturing(netns_pair.far, "-i", "veth0", "-c", "10", "-w", str(path)) as process:
        netns_pair.near.send(*numbered(100))
        code, said = ended(process, None)
    assert (code, said) == (0, "veth0: 10 captured, 0 filtered out, 0 dropped\n")
    assert [each.data for each in frames_of(path)] == numbered(10)


def test_several_interfaces_share_a_file_in_order_of_time(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "both.pcapng"
    far = netns_pair.far
    far.shell("ip", "link", "add", "veth1", "type", "veth", "peer", "veth2")
    for name in ("veth1", "veth2"):
        far.shell("ip", "link", "set", name, "up")
    with capturing(far, "-i", "veth[01]", "-w", str(path)) as process:
        for number in range(10):
            NetNs(far.name, "veth2" if number % 2 else "veth0").send(numbered(10)[number])
        time.sleep(0.3)
        _, said = ended(process)
    captured = frames_of(path)
    assert [each.data for each in captured] == numbered(10)
    assert [each.interface for each in captured] == [0, 1] * 5
    assert said.count("5 captured") == 2
    information = wireshark_reads(path)
    assert re.search(r"Strict time order:\s+True", information)
    assert "Name = veth1" in information


def test_files_in_turn_lose_nothing_between_them(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "part"
    with capturing(netns_pair.far, "-i", "veth0", "-C", "0.01", "-w", str(path)) as process:
        netns_pair.near.send(*numbered(300))
        time.sleep(0.3)
        ended(process)
    parts = [path, *(tmp_path / f"part{number}" for number in range(1, len(list(tmp_path.iterdir()))))]
    assert len(parts) > 3
    assert [each.data for part in parts for each in frames_of(part)] == numbered(300)
    for part in parts:
        assert part.stat().st_size <= 10_000 + 200, "a file and its statistics"
        wireshark_reads(part)


def test_files_by_time_end_after_as_many_as_asked_for(netns_pair: NetNsPair, tmp_path: Path) -> None:
    pattern = str(tmp_path / "at-%s")
    words = ["-i", "veth0", "-G", "1", "-W", "2", "-w", pattern]
    with capturing(netns_pair.far, *words) as process:
        netns_pair.near.send(*numbered(5))
        code, _ = ended(process, None)
    assert code == 0
    parts = sorted(tmp_path.iterdir())
    assert len(parts) == 2
    assert [each.data for part in parts for each in frames_of(part)] == numbered(5)


def test_a_reader_that_stops_costs_frames_which_are_counted(netns_pair: NetNsPair, tmp_path: Path) -> None:
    sent, batch = 0, numbered(500, size=1400)
    with capturing(netns_pair.far, "-i", "veth0", "-B", "2048", stdout=subprocess.PIPE) as process:
        for _ in range(8):
            netns_pair.near.send(*batch)
            sent += len(batch)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        path = tmp_path / "pipe.pcapng"
        path.write_bytes(os_read(process.stdout.fileno()))
        said = process.stderr.read()
    captured, dropped = (int(re.search(rf"([\d,]+) {word}", said)[1].replace(",", "")) for word in  # type: ignore[index]
                         ("captured", "dropped"))  # fmt: skip
    assert dropped > 0
    assert captured + dropped == sent
    assert len(frames_of(path)) == captured
    wireshark_reads(path)


def test_drops_stand_in_the_file_where_they_happened(netns_pair: NetNsPair, tmp_path: Path) -> None:
    path = tmp_path / "gap.pcapng"
    with capturing(netns_pair.far, "-i", "veth0", "-B", "2048", "-w", str(path)) as process:
        process.send_signal(signal.SIGSTOP)
        for _ in range(4):
            netns_pair.near.send(*numbered(500, size=1400))
        process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        for cpu in os.sched_getaffinity(0):
            send_on(netns_pair.near, cpu)
        time.sleep(0.3)
        _, said = ended(process)
    dropped = int(re.search(r"([\d,]+) dropped", said)[1].replace(",", ""))  # type: ignore[index]
    assert dropped > 0
    fields = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.drop_count"]
    told = subprocess.run(fields, check=False, capture_output=True, text=True, timeout=60)
    if told.returncode:
        pytest.skip("this tshark does not show drop counts")
    assert sum(map(int, told.stdout.split())) == dropped


def os_read(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))


def send_on(ns: NetNs, cpu: int) -> None:
    def send() -> None:
        os.sched_setaffinity(0, {cpu})
        ns.send(numbered(1)[0])

    ns.run(send)


def test_a_full_disk_ends_the_capture_with_a_file_that_can_be_read(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        path = tmp_path / "full.pcapng"
        with capturing(netns_pair.far, "-i", "veth0", "-w", str(path)) as process:
            netns_pair.near.send(*numbered(1000))
            code, said = ended(process, None)
        assert code == 1
        assert "captured" in said
        assert f"meshlens: {path}: No space left on device" in said
        assert "Traceback" not in said
        captured = [each.data for each in frames_of(path)]
        assert len(captured) > 300
        assert captured == numbered(len(captured))
        wireshark_reads(path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_an_interface_that_goes_and_returns_as_another_has_a_further_block(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    path, sent = tmp_path / "gone.pcapng", numbered(4)
    far = netns_pair.far
    with capturing(far, "-i", "veth0", "-i", "veth1*", "-w", str(path)) as process:
        tail = NetNs(far.name, "veth2")
        pair(far, "veth1", "veth2")
        wait_attached(far, "veth1")
        tail.send(sent[0])
        far.shell("ip", "link", "del", "veth1")
        time.sleep(0.3)
        netns_pair.near.send(sent[1])
        pair(far, "veth1", "veth2")
        wait_attached(far, "veth1")
        tail.send(sent[2])
        netns_pair.near.send(sent[3])
        time.sleep(0.3)
        code, said = ended(process)
    assert code == 130
    assert said.splitlines() == [
        "meshlens: veth1 is there: captured on from now",
        "meshlens: veth1 is gone",
        "meshlens: veth1 is there: captured on from now",
        "veth0: 2 captured, 0 filtered out, 0 dropped",
        "veth1: 1 captured, 0 filtered out, 0 dropped",
        "veth1: 1 captured, 0 filtered out, 0 dropped",
    ]
    captured = frames_of(path)
    assert [each.data for each in captured] == sent
    assert [each.interface for each in captured] == [1, 0, 2, 0]
    assert wireshark_reads(path).count("Name = veth1") == 2


def test_a_capture_waits_for_its_only_interface_which_goes_on_under_its_number_if_it_returns_as_it_was(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    path, sent = tmp_path / "back.pcapng", numbered(2)
    far, tail = netns_pair.far, NetNs(netns_pair.far.name, "veth2")
    pair(far, "veth1", "veth2", "02:00:00:00:00:77")
    with capturing(NetNs(far.name, "veth1"), "-i", "veth1", "-c", "2", "-w", str(path)) as process:
        tail.send(sent[0])
        far.shell("ip", "link", "del", "veth1")
        time.sleep(0.3)
        assert process.poll() is None
        pair(far, "veth1", "veth2", "02:00:00:00:00:77")
        wait_attached(far, "veth1")
        tail.send(sent[1])
        code, said = ended(process, None)
    assert code == 0
    assert "meshlens: veth1 is gone, and no other is left: waiting\n" in said
    assert said.endswith("veth1: 2 captured, 0 filtered out, 0 dropped\n")
    assert [(each.data, each.interface) for each in frames_of(path)] == [(data, 0) for data in sent]
    wireshark_reads(path)


def test_every_file_knows_the_interfaces_of_its_frames_also_those_that_came_later(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    path, sent = tmp_path / "part", numbered(200)
    far, tail = netns_pair.far, NetNs(netns_pair.far.name, "veth2")
    with capturing(far, "-i", "veth*", "-C", "0.01", "-w", str(path)) as process:
        netns_pair.near.send(*sent[:60])
        pair(far, "veth1", "veth2")
        wait_attached(far, "veth1")
        for number in range(60, 200):
            (tail if number % 2 else netns_pair.near).send(sent[number])
        time.sleep(0.3)
        ended(process)
    parts = [path, *(tmp_path / f"part{number}" for number in range(1, len(list(tmp_path.iterdir()))))]
    assert len(parts) > 3
    captured = [frame for part in parts for frame in frames_of(part) if frame.direction == "in"]
    assert [each.data for each in captured] == sent
    assert {each.interface for each in captured[:60]}.isdisjoint({each.interface for each in captured[61::2]})
    for part in parts:
        wireshark_reads(part)


def pair(ns: NetNs, name: str, peer: str, address: str = "") -> None:
    """A veth pair within a namespace; it is up before it can be captured on."""
    words = ["address", address] if address else []
    ns.shell("ip", "link", "add", peer, "type", "veth", "peer", "name", name, *words)
    for each in (name, peer):
        ns.shell("ip", "link", "set", each, "up")


def wait_attached(ns: NetNs, name: str) -> None:
    deadline = time.monotonic() + 10
    while len(attached(NetNs(ns.name, name))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)


def test_a_kill_leaves_nothing_attached_and_a_file_that_can_be_read(
    netns_pair: NetNsPair, tmp_path: Path
) -> None:
    path = tmp_path / "killed.pcapng"
    with capturing(netns_pair.far, "-i", "veth0", "-w", str(path)) as process:
        netns_pair.near.send(*numbered(20))
        time.sleep(0.3)
        process.kill()
        process.wait(10)
        time.sleep(0.1)
        assert attached(netns_pair.far) == []
    assert [each.data for each in frames_of(path)] == numbered(20)
    wireshark_reads(path)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-i", "nothere0"], "no interface 'nothere0'; there are lo, veth0"),
        (["-i", "veth0", "ether", "and", "and"], "meshlens: filter: libpcap: "),
        (["-i", "veth0", "-s", "5"], "-s 5 is too short"),
        (["-i", "veth0", "-W", "5"], "-W limits the files of -C or -G"),
        (["-i", "veth0", "-C", "1"], "-C and -G need files"),
        (["-i", "veth0", "--at", "exit"], "--at exit"),
        (["-i", "veth0", "-w", "/nowhere/x"], "/nowhere/x: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line_and_attaches_nothing(
    netns_pair: NetNsPair, words: list[str], complaint: str
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command(netns_pair.far, *words), check=False, capture_output=True, env=environment, timeout=30
    )
    said = done.stderr.decode()
    assert done.returncode in (1, 2)
    assert complaint in said
    assert "Traceback" not in said
    assert attached(netns_pair.far) == []
