"""Network namespaces joined by veth pairs, and a fast source of frames; no other interface is touched."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bench.report import Skip

__all__ = ["Namespace", "Receiver", "Sender", "joined", "keep_mounts_to_ourselves"]

_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def keep_mounts_to_ourselves() -> None:
    """Work in a mount namespace of our own: what is mounted or named from now on ends with us, however."""
    if _libc.unshare(_CLONE_NEWNS) or _libc.mount(
        b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None
    ):
        raise OSError(ctypes.get_errno(), "a mount namespace of our own")


class Namespace(NamedTuple):
    """A named network namespace."""

    name: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is inside; sockets and links made meanwhile stay there."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _set_namespace(inside)
            try:
                yield
            finally:
                _set_namespace(outside)
        finally:
            os.close(inside)
            os.close(outside)

    def command(self, *words: str) -> list[str]:
        """The command line that runs a command inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def ip(self, *words: str) -> None:
        """Run the command of that name inside."""
        _run("ip", "-n", self.name, *words)

    def ifindex(self, interface: str) -> int:
        with self.inside():
            return socket.if_nametoindex(interface)


@contextmanager
def joined(pairs: int = 1, mtu: int = 1600) -> Iterator[tuple[Namespace, Namespace]]:
    """Two silent namespaces, joined by veth0, veth1, ... of the same name in both; all gone afterwards."""
    if os.geteuid() != 0:
        raise Skip("needs root: makes network namespaces")
    near, far = (Namespace(f"meshlens-bench-{os.getpid()}-{side}") for side in ("near", "far"))
    try:
        for each in (near, far):
            _ip("netns", "add", each.name)
            _run(*each.command("sysctl", "-qw", *_SILENT))
        for number in range(pairs):
            name = f"veth{number}"
            _ip("link", "add", name, "netns", near.name, "type", "veth", "peer", name, "netns", far.name)
            for each in (near, far):
                each.ip("link", "set", name, "up", "mtu", str(mtu))
        yield near, far
    finally:
        for each in (near, far):
            subprocess.run(["ip", "netns", "del", each.name], check=False, capture_output=True)


# No neighbour discovery and no router solicitations of the kernel's own.
_SILENT = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


class _Message(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr: a message, and how many of its bytes were moved."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


class _Batch:
    """As many messages as there are buffers, for one system call."""

    def __init__(self, link: socket.socket, buffers: Sequence[ctypes.Array[ctypes.c_char]]) -> None:
        self.link, self.count = link, len(buffers)
        self._buffers = buffers  # kept: the vectors only point to them
        self._vectors = (ctypes.c_size_t * (2 * self.count))()  # struct iovec: address and length
        self._headers = (_Header * self.count)()
        for number, buffer in enumerate(buffers):
            self._vectors[2 * number : 2 * number + 2] = [ctypes.addressof(buffer), len(buffer)]
            self._headers[number].message.vectors = ctypes.addressof(self._vectors) + 16 * number
            self._headers[number].message.vector_count = 1

    def _all(self, call: Callable[..., int], *more: object) -> None:
        done = 0
        while done < self.count:
            address = ctypes.addressof(self._headers) + done * ctypes.sizeof(_Header)
            moved = call(self.link.fileno(), ctypes.c_void_p(address), self.count - done, *more)
            if moved < 0:
                raise OSError(ctypes.get_errno(), call.__name__)
            done += moved


class Sender(_Batch):
    """Sends the same frames or datagrams over and over, hundreds a system call."""

    def __init__(self, link: socket.socket, frames: Sequence[bytes]) -> None:
        super().__init__(link, [ctypes.create_string_buffer(frame, len(frame)) for frame in frames])

    @classmethod
    def on(cls, namespace: Namespace, interface: str, frames: Sequence[bytes]) -> "Sender":
        """A sender of frames out of an interface."""
        with namespace.inside():
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            link.bind((interface, 0))
        return cls(link, frames)

    def send(self) -> None:
        """Send all frames once."""
        self._all(_libc.sendmmsg, 0)


class Receiver(_Batch):
    """Takes datagrams from a socket, hundreds a system call."""

    def __init__(self, link: socket.socket, count: int, size: int) -> None:
        super().__init__(link, [ctypes.create_string_buffer(size) for _ in range(count)])

    def receive(self) -> None:
        """Take as many datagrams as there are buffers. Raises OSError if they are not there."""
        self._all(_libc.recvmmsg, socket.MSG_DONTWAIT, None)


def _set_namespace(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"{' '.join(words)}: {done.stderr.strip()}")
