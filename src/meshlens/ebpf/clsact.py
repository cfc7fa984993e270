"""Filters on the clsact qdisc: the hook for packets in both directions on kernels without TCX (before 6.6).

A clsact filter outlives the process that made it. So each of ours has a priority and handles of its own and
says in its name who it belongs to: a process (number and start time, within its pid namespace) or a pin.
`sweep` removes those whose process is gone. A qdisc that we made goes with our last filter, unless it is in
use by then.
"""

# pathlib takes 6 ms to import:
# ruff: noqa: PTH116

import contextlib
import errno
import os
import struct
from typing import Literal, NamedTuple

from meshlens.ebpf.netlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RtNetlink,
    attribute,
    attributes,
)  # fmt: skip
from meshlens.ebpf.syscall import translate

__all__ = [
    "FIRST_HANDLE",
    "PRIORITY",
    "Filter",
    "Side",
    "add",
    "both_sides",
    "filters",
    "process_owner",
    "remove",
    "replace",
    "sweep",
]

Side = Literal["ingress", "egress"]

PRIORITY = 3
"""Ours: before all that have no explicit one (the kernel gives 49152 downwards), and not anybody's 1."""

FIRST_HANDLE = 0x6D6C0001
"""Our first handle; several of ours on one hook count up from it."""

_RTM_NEWQDISC, _RTM_DELQDISC, _RTM_GETQDISC = 36, 37, 38
_RTM_NEWTFILTER, _RTM_DELTFILTER, _RTM_GETTFILTER = 44, 45, 46
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS, _TCA_BPF_ID = 6, 7, 8, 11
_DIRECT_ACTION = 1

_CLSACT_PARENT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_PARENTS: dict[Side, int] = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
_ALL_PROTOCOLS = 0x0003  # ETH_P_ALL
_INGRESS_QDISC = "an ingress qdisc has the place of clsact: tc qdisc del dev ... ingress"
_TRIES, _LAST_PRIORITY = 1000, 10
_TCMSG = struct.Struct("=BxxxiIII")
_OURS, _OUR_QDISC = "meshlens ", "qdisc=ours "


class Filter(NamedTuple):
    """A BPF filter on a clsact hook. `owner` is None for filters that are not ours."""

    ifindex: int
    side: Side
    priority: int
    handle: int
    name: str
    program_id: int

    @property
    def owner(self) -> str | None:
        """Whom it belongs to, if it is ours."""
        if not self.name.startswith(_OURS):
            return None
        return self.name.removeprefix(_OURS).removeprefix(_OUR_QDISC)

    @property
    def in_our_qdisc(self) -> bool:
        """Whether one of ours made the qdisc it is in."""
        return self.name.startswith(_OURS + _OUR_QDISC)


def process_owner() -> str:
    """This process, in a way that no later process with the same number can be taken for it."""
    namespace = os.stat("/proc/self/ns/pid").st_ino
    return f"pid={os.getpid()} start={_start_time(os.getpid())} ns={namespace}"


def add(netlink: RtNetlink, ifindex: int, side: Side, program_fd: int, owner: str) -> Filter:
    """Puts a program behind those of ours that are there; makes the qdisc if needed. Raises OSError.

    Where a filter of another kind has our priority, which the kernel lets nobody share, it takes the next.
    """
    handle, priority, made = FIRST_HANDLE, PRIORITY, False
    for _ in range(_TRIES):
        made = _make_qdisc(netlink, ifindex) or made
        our_qdisc = made or any(one.in_our_qdisc for one in both_sides(netlink, ifindex))
        if side == "egress" and _qdisc(netlink, ifindex) == b"ingress":
            raise OSError(errno.EBUSY, _INGRESS_QDISC)
        name = _OURS + (_OUR_QDISC if our_qdisc else "") + owner
        wanted = Filter(ifindex, side, priority, handle, name, 0)
        try:
            _put(netlink, wanted, program_fd, NLM_F_CREATE | NLM_F_EXCL)
        except FileExistsError:
            handle += 1
            continue
        except OSError as error:
            if error.errno != errno.EINVAL or priority == _LAST_PRIORITY:
                if made:
                    _remove_empty_qdisc(netlink, ifindex)
                raise
            priority += 1
            continue
        for one in filters(netlink, ifindex, side):
            if (one.priority, one.handle, one.name) == (priority, handle, name):
                return one
        # Another process has just taken its last filter away, and the qdisc with it: once more.
    raise OSError(errno.EBUSY, f"no free place among {_TRIES} filters")


def rename(netlink: RtNetlink, old: Filter, program_fd: int, owner: str) -> Filter:
    """Gives a filter to another owner, without a gap. Raises OSError."""
    new = old._replace(name=old.name.removesuffix(old.owner or "") + owner)
    _put(netlink, new, program_fd, NLM_F_CREATE | NLM_F_REPLACE)
    return new


def replace(netlink: RtNetlink, old: Filter, program_fd: int, owner: str) -> Filter:
    """Puts a program in the place of anybody's filter, without a gap. Raises OSError."""
    new = old._replace(name=_OURS + (_OUR_QDISC if old.in_our_qdisc else "") + owner)
    _put(netlink, new, program_fd, NLM_F_CREATE | NLM_F_REPLACE)
    return new


