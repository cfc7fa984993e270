"""Network namespaces joined by a veth pair, so that no test ever touches the machine's own interfaces.

`netns_pair` gives two fresh namespaces; `NetNs.run(function)` runs Python inside one, `NetNs.shell(...)` a
command. Both are gone after the test, also after a failed one; those of a killed run are gone with the next.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


class NetNs(NamedTuple):
    """A named network namespace and the veth interface in it."""

    name: str
    ifname: str

    @property
    def ifindex(self) -> int:
        return self.run(lambda: socket.if_nametoindex(self.ifname))

    def shell(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command inside; its output is text. Raises RuntimeError with what it said, if `check`."""
        return _run("ip", "netns", "exec", self.name, *command, check=check)

    def enter(self) -> None:
        """Moves the calling thread inside, for good: for threads and child processes made for it."""
        fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if _libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {self.name}")
        finally:
            os.close(fd)

    def run(self, function: Callable[[], T]) -> T:
        """function() inside, in a thread of its own; sockets and links made there stay in the namespace."""
        result: list[T] = []
        failure: list[BaseException] = []

        def body() -> None:
            try:
                self.enter()
                result.append(function())
            except BaseException as error:  # noqa: BLE001 - raised again below, where the test sees it
                failure.append(error)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(60)
        if failure:
            raise failure[0]
        assert result, f"still running after 60 s in {self.name}"
        return result[0]

    def send(self, *frames: bytes) -> None:
        """Puts Ethernet frames on the wire from this side."""

        def body() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
                sender.bind((self.ifname, 0))
                for frame in frames:
                    sender.send(frame)

        self.run(body)


class NetNsPair(NamedTuple):
    """Two namespaces joined by a veth pair: what `near` sends, `far` receives."""

    near: NetNs
    far: NetNs


@contextlib.contextmanager
def make_netns_pair(quiet: bool = True) -> Iterator[NetNsPair]:
    """Two namespaces with `veth0` in each, both up; `quiet`: without IPv6, so nothing is sent on its own."""
    _sweep()
    number = next(_numbers)
    pair = NetNsPair(*(NetNs(f"ml{os.getpid()}-{number}{side}", "veth0") for side in "ab"))
    try:
        for ns in pair:
            _run("ip", "netns", "add", ns.name)
            if quiet:
                switches = [f"net.ipv6.conf.{which}.disable_ipv6=1" for which in ("all", "default")]
                ns.shell("sysctl", "-qw", *switches)
        near, far = ("veth0", "netns", pair.near.name), ("veth0", "netns", pair.far.name)
        _run("ip", "link", "add", *near, "type", "veth", "peer", *far)
        for ns in pair:
            ns.shell("ip", "link", "set", "lo", "up")
            ns.shell("ip", "link", "set", "veth0", "up")
        yield pair
    finally:
        for ns in pair:
            _run("ip", "netns", "del", ns.name, check=False)


@functools.cache
def _sweep() -> None:
    """Once a run: removes namespaces of runs that were killed before they could."""
    for path in Path("/run/netns").glob("ml*"):
        found = re.fullmatch(r"ml(\d+)-\d+[ab]", path.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            _run("ip", "netns", "del", path.name, check=False)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


@pytest.fixture
def netns_pair() -> Iterator[NetNsPair]:
    """Two namespaces joined by a veth pair named veth0 on both sides, up and silent."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    with make_netns_pair() as pair:
        yield pair
