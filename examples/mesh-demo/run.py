"""`make demo`: count mesh traffic in the kernel, live, then compare with what was sent.

       neighbours                    node
    ┌──────────────┐  veth pair  ┌──────────────┐
    │         far ─┼─────────────┼─ mesh0       │  meshlens count mesh.filters -i mesh0
    └──────────────┘             └──────────────┘

Two network namespaces without names: this process lives in one, a thread of it in the other. They are gone
when it ends, however it ends, and the machine's own interfaces are never touched. Two counters work side by
side: the command `meshlens count`, and the Python API in this script. Both must agree with the truth, which
knows nothing of filters: the generator says of each frame what it made ("bcast/arp-request").
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from truth import NODE_MAC, is_outgoing, truth

import meshlens
from meshlens.ebpf import run_statistics
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.packet.replay import replay

LIST = Path(str(files("meshlens"))) / "data" / "mesh.filters"
SECONDS = 7
TIMES_AT_FULL_SPEED = 20
CLONE_NEWNET = 0x40000000

Row = tuple[int, int, int]  # of one filter: packets in, packets out, bytes
LINE = "{:<20}" + "{:>11}{:>9}" * 2 + "{:>14}{:>11}  {}"


def enter_new_namespace() -> None:
    """Move this thread into a network namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare() is there from Python 3.12 on
    if libc.unshare(CLONE_NEWNET):
        sys.exit(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    ipv6 = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")  # else the kernel answers to what it hears, and that would be counted too


def ip(arguments: str) -> None:
    """Run `ip` in the namespace of this thread."""
    done = subprocess.run(["ip", *arguments.split()], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"ip {arguments}: {done.stderr.strip()}")


@contextmanager
def mesh_link() -> Iterator[ThreadPoolExecutor]:
    """`mesh0` here, its peer `far` in the namespace of a thread: what is submitted to it happens there."""
    with ThreadPoolExecutor(1, initializer=enter_new_namespace) as neighbours:
        thread = neighbours.submit(threading.get_native_id).result()
        ip(f"link add mesh0 mtu 1560 address {NODE_MAC} type veth peer name far mtu 1560 netns {thread}")
        try:
            neighbours.submit(ip, "link set far up").result()
            ip("link set mesh0 up")
            yield neighbours
        finally:
            ip("link del mesh0")  # which ends whoever still sends


@contextmanager
def command(line: str, answers_at: Path) -> Iterator[None]:
    """Run a `meshlens` command until the end of the block, which begins when its socket answers."""
    print(f"$ {line}\n", flush=True)
    words = [sys.executable, "-m", *line.split()]
    # In a group of its own: Ctrl-C is for this script, and the command gets SIGTERM once.
    child = subprocess.Popen(words, cwd=LIST.parent, process_group=0)
    try:
        while not answers_at.exists():
            if child.poll() is not None:
                sys.exit("the command ended before it answered")
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


def ask(path: Path) -> dict[str, tuple[int, int]]:
    """What the command's socket answers, in bpfcountd's protocol: (packets, bytes) for each filter."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        lines = b"".join(iter(lambda: link.recv(65536), b"")).decode().splitlines()
    fields = (line.rsplit(":", 2) for line in lines)
    return {name: (int(packets), int(size)) for name, size, packets in fields}


def of_session(snapshot: meshlens.Snapshot) -> dict[str, Row]:
    """What a session of the Python API has counted."""
    counts = {(each.filter, each.direction): each for each in snapshot.counts}
    rows = {}
    for name in dict.fromkeys(each.filter for each in snapshot.counts):
        incoming, outgoing = counts[name, "in"], counts[name, "out"]
        rows[name] = incoming.packets, outgoing.packets, incoming.bytes + outgoing.bytes
    return rows


def compare(sent: dict[str, Row], api: dict[str, Row], command_: dict[str, tuple[int, int]]) -> bool:
    """Print what was counted beside what was sent; whether all agree."""
    print(f"\n{'':<20}{'packets in':>20}{'packets out':>20}{'bytes':>25}")
    print(LINE.format("filter", *("counted", "sent") * 3, "").rstrip())
    equal = []
    for name, row in api.items():
        truly = sent[name]
        equal.append(row == truly and command_[name] == (truly[0] + truly[1], truly[2]))
        cells = (f"{number:,}" for pair in zip(row, truly, strict=True) for number in pair)
        print(LINE.format(name, *cells, "✓" if equal[-1] else f"✗ (the command: {command_[name]})"))
    print(f"\n{sum(equal)} of {len(equal)} filters counted what was sent, in the command and in the API.")
    return all(equal)


def spent(session: meshlens.CountSession) -> tuple[int, int]:
    """How often the session's programs ran, and for how many nanoseconds, by the kernel's own statistics."""
    programs = [each.program.info() for each in session.attachments]
    return sum(each.run_count for each in programs), sum(each.run_time_ns for each in programs)


def main() -> int:
    """Send, count, compare; 1 if anything differs."""
    if os.geteuid():
        sys.exit("the demo needs root: it makes network namespaces and loads eBPF programs")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    frames = [*overhead_mix(9000), *payload_mix(3000)]
    Random(1).shuffle(frames)
    outgoing = [frame.data for frame in frames if is_outgoing(frame)]
    incoming = [frame.data for frame in frames if not is_outgoing(frame)]

    print(f"{len(frames):,} frames in {SECONDS} seconds, then {TIMES_AT_FULL_SPEED} times at full speed.")
    print("What was sent, the generator tells, by kinds of frames; no filter is asked.\n")
    interval_s = 1 if sys.stdout.isatty() else 4

    enter_new_namespace()
    with ExitStack() as until_end:
        path = Path(until_end.enter_context(TemporaryDirectory())) / "demo.sock"
        neighbours = until_end.enter_context(mesh_link())
        session = until_end.enter_context(meshlens.count(LIST, "mesh0"))
        line = f"meshlens count mesh.filters -i mesh0 --format table --interval {interval_s} --socket {path}"
        with command(f"{line} --duration 60", answers_at=path), run_statistics():
            sending = neighbours.submit(replay, "far", incoming, rate_pps=len(incoming) / SECONDS)
            replay("mesh0", outgoing, rate_pps=len(outgoing) / SECONDS)
            sending.result()
            begin, (runs, run_time_ns) = time.monotonic(), spent(session)
            neighbours.submit(replay, "far", incoming * TIMES_AT_FULL_SPEED).result()
            replay("mesh0", outgoing * TIMES_AT_FULL_SPEED)
            end, (all_runs, all_run_time_ns) = time.monotonic(), spent(session)
            counted_by_command = ask(path)
        snapshot = session.snapshot()

    equal = compare(truth(frames, times=1 + TIMES_AT_FULL_SPEED), of_session(snapshot), counted_by_command)
    missed, fast = sum(snapshot.missed.values()), all_runs - runs
    pps, ns_per_frame = fast / (end - begin), (all_run_time_ns - run_time_ns) / fast
    print(f"Missed: {missed}. At full speed ({pps:,.0f} frames a second) all filters together took")
    print(f"{ns_per_frame:.0f} ns a frame, about 20 of them for taking the time.")
    return 0 if equal and not missed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
