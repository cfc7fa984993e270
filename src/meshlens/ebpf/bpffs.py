"""Pins: names in the file system that keep maps, programs and links alive without a process."""

# pathlib takes 6 ms to import:
# ruff: noqa: PTH115, PTH116, PTH120

import ctypes
import errno
import os
import struct
from typing import Literal

from meshlens.ebpf.capabilities import has_capability
from meshlens.ebpf.constants import Command
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied

__all__ = ["BPFFS", "Kind", "is_bpffs", "mount_bpffs", "object_kind", "pin", "pinned"]

Kind = Literal["map", "prog", "link"]

BPFFS = "/sys/fs/bpf"

_KINDS: dict[Kind | None, str] = {"map": "map", "prog": "program", "link": "link"}
_KIND_OF_INODE: dict[str, Kind] = {
    "anon_inode:bpf-map": "map",
    "anon_inode:bpf-prog": "prog",
    "anon_inode:bpf_link": "link",  # as created
    "anon_inode:bpf-link": "link",  # as opened (kernel/bpf/syscall.c spells it both ways)
}


def pin(fd: int, path: str) -> None:
    """Names an object `path`; its directory has to be on a bpffs. Raises NotSupported, MeshlensError."""
    if not is_bpffs(os.path.dirname(path)):
        raise NotSupported(f"cannot pin to {path}: no bpffs there; mount one with `mount -t bpf bpf {BPFFS}`")
    name = bytearray(os.fsencode(path) + b"\0")
    try:
        bpf(Command.OBJ_PIN, bytearray(struct.pack("=QII", pointer(name), fd, 0)))
    except FileExistsError:
        raise MeshlensError(
            f"cannot pin to {path}: already taken; remove it or choose another name"
        ) from None
    except OSError as error:
        raise translate(error, f"pin to {path}") from error


def pinned(path: str, kind: Kind | None = None) -> int:
    """A descriptor of what is pinned at `path`. Raises MeshlensError if that is nothing, or not of `kind`."""
    name = bytearray(os.fsencode(path) + b"\0")
    try:
        fd = bpf(Command.OBJ_GET, bytearray(struct.pack("=QII", pointer(name), 0, 0)))
    except FileNotFoundError:
        raise MeshlensError(f"nothing is pinned at {path}") from None
    except OSError as error:
        raise translate(error, f"open the pin {path}") from error
    if kind not in (None, object_kind(fd)):
        os.close(fd)
        raise MeshlensError(f"{path} is no pinned {_KINDS[kind]}")
    return fd


def object_kind(fd: int) -> Kind | None:
    """What is behind a descriptor; None if it is no BPF object."""
    return _KIND_OF_INODE.get(os.readlink(f"/proc/self/fd/{fd}"))


def is_bpffs(path: str) -> bool:
    """Whether `path`, which exists, lies on a bpffs."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        return False
    return any(kind == "bpf" and _device(number) == device for number, kind in _mounts())


def mount_bpffs(path: str = BPFFS) -> None:
    """Mounts a bpffs at `path` unless there is one. Raises PermissionDenied, MeshlensError."""
    if is_bpffs(path):
        return
    if not has_capability("sys_admin"):
        raise PermissionDenied(f"cannot mount a bpffs at {path}: needs root (CAP_SYS_ADMIN)")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", os.fsencode(path), b"bpf", ctypes.c_ulong(0), b"mode=0700"):
        number = ctypes.get_errno()
        reason = "the kernel has none" if number == errno.ENODEV else os.strerror(number)
        raise MeshlensError(f"cannot mount a bpffs at {path}: {reason}")


def _mounts() -> list[tuple[str, str]]:
    """Device number (major:minor) and type of each mounted file system (proc(5), mountinfo)."""
    with open("/proc/self/mountinfo") as lines:
        parsed = (line.split() for line in lines)
        return [(fields[2], fields[fields.index("-") + 1]) for fields in parsed]


def _device(number: str) -> int:
    major, _, minor = number.partition(":")
    return os.makedev(int(major), int(minor))
