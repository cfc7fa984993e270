"""Network namespaces joined by veth pairs, and a fast source of frames; no other interface is touched."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bench.report import Skip

__all__ = ["Namespace", "Sender", "joined", "keep_mounts_to_ourselves"]

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
                _ip("-n", each.name, "link", "set", name, "up", "mtu", str(mtu))
        yield near, far
    finally:
        for each in (near, far):
            subprocess.run(["ip", "netns", "del", each.name], check=False, capture_output=True)


# No neighbour discovery and no router solicitations of the kernel's own.
_SILENT = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


class _MessageHeader(ctypes.Structure):
    """struct mmsghdr: a struct msghdr, and what sendmmsg(2) says was sent."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


class Sender:
    """Sends the same frames (or datagrams) over and over, hundreds a system call."""

    def __init__(self, link: socket.socket, frames: Sequence[bytes]) -> None:
        self.link, self.count = link, len(frames)
        self._buffers = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self._vectors = (ctypes.c_size_t * (2 * self.count))()
        self._headers = (_MessageHeader * self.count)()
        for number, buffer in enumerate(self._buffers):
            self._vectors[2 * number : 2 * number + 2] = [ctypes.addressof(buffer), len(buffer)]
            self._headers[number].vectors = ctypes.addressof(self._vectors) + 16 * number
            self._headers[number].vector_count = 1

    @classmethod
    def on(cls, namespace: Namespace, interface: str, frames: Sequence[bytes]) -> "Sender":
        """A sender of frames out of an interface."""
        with namespace.inside():
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            link.bind((interface, 0))
        return cls(link, frames)

    def send(self) -> None:
        """Send all frames once."""
        done = 0
        while done < self.count:
            address = ctypes.addressof(self._headers) + done * ctypes.sizeof(_MessageHeader)
            sent = _libc.sendmmsg(self.link.fileno(), ctypes.c_void_p(address), self.count - done, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            done += sent


def _set_namespace(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"{' '.join(words)}: {done.stderr.strip()}")