def remove(netlink: RtNetlink, gone: Filter) -> bool:
    """Takes a filter of ours away, and with the last one our qdisc; False if it was gone already.

    Raises PermissionDenied, BpfError.
    """
    try:
        netlink.request(_RTM_DELTFILTER, _filter_message(gone))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EINVAL):
            return False
        raise translate(error, f"detach from interface number {gone.ifindex} (clsact {gone.side})") from error
    if gone.in_our_qdisc:
        _remove_empty_qdisc(netlink, gone.ifindex)
    return True


def filters(netlink: RtNetlink, ifindex: int, side: Side) -> list[Filter]:
    """All BPF filters on one side of an interface, ours and others', in the order they run."""
    if side == "egress" and _qdisc(netlink, ifindex) != b"clsact":
        return []  # an ingress qdisc would answer with its ingress filters
    body = _TCMSG.pack(0, ifindex, 0, _PARENTS[side], 0)
    found = []
    for answer in netlink.request(_RTM_GETTFILTER, body, NLM_F_DUMP):
        _, _, handle, _, info = _TCMSG.unpack_from(answer)
        fields = attributes(answer[_TCMSG.size :])
        options = attributes(fields.get(_TCA_OPTIONS, b""))
        if fields.get(_TCA_KIND) == b"bpf\0" and _TCA_BPF_ID in options:
            name = options.get(_TCA_BPF_NAME, b"").rstrip(b"\0").decode(errors="replace")
            program_id = struct.unpack("=I", options[_TCA_BPF_ID])[0]
            found.append(Filter(ifindex, side, info >> 16, handle, name, program_id))
    return found


def sweep(ifindex: int) -> list[Filter]:
    """Removes from an interface what our processes left there when they were killed; returns what it removed.

    Filters of living processes, of pins and of other pid namespaces stay. Raises PermissionDenied, BpfError.
    """
    with RtNetlink() as netlink:
        orphans = [one for one in both_sides(netlink, ifindex) if _is_orphan(one)]
        return [one for one in orphans if remove(netlink, one)]


def both_sides(netlink: RtNetlink, ifindex: int) -> list[Filter]:
    """All BPF filters on an interface."""
    return [one for side in _PARENTS for one in filters(netlink, ifindex, side)]


def _is_orphan(candidate: Filter) -> bool:
    fields = dict(field.split("=", 1) for field in (candidate.owner or "").split() if "=" in field)
    if fields.keys() != {"pid", "start", "ns"} or fields["ns"] != str(os.stat("/proc/self/ns/pid").st_ino):
        return False
    return _start_time(int(fields["pid"])) != fields["start"]


def _start_time(pid: int) -> str:
    """Clock ticks from boot to the start of a process (field 22 of proc(5) stat); empty if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _put(netlink: RtNetlink, wanted: Filter, program_fd: int, flags: int) -> None:
    options = attribute(_TCA_BPF_FD, struct.pack("=I", program_fd))
    options += attribute(_TCA_BPF_NAME, wanted.name.encode() + b"\0")
    options += attribute(_TCA_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    body = _filter_message(wanted) + attribute(_TCA_OPTIONS, options)
    netlink.request(_RTM_NEWTFILTER, body, flags)


def _filter_message(one: Filter) -> bytes:
    protocol = struct.unpack("=H", struct.pack(">H", _ALL_PROTOCOLS))[0]
    header = _TCMSG.pack(0, one.ifindex, one.handle, _PARENTS[one.side], one.priority << 16 | protocol)
    return header + attribute(_TCA_KIND, b"bpf\0")


def _qdisc_message(ifindex: int) -> bytes:
    return _TCMSG.pack(0, ifindex, _CLSACT_HANDLE, _CLSACT_PARENT, 0) + attribute(_TCA_KIND, b"clsact\0")


def _make_qdisc(netlink: RtNetlink, ifindex: int) -> bool:
    """False if there is one already: somebody's clsact, or an ingress qdisc, which takes filters as well."""
    try:
        netlink.request(_RTM_NEWQDISC, _qdisc_message(ifindex), NLM_F_CREATE | NLM_F_EXCL)
    except FileExistsError:
        return False
    return True


def _qdisc(netlink: RtNetlink, ifindex: int) -> bytes:
    """The kind of the qdisc in the place of clsact: b"clsact", b"ingress" or b""."""
    for answer in netlink.request(_RTM_GETQDISC, _TCMSG.pack(0, ifindex, 0, 0, 0), NLM_F_DUMP):
        _, index, _, parent, _ = _TCMSG.unpack_from(answer)
        if (index, parent) == (ifindex, _CLSACT_PARENT):
            return attributes(answer[_TCMSG.size :]).get(_TCA_KIND, b"").rstrip(b"\0")
    return b""


def _remove_empty_qdisc(netlink: RtNetlink, ifindex: int) -> None:
    if any(_any_filter(netlink, ifindex, parent) for parent in _PARENTS.values()):
        return
    with contextlib.suppress(OSError):  # gone with its interface
        netlink.request(_RTM_DELQDISC, _qdisc_message(ifindex))


def _any_filter(netlink: RtNetlink, ifindex: int, parent: int) -> bool:
    return bool(netlink.request(_RTM_GETTFILTER, _TCMSG.pack(0, ifindex, 0, parent, 0), NLM_F_DUMP))
