"""The command line inside network namespaces, with a bpffs that only it sees: nothing is pinned outside."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshlens.ebpf import mount_bpffs
from meshlens.probes.count import pinned, pins
from tests.kernel.conftest import NetNs, NetNsPair

MNT_DETACH = 2

#: Ends by itself should the tests be killed.
_HOLD = "exec sleep 600"


@dataclass(frozen=True)
class Lab:
    """Two namespaces joined by a veth pair, and a mount namespace to run meshlens in."""

    near: NetNs
    far: NetNs
    holder: int

    def command(self, *words: str, ns: NetNs | None = None, user: tuple[str, ...] = ()) -> list[str]:
        inside = [
            "nsenter",
            f"--mount=/proc/{self.holder}/ns/mnt",
            f"--net=/run/netns/{(ns or self.near).name}",
        ]
        return [*inside, *user, sys.executable, "-m", "meshlens", *words]

    def run(self, *words: str, ns: NetNs | None = None, user: tuple[str, ...] = ()) -> "Done":
        """Run one meshlens command to its end."""
        command = self.command(*words, ns=ns, user=user)
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, ns: NetNs | None = None) -> str:
        """Run one that must succeed; what it printed."""
        done = self.run(*words, ns=ns)
        assert done.code == 0, done
        return done.out

    def json(self, *words: str, ns: NetNs | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ok(*words, "--json", ns=ns).splitlines()]

    def status(self, *words: str, ns: NetNs | None = None) -> list[dict[str, Any]]:
        """What is attached to interfaces; without sockets, since others on this machine may have some."""
        return [each for each in self.json("status", *words, ns=ns) if each["hook"] != "socket"]

    def counts(self, name: str) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(packets, bytes) by interface, direction and filter; nothing may have been missed."""
        *counts, missed = self.json("read", name)
        assert missed["missed"] == 0
        return {
            (each["interface"], each["direction"], each["filter"]): (each["packets"], each["bytes"])
            for each in counts
        }

    def pinned(self) -> list[str]:
        """All files on the bpffs, below where we pin."""
        root = Path(f"/proc/{self.holder}/root/sys/fs/bpf/meshlens")
        return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def lab(netns_pair: NetNsPair) -> Iterator[Lab]:
    """Commands see a fresh bpffs at /sys/fs/bpf, which is gone afterwards with all that is pinned."""
    script = f"mount -t bpf -o mode=0700 bpf /sys/fs/bpf && echo mounted && {_HOLD}"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"mounted\n"
            yield Lab(netns_pair.near, netns_pair.far, holder.pid)
        finally:
            holder.kill()


@pytest.fixture
def own_bpffs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """For tests inside this process: pins go below a folder of our own, which is returned."""
    folder = tmp_path / "bpffs"
    folder.mkdir()
    mount_bpffs(os.fspath(folder))
    for module in (pins, pinned):
        monkeypatch.setattr(module, "BPFFS", os.fspath(folder))
        monkeypatch.setattr(module, "ROOT", folder / "meshlens")
    yield folder / "meshlens"
    assert ctypes.CDLL(None).umount2(bytes(folder), MNT_DETACH) == 0


@pytest.fixture
def arp_list(tmp_path: Path) -> str:
    """Three filters: one that the test frames match, all frames, and one that none matches."""
    path = tmp_path / "some.filters"
    path.write_text("arp;arp\nall;len >= 0\ntcp;tcp\n")
    return os.fspath(path)
