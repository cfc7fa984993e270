"""Linux capabilities of this process: which it has, and giving up what it needs no more (capabilities(7))."""

import ctypes
import os
import struct
from collections.abc import Collection

from meshlens.errors import UsageError

__all__ = ["ATTACHING", "CAPABILITIES", "drop_capabilities", "has_capability"]

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
"""Names by number (include/uapi/linux/capability.h), without "CAP_"."""

ATTACHING = frozenset({"bpf", "net_admin", "perfmon"})
"""What it takes to load a program, to attach it to an interface, and to let it read packets."""

_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two 32-bit words for each set
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 23, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_libc = ctypes.CDLL(None, use_errno=True)


def has_capability(name: str) -> bool:
    """Whether this thread may use the capability now, as in `has_capability("net_admin")`."""
    effective, _, _ = _get()
    return bool(effective & _bit(name))


def drop_capabilities(keep: Collection[str] = ()) -> None:
    """Gives up all capabilities but `keep`, for good: also for programs started later, also for root.

    Acts on the calling thread and the threads it starts afterwards: call it before starting any. Open
    descriptors (maps, links, sockets) go on working; /proc and bpf(2) object queries by id do not.
    Raises UsageError for an unknown name, OSError if the kernel refuses.
    """
    kept = sum(_bit(name) for name in set(keep))
    _, permitted, _ = _get()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if permitted & _bit("setpcap"):
        _drop_bounding(kept)
    _set(kept & permitted)


def _drop_bounding(kept: int) -> None:
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:  # until the kernel knows no more
        if not kept >> number & 1:
            _prctl(_PR_CAPBSET_DROP, number)
        number += 1


def _bit(name: str) -> int:
    try:
        return 1 << CAPABILITIES.index(name)
    except ValueError:
        raise UsageError(f"unknown capability {name!r}: names are like 'net_admin'") from None


def _get() -> tuple[int, int, int]:
    """Effective, permitted and inheritable set."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    if _libc.capget(header, data):
        raise _error("capget")
    low_e, low_p, low_i, high_e, high_p, high_i = struct.unpack_from("=6I", data.raw)
    return low_e | high_e << 32, low_p | high_p << 32, low_i | high_i << 32


def _set(kept: int) -> None:
    low, high = kept & 0xFFFFFFFF, kept >> 32
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0))
    if _libc.capset(header, data):
        raise _error("capset")


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, argument, 0, 0, 0):
        raise _error(f"prctl {option}")


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
