"""bpf(2) itself: the system call's number on this machine, the call, and what its errors mean to a person."""

import ctypes
import errno
import os
import struct
from functools import cache

from meshlens.ebpf.capabilities import has_capability
from meshlens.ebpf.constants import Command
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied

__all__ = ["BpfError", "bpf", "pointer", "syscall_number", "translate"]

# arch/*/kernel/syscalls/syscall.tbl and include/uapi/asm-generic/unistd.h, by machine and pointer size: a
# 32-bit Python under a 64-bit kernel makes 32-bit calls.
_NUMBERS = {
    ("x86", 8): 321, ("x86", 4): 357, ("arm", 8): 280, ("arm", 4): 386, ("riscv", 8): 280, ("riscv", 4): 280,
    ("loongarch", 8): 280, ("mips", 8): 5315, ("mips", 4): 4355, ("ppc", 8): 361, ("ppc", 4): 361,
    ("s390", 8): 351, ("s390", 4): 351, ("sparc", 8): 349, ("sparc", 4): 349, ("parisc", 4): 341,
}  # fmt: skip
_FAMILIES = {"i386": "x86", "i486": "x86", "i586": "x86", "i686": "x86", "amd64": "x86", "aarch64": "arm"}

_ENOTSUPP = 524  # the kernel's own "not supported", which has no name in user space

_ATTRIBUTES_BYTES = 168  # sizeof(union bpf_attr) in 6.18; zeros are welcome to older and newer ones

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class BpfError(MeshlensError):
    """bpf(2) refused; `errno` says how, the message what was tried and what would be right."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.errno = number


def syscall_number(machine: str, pointer_bytes: int) -> int:
    """bpf(2)'s number on a machine named as by uname(2). Raises NotSupported for one we do not know."""
    family = _FAMILIES.get(machine) or next((f for f, _ in _NUMBERS if machine.startswith(f)), "")
    try:
        return _NUMBERS[family, pointer_bytes]
    except KeyError:
        raise NotSupported(
            f"bpf(2) has no known number on {machine} with {pointer_bytes * 8}-bit pointers"
        ) from None


@cache
def _own_number() -> int:
    return syscall_number(os.uname().machine, struct.calcsize("P"))


def bpf(command: Command, attributes: bytearray) -> int:
    """Makes the system call; the kernel may write to `attributes`, which is padded. Raises OSError."""
    # Some commands write to fields behind the size they were given (bpf_mprog_query() does to `revision`).
    attributes.extend(bytes(max(0, _ATTRIBUTES_BYTES - len(attributes))))
    size = len(attributes)
    buffer = (ctypes.c_char * size).from_buffer(attributes)
    result: int = _libc.syscall(_own_number(), ctypes.c_int(command), buffer, ctypes.c_uint(size))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, _strerror(number))
    return result


def pointer(buffer: bytearray) -> int:
    """The address of `buffer` for a bpf(2) attribute; the caller keeps it alive and its size unchanged."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if buffer else 0


def translate(error: OSError, doing: str) -> MeshlensError:
    """The error to raise when `doing` (as in "create map counters") ended in `error`."""
    number = error.errno or 0
    if number in (errno.EPERM, errno.EACCES):
        return PermissionDenied(f"cannot {doing}: permission denied; {_needed()}")
    if number in (errno.ENOSYS, errno.EOPNOTSUPP, _ENOTSUPP):
        return NotSupported(f"cannot {doing}: not supported by this kernel")
    return BpfError(f"cannot {doing}: {error.strerror or _strerror(number)}", number)


def _needed() -> str:
    if not has_capability("sys_admin"):
        missing = [name for name in ("bpf", "net_admin", "perfmon") if not has_capability(name)]
        return f"run as root, or with {', '.join('CAP_' + name.upper() for name in missing or ['sys_admin'])}"
    return "even root may not do that here (a container, kernel lockdown, or what the program asks for)"


def _strerror(number: int) -> str:
    return "operation not supported" if number == _ENOTSUPP else os.strerror(number)
