"""Replacing and detaching what somebody attached, by the place it has on a hook (see `attached`)."""

import struct
from typing import Final

from meshlens.ebpf import clsact
from meshlens.ebpf.constants import AttachType, Command
from meshlens.ebpf.link import BpfLink
from meshlens.ebpf.netlink import RtNetlink
from meshlens.ebpf.program import Program
from meshlens.ebpf.query import Attachment, open_program
from meshlens.ebpf.syscall import bpf, translate
from meshlens.ebpf.xdp_netlink import set_xdp

__all__ = ["detach_place", "replace_at"]

_F_REPLACE: Final = 1 << 2  # of BPF_LINK_UPDATE and BPF_PROG_ATTACH: only if the program named is there
_TCX: Final = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}


def replace_at(ifindex: int, place: Attachment, program: Program, owner: str) -> BpfLink | None:
    """Put a program in the place of the one that is there, without a gap.

    Returns the link, if the place has one: it ends when nothing holds it. At clsact `owner` is written into
    the filter. Raises BpfError if another program is there by now, PermissionDenied.
    """
    try:
        with open_program(place.program_id) as before, RtNetlink() as netlink:
            if place.link_id:
                link = BpfLink(_link(place.link_id), place.hook)
                fields = struct.pack("=4I", link.fileno(), program.fileno(), _F_REPLACE, before.fileno())
                bpf(Command.LINK_UPDATE, bytearray(fields))
                return link
            if place.filter:
                clsact.replace(netlink, place.filter, program.fileno(), owner)
            elif place.hook == "xdp":
                set_xdp(netlink, ifindex, program.fileno(), before.fileno(), place.mode)
            else:
                fields = struct.pack(
                    "=5I", ifindex, program.fileno(), _TCX[place.side], _F_REPLACE, before.fileno()
                )
                bpf(Command.PROG_ATTACH, bytearray(fields))
    except OSError as error:
        raise translate(error, f"replace program {place.program_id} ({_hook(place)})") from error
    return None


def detach_place(ifindex: int, place: Attachment) -> None:
    """Take away the program that is there. Raises BpfError, PermissionDenied."""
    try:
        with open_program(place.program_id) as program, RtNetlink() as netlink:
            if place.link_id:
                BpfLink(_link(place.link_id), place.hook).detach()
            elif place.filter:
                clsact.remove(netlink, place.filter)
            elif place.hook == "xdp":
                set_xdp(netlink, ifindex, -1, program.fileno(), place.mode)
            else:
                fields = struct.pack("=3I", ifindex, program.fileno(), _TCX[place.side])
                bpf(Command.PROG_DETACH, bytearray(fields))
    except OSError as error:
        raise translate(error, f"detach program {place.program_id} ({_hook(place)})") from error


def _link(identifier: int) -> int:
    return bpf(Command.LINK_GET_FD_BY_ID, bytearray(struct.pack("=III", identifier, 0, 0)))


def _hook(place: Attachment) -> str:
    return f"{place.hook} {place.mode or place.side}"
