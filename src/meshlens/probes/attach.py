"""Attach a counting program to one interface in one direction.

tc is the default: TCX where the kernel has it, else clsact; both see both directions. XDP sees only what
comes in, so with it what goes out is counted at tc. A packet socket counts what libpcap would be handed.
"""

import socket
import struct
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Literal, Self

from meshlens.ebpf import (
    Link,
    Program,
    attach_clsact,
    attach_socket,
    attach_tcx,
    attach_xdp,
    clsact,
    sweep,
)
from meshlens.ebpf.constants import Command
from meshlens.ebpf.link import BpfLink, ClsactLink, SocketLink
from meshlens.ebpf.netlink import RtNetlink
from meshlens.ebpf.syscall import bpf
from meshlens.errors import NotSupported
from meshlens.probes.count.plan import AttachMode, CounterPlan, hook_of
from meshlens.probes.count.readout import COUNTERS, Layout, Totals, read_counters
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction

__all__ = ["Attachment", "How", "attach_at", "attach_at_tc", "attach_counter"]

How = Literal["tcx", "clsact", "xdp-native", "xdp-generic", "socket"]

_SO_ATTACH_BPF: Final = 50
_TC_HOOKS: Final[dict[Direction, Literal["ingress", "egress"]]] = {"in": "ingress", "out": "egress"}


@dataclass
class Attachment:
    """A program that counts on one interface in one direction until it is closed.

    The counters stay readable when the interface is gone.
    """

    interface: str
    ifindex: int
    direction: Direction
    how: How
    program: Program
    link: Link
    layout: Layout
    counters: memoryview

    def read(self) -> Totals:
        """What was counted so far. No system call."""
        return read_counters(self.counters, self.layout)

    def close(self) -> Totals:
        """Detach, give back the program and its counters; returns what was counted in the end."""
        self.link.close()
        return self.release()

    def replaced(self, program: Program, layout: Layout) -> "Attachment":
        """The same link with another program, from now on and without a gap.

        This one is left with its counters; it may be at a last frame yet: wait a moment before `release`.
        """
        _update(self.link, program)
        program.spec = None
        counters = program.maps[COUNTERS].mmap()
        return replace(self, program=program, layout=layout, counters=counters)

    def release(self) -> Totals:
        """Give back the program and its counters alone, after `replaced`; returns what was counted."""
        totals = self.read()
        self.counters.release()
        self.program.close()
        for each in self.program.maps.values():
            each.close()
        return totals

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attach_counter(plan: CounterPlan, interface: Interface, direction: Direction) -> Attachment:
    """Load the plan's program with counters of its own and attach it.

    Raises BpfError if the interface is gone, NotSupported if the kernel or driver lacks what the mode needs,
    PermissionDenied or VerifierError. Nothing stays attached after an error.
    """
    program = plan.program(direction).load()
    how, link = attach_at(plan.mode, program, interface.index, direction)
    counters = program.maps[COUNTERS].mmap()
    program.spec = None  # its instructions take a megabyte; the kernel has them
    return Attachment(interface.name, interface.index, direction, how, program, link, plan.layout, counters)


def attach_at(mode: AttachMode, program: Program, ifindex: int, direction: Direction) -> tuple[How, Link]:
    """Attach a program, of the type for `hook_of(mode, direction)`, and say how.

    Raises BpfError if the interface is gone, NotSupported or PermissionDenied.
    """
    match hook_of(mode, direction):
        case "socket":
            return "socket", attach_socket(program, ifindex)
        case "xdp" if mode == "xdp":
            return "xdp-native", attach_xdp(program, ifindex, "native")
        case "xdp":
            return "xdp-generic", attach_xdp(program, ifindex, "generic")
    return attach_at_tc(program, ifindex, direction)


def attach_at_tc(
    program: Program, ifindex: int, direction: Direction
) -> tuple[Literal["tcx", "clsact"], Link]:
    """Attach a program by TCX, else by clsact. Raises BpfError, NotSupported, PermissionDenied."""
    try:
        return "tcx", attach_tcx(program, ifindex, _TC_HOOKS[direction])
    except NotSupported:
        sweep(ifindex)  # what killed processes left
        return "clsact", attach_clsact(program, ifindex, _TC_HOOKS[direction])


def _update(link: Link, program: Program) -> None:
    """Put another program of the same type in the place of a link's, without a gap."""
    match link:
        case BpfLink():
            attributes = bytearray(struct.pack("=4I", link.fileno(), program.fileno(), 0, 0))
            bpf(Command.LINK_UPDATE, attributes)
        case ClsactLink():
            with RtNetlink() as netlink:
                owner = link.filter.owner or ""
                link.filter = clsact.rename(netlink, link.filter, program.fileno(), owner)
        case SocketLink():
            link.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program.fileno())
