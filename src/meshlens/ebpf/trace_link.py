"""Attaching tracing programs to their targets."""

import ctypes
import errno
import fcntl
import os
import struct
from functools import cache
from typing import Final

from meshlens.ebpf.constants import AttachType, Command
from meshlens.ebpf.link import BpfLink
from meshlens.ebpf.program import Program
from meshlens.ebpf.syscall import bpf, translate
from meshlens.ebpf.target import Target
from meshlens.errors import NotSupported, UsageError

__all__ = ["attach_trace"]

_PMU: Final = "/sys/bus/event_source/devices/kprobe"
_CLOSE_ON_EXEC: Final = 1 << 3
_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408

# perf_event_open(2) by machine, as in meshlens.ebpf.syscall; tracing needs 64 bits anyway.
_NUMBERS: Final = {
    "x86_64": 298,
    "aarch64": 241,
    "riscv64": 241,
    "loongarch64": 241,
    "ppc64le": 319,
    "s390x": 331,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def attach_trace(program: Program) -> BpfLink:
    """Runs a tracing program at the function that its specification's Target names.

    Raises NotSupported if the kernel cannot, or not there; UsageError, PermissionDenied or BpfError.
    """
    target = program.spec.attach_to if program.spec else None
    if not isinstance(target, Target):
        raise UsageError("attach_trace() takes programs made by Trace.program()")
    if target.hook in ("fentry", "fexit"):
        return BpfLink(_trampoline(program, target), str(target))
    event = _kprobe_event(target)
    request = struct.pack("=IIII16x", program.fileno(), event, AttachType.PERF_EVENT, 0)
    try:
        fd = bpf(Command.LINK_CREATE, bytearray(request))
    except OSError as error:
        if error.errno == errno.EINVAL:  # before Linux 5.15
            return BpfLink(_old_way(event, program, target), str(target))
        os.close(event)
        raise translate(error, f"attach to {target}") from error
    os.close(event)
    return BpfLink(fd, str(target))


def _trampoline(program: Program, target: Target) -> int:
    try:  # the program itself says where to: its target is given when it is loaded
        return bpf(Command.RAW_TRACEPOINT_OPEN, bytearray(struct.pack("=QII", 0, program.fileno(), 0)))
    except OSError as error:
        raise translate(error, f"attach to {target}") from error


def _old_way(event: int, program: Program, target: Target) -> int:
    try:
        fcntl.ioctl(event, _IOC_SET_BPF, program.fileno())
        fcntl.ioctl(event, _IOC_ENABLE, 0)
    except OSError as error:
        os.close(event)
        raise translate(error, f"attach to {target}") from error
    return event


def _kprobe_event(target: Target) -> int:
    """The event of a probe, not shown in tracefs (commit e12f03d7031a, Linux 4.17)."""
    name = ctypes.create_string_buffer(target.function.encode())
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise NotSupported(f"perf_event_open(2) has no known number on {os.uname().machine}")
    returns = 1 << _return_bit() if target.hook == "kretprobe" else 0
    # struct perf_event_attr: type, size, config ... kprobe_func (config1), probe_offset (config2).
    attributes = bytearray(112)
    struct.pack_into("=IIQ", attributes, 0, _kprobe_type(), len(attributes), returns)
    struct.pack_into("=QQ", attributes, 56, ctypes.addressof(name), 0)
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    event: int = _libc.syscall(
        number, buffer, ctypes.c_int(-1), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_ulong(_CLOSE_ON_EXEC)
    )
    if event >= 0:
        return event
    failure = ctypes.get_errno()
    if failure in (errno.ENOENT, errno.EADDRNOTAVAIL):
        raise NotSupported(
            f"cannot attach to {target}: this kernel has no such function, or allows no probe there"
        )
    raise translate(OSError(failure, os.strerror(failure)), f"attach to {target}")


@cache
def _kprobe_type() -> int:
    return int(_described("type"))


@cache
def _return_bit() -> int:
    return int(_described("format/retprobe").removeprefix("config:"))


def _described(what: str) -> str:
    try:
        with open(f"{_PMU}/{what}") as file:
            return file.read().strip()
    except OSError:
        raise NotSupported(f"this kernel has no kprobes ({_PMU}): use fentry") from None
