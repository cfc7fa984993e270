"""What 580 filters hold: kernel memory of an interface, processes with --pin, a daemon on six interfaces."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.command import attachments, running, start, wait_attached
from bench.inputs import GLUON, list_path
from bench.network import Namespace, joined
from bench.report import Figure
from meshlens.ebpf import mount_bpffs
from meshlens.ebpf.query import iter_maps, program_by_id

_PAIRS = 6
_SETTLE_S = 3.0


def figures(quick: bool) -> Iterator[Figure]:
    words = ("count", str(list_path(GLUON)), "--helpers")
    mount_bpffs()  # in our own mount namespace
    with joined(_PAIRS) as (near, far):
        yield from _pinned(near, words)
        yield from _daemon(far, words, _SETTLE_S / 3 if quick else _SETTLE_S)


def _pinned(namespace: Namespace, words: tuple[str, ...]) -> Iterator[Figure]:
    name = f"bench-{os.getpid()}"
    _finish(start(namespace, *words, "-i", "veth0", "--pin", name))
    try:
        kernel = _kernel_bytes(namespace, namespace.ifindex("veth0"))
        processes = len(_processes(namespace))
    finally:
        _finish(start(namespace, "detach", name))
    parts = ", ".join(f"{part} {size // 1024} KiB" for part, size in kernel.items())
    total = sum(kernel.values()) / 1024
    yield Figure("kernel memory, one interface, both directions", total, "KiB", parts, at_most=512)
    yield Figure("processes that stay with --pin", processes, "", at_most=0)


def _daemon(namespace: Namespace, words: tuple[str, ...], settle_s: float) -> Iterator[Figure]:
    """As bpfcountd is run: it answers on a socket."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/socket"
        with running(namespace, *words, "-i", "veth*", "--socket", path) as process:
            for number in range(_PAIRS):
                wait_attached(namespace, namespace.ifindex(f"veth{number}"), 2, process)
            time.sleep(settle_s)
            _ask(path)
            resident, own = _resident_kib(process.pid, "Rss"), _resident_kib(process.pid, "Pss")
    yield Figure("daemon, 12 attachments: resident", resident / 1024, "MiB", "Rss", at_most=30)
    yield Figure("daemon, 12 attachments: its share", own / 1024, "MiB", "Pss: shared pages by halves")


def _ask(path: str) -> None:
    """Read all counters as a client of bpfcountd does."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        while client.recv(1 << 16):
            pass


def _kernel_bytes(namespace: Namespace, ifindex: int) -> dict[str, int]:
    """Bytes of what is attached to an interface: instructions, machine code, maps."""
    programs = [program_by_id(each.program_id) for each in attachments(namespace, ifindex)]
    assert len(programs) == 2
    maps = {identifier for program in programs if program for identifier in program.map_ids}
    return {
        "instructions": sum(program.memlock_bytes for program in programs if program),
        "machine code": sum(program.jited_bytes for program in programs if program),
        "maps": sum(each.memlock_bytes for each in iter_maps() if each.id in maps),
    }


def _processes(namespace: Namespace) -> list[int]:
    """The processes in a network namespace."""
    inode = Path(f"/run/netns/{namespace.name}").stat().st_ino
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/net").stat().st_ino == inode:
                found.append(int(process.name))
        except OSError:  # it is gone
            continue
    return found


def _resident_kib(pid: int, field: str) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s*(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1])


def _finish(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(60) == 0, f"meshlens ended with {process.returncode}"
