"""What is in the kernel, and what is attached to an interface: ours and everybody else's."""

import errno
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from meshlens.ebpf import clsact
from meshlens.ebpf.clsact import Side
from meshlens.ebpf.constants import AttachType, Command
from meshlens.ebpf.features import has_tcx
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import LinkInfo, MapInfo, ProgramInfo, link_info, map_info, program_info
from meshlens.ebpf.netlink import RtNetlink, attributes
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.errors import MeshlensError

__all__ = [
    "Attachment",
    "attached",
    "iter_links",
    "iter_maps",
    "iter_programs",
    "open_program",
    "program_by_id",
]

_RTM_GETLINK, _IFINFOMSG, _IFLA_XDP = 18, struct.Struct("=BxHiII"), 43
_XDP_ATTACHED, _XDP_PROG_IDS = 2, {"native": 5, "generic": 6, "offloaded": 7}
_XDP_ID, _XDP_MODES = 4, {1: "native", 2: "generic", 3: "offloaded"}
_TCX: dict[Side, AttachType] = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}


class Attachment(NamedTuple):
    """A program on a hook of an interface, in the order of running there.

    `mode` is XDP's (native, generic, offloaded), "" elsewhere; `link_id` is 0 without a link; `filter` is the
    clsact filter, which tells by its `owner` whether it is ours.
    """

    hook: Literal["xdp", "tcx", "clsact"]
    side: Side
    program_id: int
    link_id: int = 0
    mode: str = ""
    filter: clsact.Filter | None = None


def attached(ifindex: int) -> list[Attachment]:
    """All BPF programs on an interface: XDP, TCX and clsact, both sides.

    Raises MeshlensError if there is no such interface, PermissionDenied.
    """
    with RtNetlink() as netlink:
        found = _xdp(netlink, ifindex)
        for side in _TCX:
            found += _tcx(ifindex, side)
            for one in clsact.filters(netlink, ifindex, side):
                found.append(Attachment("clsact", side, one.program_id, filter=one))
    return found


def iter_programs() -> Iterator[ProgramInfo]:
    """All programs in the kernel. Needs CAP_SYS_ADMIN; raises PermissionDenied."""
    return (program_info(h.fileno()) for h in _objects(Command.PROG_GET_NEXT_ID, Command.PROG_GET_FD_BY_ID))


def iter_maps() -> Iterator[MapInfo]:
    """All maps in the kernel. Needs CAP_SYS_ADMIN; raises PermissionDenied."""
    return (map_info(h.fileno()) for h in _objects(Command.MAP_GET_NEXT_ID, Command.MAP_GET_FD_BY_ID))


def iter_links() -> Iterator[LinkInfo]:
    """All links in the kernel. Needs CAP_SYS_ADMIN; raises PermissionDenied."""
    return (link_info(h.fileno()) for h in _objects(Command.LINK_GET_NEXT_ID, Command.LINK_GET_FD_BY_ID))


def program_by_id(identifier: int) -> ProgramInfo | None:
    """A program, None if it is gone. Needs CAP_SYS_ADMIN; raises PermissionDenied."""
    handle = _open(Command.PROG_GET_FD_BY_ID, identifier)
    return None if handle is None else program_info(handle.fileno())


def open_program(identifier: int) -> Handle:
    """A program by its number. Needs CAP_SYS_ADMIN; raises MeshlensError if it is gone, PermissionDenied."""
    handle = _open(Command.PROG_GET_FD_BY_ID, identifier)
    if handle is None:
        raise MeshlensError(f"there is no program {identifier}")
    return handle


def _objects(next_id: Command, fd_by_id: Command) -> Iterator[Handle]:
    identifier = 0
    while True:
        attributes = bytearray(struct.pack("=III", identifier, 0, 0))
        try:
            bpf(next_id, attributes)
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, "list BPF objects") from error
        identifier = struct.unpack_from("=I", attributes, 4)[0]
        handle = _open(fd_by_id, identifier)
        if handle is not None:
            with handle:
                yield handle


def _open(fd_by_id: Command, identifier: int) -> Handle | None:
    try:
        return Handle(bpf(fd_by_id, bytearray(struct.pack("=III", identifier, 0, 0))))
    except FileNotFoundError:  # gone meanwhile
        return None
    except OSError as error:
        raise translate(error, f"open BPF object {identifier}") from error


def _xdp(netlink: RtNetlink, ifindex: int) -> list[Attachment]:
    try:
        [answer] = netlink.request(_RTM_GETLINK, _IFINFOMSG.pack(0, 0, ifindex, 0, 0))
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise MeshlensError(f"no interface number {ifindex}") from None
        raise
    xdp = attributes(attributes(answer[_IFINFOMSG.size :]).get(_IFLA_XDP, b""))
    by_mode = {mode: xdp[kind] for mode, kind in _XDP_PROG_IDS.items() if kind in xdp}
    if not by_mode and _XDP_ID in xdp:  # kernels that give but one number
        by_mode = {_XDP_MODES.get(xdp[_XDP_ATTACHED][0], ""): xdp[_XDP_ID]}
    return [
        Attachment("xdp", "ingress", program_id, _link_of(program_id, ifindex), mode)
        for mode, raw in by_mode.items()
        if (program_id := int(struct.unpack("=I", raw)[0]))
    ]


def _link_of(program_id: int, ifindex: int) -> int:
    """The XDP link behind a program: rtnetlink does not say."""
    return next((one.id for one in iter_links() if (one.program_id, one.ifindex) == (program_id, ifindex)), 0)


def _tcx(ifindex: int, side: Side) -> list[Attachment]:
    if not has_tcx():
        return []
    room = 64  # BPF_MPROG_MAX
    program_ids, link_ids = bytearray(4 * room), bytearray(4 * room)
    query = bytearray(struct.pack(
        "=IIIIQII QQQQ", ifindex, _TCX[side], 0, 0, pointer(program_ids), room, 0, 0, pointer(link_ids), 0, 0
    ))  # fmt: skip
    try:
        bpf(Command.PROG_QUERY, query)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return []
        raise translate(error, f"list TCX programs of interface number {ifindex}") from error
    count = struct.unpack_from("=I", query, 24)[0]
    pairs = zip(struct.unpack(f"={room}I", program_ids), struct.unpack(f"={room}I", link_ids), strict=True)
    return [Attachment("tcx", side, program_id, link_id) for program_id, link_id in list(pairs)[:count]]
