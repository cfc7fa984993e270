"""The network interfaces of this network namespace, and when they change.

Speaks rtnetlink(7) itself: it is right in any namespace, where /sys shows the one it was mounted in, and
a process that counts for months need not hold a netlink library.
"""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from typing import Final

__all__ = ["Interface", "InterfaceWatch", "link_type_of", "list_interfaces", "matches"]

_HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_LINK: Final = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, changed flags
_ATTRIBUTE: Final = struct.Struct("=HH")  # struct rtattr: length, type

_NLMSG_ERROR, _NLMSG_DONE, _RTM_NEWLINK, _RTM_GETLINK = 2, 3, 16, 18
_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_EXT_MASK = 1, 3, 29
_RTEXT_FILTER_SKIP_STATS = 1 << 3
_IFF_UP = 1
_RTMGRP_LINK = 1
_MESSAGE_BYTES: Final = 1 << 16

# linux/if_arp.h -> libpcap's link types: Ethernet, also on the loopback; 802.11; 802.11 behind radiotap.
_LINK_TYPES: Final = {1: 1, 772: 1, 801: 105, 803: 127}


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: `hardware` is its ARPHRD_ number, `mac` its address as text ("" if it has none)."""

    index: int
    name: str
    mac: str
    hardware: int
    up: bool


def list_interfaces() -> list[Interface]:
    """All interfaces, in the order of their indexes. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        while (interfaces := _dump(netlink)) is None:  # they changed while the kernel was telling
            pass
    return sorted(interfaces, key=lambda interface: interface.index)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is, or fits as a glob (`wlan*`, `mesh[01]`), one of the patterns."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def link_type_of(interface: Interface) -> int | None:
    """What the frames of an interface begin with, as libpcap numbers it; None if it is nothing we read."""
    return _LINK_TYPES.get(interface.hardware)


class InterfaceWatch:
    """Waits until an interface comes, goes or changes. What it was, `list_interfaces` tells."""

    def __init__(self) -> None:
        self._netlink = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._netlink.bind((0, _RTMGRP_LINK))
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._waiting = Lock()
        self._closed = False

    def wait(self, seconds: float) -> bool:
        """True when something happened since the last call.

        False when time is over, `wake` was called, or it is closed.
        """
        with self._waiting:
            if self._closed:
                return False
            sources: list[socket.socket | int] = [self._netlink, self._bell]
            ready, _, _ = select.select(sources, [], [], seconds)
            if self._netlink in ready:
                self._drain()
                return True
            if self._bell in ready:
                os.eventfd_read(self._bell)
            return False

    def wake(self) -> None:
        """End a wait: from another thread or a signal handler."""
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End it, and the wait of another thread before."""
        if not self._closed:
            self._closed = True
            self.wake()
            with self._waiting:
                self._netlink.close()
                os.close(self._bell)

    def _drain(self) -> None:
        while True:
            try:
                self._netlink.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # so much happened that the kernel dropped some of it
                    raise


def _dump(netlink: socket.socket) -> list[Interface] | None:
    """Ask for all links; None if the answer contradicts itself because they changed meanwhile."""
    mask = _ATTRIBUTE.pack(8, _IFLA_EXT_MASK) + struct.pack("=I", _RTEXT_FILTER_SKIP_STATS)
    body = _LINK.pack(0, 0, 0, 0, 0) + mask
    header = _HEADER.pack(_HEADER.size + len(body), _RTM_GETLINK, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
    netlink.send(header + body)
    interfaces: list[Interface] = []
    interrupted = False
    while True:
        for kind, flags, payload in _messages(netlink.recv(_MESSAGE_BYTES)):
            interrupted |= bool(flags & _NLM_F_DUMP_INTR)
            if kind == _RTM_NEWLINK:
                interfaces.append(_interface(payload))
            elif kind == _NLMSG_DONE:
                return None if interrupted else interfaces
            elif kind == _NLMSG_ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                raise OSError(number, "cannot list the network interfaces")


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, data[offset + _HEADER.size : offset + length]
        offset += -(-length // 4) * 4


def _interface(payload: bytes) -> Interface:
    _, hardware, index, flags, _ = _LINK.unpack_from(payload)
    attributes = dict(_attributes(payload[_LINK.size :]))
    name = attributes[_IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape")
    return Interface(
        index, name, attributes.get(_IFLA_ADDRESS, b"").hex(":"), hardware, bool(flags & _IFF_UP)
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += -(-length // 4) * 4
