"""Links: what holds a program at its hook, and how to let go or keep it.

close(), the end of a `with` or the end of the process give up our hold, which detaches the program unless the
link is pinned; detach() detaches it even then.
"""

# pathlib takes 6 ms to import:
# ruff: noqa: PTH100

import contextlib
import os
import socket
import struct
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from meshlens.ebpf import clsact
from meshlens.ebpf.bpffs import object_kind, pin, pinned
from meshlens.ebpf.constants import AttachType, Command
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import LinkInfo, link_info
from meshlens.ebpf.netlink import RtNetlink
from meshlens.ebpf.syscall import bpf
from meshlens.errors import MeshlensError, NotSupported

__all__ = ["BpfLink", "ClsactLink", "Link", "SocketLink", "open_link"]

_PIN = "pin="
_SO_DETACH_FILTER = 27


class Link(ABC):
    """A program at its hook; `hook` says which, in words."""

    hook: str

    @abstractmethod
    def detach(self) -> None:
        """Takes the program off the hook, also if the link is pinned."""

    @abstractmethod
    def close(self) -> None:
        """Gives up our hold; the program stays attached only if the link is pinned."""

    @abstractmethod
    def pin(self, path: str) -> None:
        """Keeps the program attached after our end, under a path on a bpffs. Raises NotSupported."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BpfLink(Link):
    """A link that the kernel knows as such: it ends with its last descriptor."""

    def __init__(self, fd: int, hook: str) -> None:
        self._handle = Handle(fd)
        self.hook = hook

    def fileno(self) -> int:
        """The link's descriptor. Raises ValueError after close()."""
        return self._handle.fileno()

    def info(self) -> LinkInfo:
        """What the kernel says about this link."""
        return link_info(self.fileno())

    def detach(self) -> None:
        # Tracepoint links have no detach operation: they go with their last descriptor.
        with contextlib.suppress(OSError, ValueError):
            bpf(Command.LINK_DETACH, bytearray(struct.pack("=I", self.fileno())))
        self.close()

    def close(self) -> None:
        self._handle.close()

    def pin(self, path: str) -> None:
        pin(self.fileno(), path)


class ClsactLink(Link):
    """A filter on a clsact qdisc, for kernels without TCX.

    A killed process leaves it (see clsact.sweep), and detaching it needs CAP_NET_ADMIN until the end.
    """

    def __init__(self, netlink: RtNetlink, program: Handle, filter: clsact.Filter) -> None:
        self.hook = f"clsact {filter.side}"
        self.filter = filter
        self._netlink: RtNetlink | None = netlink  # kept: it belongs to the namespace of the interface
        self._program = program
        self._pinned = filter.owner is not None and filter.owner.startswith(_PIN)

    def detach(self) -> None:
        if self._netlink is not None:
            self._pinned = False
            self.close()

    def close(self) -> None:
        if self._netlink is None:
            return
        netlink, self._netlink = self._netlink, None
        with netlink:
            if not self._pinned:
                clsact.remove(netlink, self.filter)

    def pin(self, path: str) -> None:
        if self._netlink is None:
            raise ValueError("link is closed")
        pin(self._program.fileno(), path)
        self.filter = clsact.rename(self._netlink, self.filter, self._program.fileno(), _pin_owner(path))
        self._pinned = True

    def __del__(self) -> None:
        with contextlib.suppress(MeshlensError):
            self.close()


class SocketLink(Link):
    """A socket whose filter the program is; the socket itself receives what the program returns."""

    def __init__(self, filtered: socket.socket, *, owned: bool) -> None:
        self.hook = "socket"
        self.socket = filtered
        self._owned = owned

    def detach(self) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket that attach_socket made; takes only the filter off one that it was given."""
        if self._owned:
            self.socket.close()
        elif self.socket.fileno() >= 0:
            with contextlib.suppress(FileNotFoundError):
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def pin(self, path: str) -> None:
        raise NotSupported(f"a socket filter cannot be pinned (to {path}): it lives as long as its socket")


def open_link(path: str) -> Link:
    """The link pinned at `path`. Closing it changes nothing, detach() ends it; the path stays to be removed.

    A pinned clsact filter is looked for on the interfaces of this network namespace. Raises MeshlensError.
    """
    fd = pinned(path)
    if object_kind(fd) == "link":
        return BpfLink(fd, _hook(link_info(fd)))
    program, netlink = Handle(fd), RtNetlink()
    if object_kind(fd) == "prog":
        for ifindex, _ in socket.if_nameindex():
            for one in clsact.both_sides(netlink, ifindex):
                if one.owner == _pin_owner(path):
                    return ClsactLink(netlink, program, one)
    program.close()
    netlink.close()
    raise MeshlensError(f"{path} is no pinned link, or its interface is gone")


def _pin_owner(path: str) -> str:
    return _PIN + os.path.abspath(path)


def _hook(info: LinkInfo) -> str:
    sides = {AttachType.TCX_INGRESS: "tcx ingress", AttachType.TCX_EGRESS: "tcx egress"}
    return sides.get(info.attach_type) or f"{info.type.name.lower()} {info.tracepoint}".strip()
