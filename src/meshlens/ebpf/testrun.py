"""Running a program on given bytes, without any interface (BPF_PROG_TEST_RUN)."""

import struct
from typing import NamedTuple

from meshlens.ebpf.constants import Command
from meshlens.ebpf.syscall import bpf, pointer, translate

__all__ = ["LIVE_FRAMES", "TestRun", "run_program"]

LIVE_FRAMES = 1 << 1
"""BPF_F_TEST_XDP_LIVE_FRAMES: what an XDP program returns happens to the frames (Linux 5.18)."""

_ATTRIBUTES = struct.Struct("=IIIIQQIIIIQQIII4x")
_GROWTH_BYTES = 512  # room for what a program may add in front of or behind the data


class TestRun(NamedTuple):
    """What a run gave: the return value, the mean duration of one run, the data and context afterwards."""

    retval: int
    duration_ns: int
    data_out: bytes
    ctx_out: bytes


def run_program(fd: int, data: bytes, ctx: bytes | None = None, repeat: int = 1, flags: int = 0) -> TestRun:
    """Runs the program behind `fd` on `data` (at least 14 bytes for packet programs) `repeat` times.

    `ctx` is a struct __sk_buff or xdp_md in host byte order; the kernel takes only some of its fields
    (net/bpf/test_run.c). A socket filter sees the data without its first 14 bytes here.
    Raises NotSupported, PermissionDenied or BpfError.
    """
    data_in, ctx_in = bytearray(data), bytearray(ctx or b"")
    live = flags & LIVE_FRAMES  # they are gone afterwards: the kernel refuses to give them back
    data_out = bytearray(0 if live else len(data) + _GROWTH_BYTES)
    ctx_out = bytearray(0 if live else len(ctx_in))
    attributes = bytearray(_ATTRIBUTES.pack(
        fd, 0, len(data_in), len(data_out), pointer(data_in), pointer(data_out), repeat, 0,
        len(ctx_in), len(ctx_out), pointer(ctx_in), pointer(ctx_out), flags, 0, 0,
    ))  # fmt: skip
    try:
        bpf(Command.PROG_TEST_RUN, attributes)
    except OSError as error:
        raise translate(error, f"run a program on {len(data)} bytes of data") from error
    fields = _ATTRIBUTES.unpack_from(attributes)
    return TestRun(fields[1], fields[7], bytes(data_out[: fields[3]]), bytes(ctx_out[: fields[9]]))
