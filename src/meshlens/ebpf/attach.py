"""Attaching programs: XDP, TCX or clsact, packet sockets, raw and BTF tracepoints.

Everything that the kernel knows as a link goes through BPF_LINK_CREATE, so a killed process leaves nothing.
Nobody's program is ever replaced. On hooks that hold several, ours runs first: a counter behind a program
that ends the chain counts nothing.
"""

import errno
import socket
import struct
from typing import Literal

from meshlens.ebpf import clsact
from meshlens.ebpf.clsact import Side
from meshlens.ebpf.constants import BPF_F_AFTER, BPF_F_BEFORE, AttachType, Command
from meshlens.ebpf.features import has_tcx
from meshlens.ebpf.link import BpfLink, ClsactLink, Link, SocketLink
from meshlens.ebpf.netlink import RtNetlink
from meshlens.ebpf.program import Program
from meshlens.ebpf.syscall import BpfError, bpf, pointer, translate
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied

__all__ = [
    "XdpMode",
    "attach_btf_tracepoint",
    "attach_clsact",
    "attach_raw_tracepoint",
    "attach_socket",
    "attach_tc",
    "attach_tcx",
    "attach_xdp",
]

XdpMode = Literal["auto", "native", "generic", "offload"]

# XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE
_XDP_FLAGS = {"generic": 1 << 1, "native": 1 << 2, "offload": 1 << 3}
_XDP_NEXT_MODE = (errno.EOPNOTSUPP, errno.EINVAL, errno.E2BIG, errno.ERANGE)
_TCX: dict[Side, AttachType] = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}
_SO_ATTACH_BPF = 50
_ETH_P_ALL = 3


def attach_xdp(program: Program, ifindex: int, mode: XdpMode = "auto") -> BpfLink:
    """Runs an XDP program on what an interface receives: in its driver (native), or after it (generic).

    `auto` takes native where the driver has it; `offload` has the device run a program that was loaded for it
    (see `ProgramSpec.load`). Raises MeshlensError if another XDP program is there already,
    NotSupported, PermissionDenied or BpfError.
    """
    modes = ("native", "generic") if mode == "auto" else (mode,)
    for one in modes:
        try:
            fd = _link_create(program, ifindex, AttachType.XDP, _XDP_FLAGS[one])
        except OSError as error:
            if one != modes[-1] and error.errno in _XDP_NEXT_MODE:
                continue
            raise _refusal(error, program, ifindex, f"xdp {one}") from error
        return BpfLink(fd, f"xdp {one}")
    raise AssertionError("unreachable")


def attach_tcx(program: Program, ifindex: int, side: Side, *, last: bool = False) -> BpfLink:
    """Runs a SCHED_CLS program on what an interface receives (ingress) or sends (egress). Linux 6.6.

    It is the first of all programs there, unless it is to be the `last`. Raises NotSupported,
    PermissionDenied or BpfError.
    """
    if not has_tcx():
        raise NotSupported(f"cannot attach to {_name(ifindex)} (tcx {side}): needs Linux 6.6; use clsact")
    try:
        fd = _link_create(program, ifindex, _TCX[side], BPF_F_AFTER if last else BPF_F_BEFORE)
    except OSError as error:
        raise _refusal(error, program, ifindex, f"tcx {side}") from error
    return BpfLink(fd, f"tcx {side}")


def attach_clsact(program: Program, ifindex: int, side: Side) -> ClsactLink:
    """Runs a SCHED_CLS program as a direct-action filter; see meshlens.ebpf.clsact about what a kill leaves.

    Raises NotSupported, PermissionDenied or BpfError.
    """
    netlink = RtNetlink()
    try:
        added = clsact.add(netlink, ifindex, side, program.fileno(), clsact.process_owner())
    except OSError as error:
        netlink.close()
        raise _refusal(error, program, ifindex, f"clsact {side}") from error
    return ClsactLink(netlink, program, added)


def attach_tc(program: Program, ifindex: int, side: Side) -> Link:
    """attach_tcx where the kernel has it, attach_clsact elsewhere."""
    return attach_tcx(program, ifindex, side) if has_tcx() else attach_clsact(program, ifindex, side)


def attach_socket(program: Program, target: int | socket.socket) -> SocketLink:
    """Makes a SOCKET_FILTER program the filter of a socket, or of a new packet socket on interface `target`.

    The packet socket sees both directions, Ethernet header first; it keeps as many bytes of each frame as the
    program returns. Raises PermissionDenied or BpfError.
    """
    owned = isinstance(target, int)
    filtered = _packet_socket() if isinstance(target, int) else target
    link = SocketLink(filtered, owned=owned)
    try:
        filtered.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program.fileno())
        if isinstance(target, int):
            filtered.bind((socket.if_indextoname(target), _ETH_P_ALL))
    except OSError as error:
        link.close()
        raise _refusal(error, program, target if isinstance(target, int) else 0, "socket") from error
    return link


def _packet_socket() -> socket.socket:
    """A packet socket of protocol 0: until it is bound, nothing comes in that its filter would not see."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise PermissionDenied("cannot open a packet socket: run as root, or with CAP_NET_RAW") from None


def attach_raw_tracepoint(program: Program, name: str) -> BpfLink:
    """Runs a RAW_TRACEPOINT program whenever the kernel passes tracepoint `name`, as in "kfree_skb".

    Raises MeshlensError for an unknown name, NotSupported, PermissionDenied or BpfError.
    """
    return _open_tracepoint(program, name, bytearray(name.encode() + b"\0"))


def attach_btf_tracepoint(program: Program) -> BpfLink:
    """Runs a TRACING program at the tracepoint its specification names in `attach_to`.

    Raises NotSupported, PermissionDenied or BpfError.
    """
    name = str(program.spec.attach_to) if program.spec else program.info().name
    return _open_tracepoint(program, name, bytearray())


def _open_tracepoint(program: Program, name: str, encoded: bytearray) -> BpfLink:
    attributes = bytearray(struct.pack("=QII", pointer(encoded), program.fileno(), 0))
    try:
        fd = bpf(Command.RAW_TRACEPOINT_OPEN, attributes)
    except FileNotFoundError:
        raise MeshlensError(
            f"this kernel has no tracepoint {name!r}: see /sys/kernel/tracing/available_events"
        ) from None
    except OSError as error:
        raise translate(error, f"attach {_program(program)} to tracepoint {name!r}") from error
    return BpfLink(fd, f"tracepoint {name}")


def _link_create(program: Program, ifindex: int, kind: AttachType, flags: int) -> int:
    attributes = bytearray(struct.pack("=IIII 16x", program.fileno(), ifindex, kind, flags))
    return bpf(Command.LINK_CREATE, attributes)


def _refusal(error: OSError, program: Program, ifindex: int, hook: str) -> MeshlensError:
    where = f"attach {_program(program)} to {_name(ifindex)} ({hook})"
    if error.errno in (errno.EBUSY, errno.EEXIST) and hook.startswith("xdp"):
        return BpfError(f"cannot {where}: another program is there; it stays. Use tc instead", error.errno)
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return BpfError(f"cannot {where}: no such interface", error.errno)
    if error.errno == errno.EOPNOTSUPP and hook == "xdp native":
        return NotSupported(f"cannot {where}: its driver has no XDP; use generic XDP, or tc")
    return translate(error, where)


def _program(program: Program) -> str:
    return f"program {program.spec.name if program.spec else program.info().name!r}"


def _name(ifindex: int) -> str:
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return f"interface number {ifindex}"
