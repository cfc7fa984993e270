"""What this kernel can do, found out by trying: versions lie, distributions backport and configure away.

`has_tcx()` answers once and remembers; `features()` tries everything, for a person to read.
"""

import errno
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from meshlens.ebpf.batch import read_batches
from meshlens.ebpf.bpffs import BPFFS, is_bpffs
from meshlens.ebpf.constants import BPF_F_MMAPABLE, AttachType, Command, MapType, ProgramType
from meshlens.ebpf.cpus import possible_cpus
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.insn import R1, R10
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.program import ProgramSpec
from meshlens.ebpf.statistics import run_statistics
from meshlens.ebpf.structured import Asm
from meshlens.ebpf.syscall import bpf, translate
from meshlens.ebpf.testrun import LIVE_FRAMES, run_program
from meshlens.ebpf.verifier import VerifierError
from meshlens.errors import MeshlensError, NotSupported

if TYPE_CHECKING:  # tracing is imported when it is tried
    from meshlens.ebpf.target import Hook

__all__ = ["Feature", "features", "has_atomic_fetch", "has_coarse_clock", "has_tcx"]


class Feature(NamedTuple):
    """One thing a kernel may or may not do; `why` is the reason when it does not."""

    name: str
    supported: bool
    why: str


@cache
def has_tcx() -> bool:
    """Whether programs attach to TCX (Linux 6.6). Raises PermissionDenied."""
    loopback = 1  # in every network namespace
    try:
        bpf(Command.PROG_QUERY, bytearray(struct.pack("=II24x", loopback, AttachType.TCX_INGRESS)))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise translate(error, "ask for TCX programs") from error
    return True


@cache
def has_coarse_clock() -> bool:
    """Whether programs can ask for the time of the last tick (bpf_ktime_get_coarse_ns(), Linux 5.11)."""
    a = Asm()
    a.call(Helper.ktime_get_coarse_ns)
    a.ret(0)
    try:
        ProgramSpec("probe", ProgramType.SOCKET_FILTER, a).load().close()
    except VerifierError:  # "invalid func"
        return False
    return True


@cache
def has_atomic_fetch() -> bool:
    """Whether an atomic addition can say what was there before (Linux 5.12)."""
    a = Asm()
    a.store(R10, -8, 0, 8)
    a.mov(R1, 1)
    a.atomic_fetch_add(R10, -8, R1, 8)
    a.ret(0)
    try:
        ProgramSpec("probe", ProgramType.SOCKET_FILTER, a).load().close()
    except VerifierError:  # "BPF_STX uses reserved fields"
        return False
    return True


def features() -> list[Feature]:
    """Tries all that the kit can use; needs the rights to load programs, and changes nothing that lasts."""
    return [_try(name, probe) for name, probe in _PROBES.items()]


def _try(name: str, probe: Callable[[], object]) -> Feature:
    try:
        probe()
    except (MeshlensError, OSError) as error:
        return Feature(name, supported=False, why=str(error))
    return Feature(name, supported=True, why="")


def _spec(kind: ProgramType, attach_to: str | None = None) -> ProgramSpec:
    a = Asm()
    a.ret(1 if kind is ProgramType.XDP else 0)  # XDP_DROP: a live frame of a probe goes nowhere
    if attach_to is None:
        return ProgramSpec("probe", kind, a)
    return ProgramSpec("probe", kind, a, expected_attach_type=AttachType.TRACE_RAW_TP, attach_to=attach_to)


def _program(kind: ProgramType) -> Callable[[], None]:
    return lambda: _spec(kind).load().close()


def _map(spec: MapSpec) -> Callable[[], None]:
    return lambda: spec.create().close()


def _tcx() -> None:
    if not has_tcx():
        raise NotSupported("needs Linux 6.6; clsact does the same, but a killed process leaves its filters")


def _batches(kind: MapType, value_bytes: int) -> Callable[[], None]:
    def probe() -> None:
        with MapSpec("probe", kind, 4, 8, 4).create() as table:
            if read_batches(table.fileno(), 4, value_bytes, 4) is None:
                raise NotSupported("needs Linux 5.6 (per-CPU arrays: 5.13); reads take one call an entry")

    return probe


def _btf() -> None:
    from meshlens.ebpf.kernel_btf import kernel_btf

    kernel_btf()


def _trace(hook: "Hook") -> Callable[[], None]:
    def probe() -> None:
        from meshlens.ebpf.tracing import KernelTypes, Trace, attach_trace

        a = Trace(hook, KernelTypes().function("bpf_fentry_test1"))  # there to be traced: nothing calls it
        a.ret(0)
        with a.program("probe").load() as program:
            attach_trace(program).close()

    return probe


def _test_run(flags: int) -> Callable[[], None]:
    def probe() -> None:
        with _spec(ProgramType.XDP).load() as program:
            run_program(program.fileno(), bytes(64), flags=flags)

    return probe


def _bpffs() -> None:
    if not is_bpffs(BPFFS):
        raise NotSupported(f"no bpffs at {BPFFS}: mount -t bpf bpf {BPFFS}")


def _jit() -> None:
    """Asks a program: the sysctl is seen in the first network namespace only (net/core/sysctl_net_core.c)."""
    with _spec(ProgramType.XDP).load() as program:
        if not program.info().jited_bytes:
            raise NotSupported(
                "programs are interpreted, several times slower: sysctl net.core.bpf_jit_enable=1"
            )


_PROBES: dict[str, Callable[[], None]] = {
    "program: sched_cls (tc)": _program(ProgramType.SCHED_CLS),
    "program: xdp": _program(ProgramType.XDP),
    "program: socket filter": _program(ProgramType.SOCKET_FILTER),
    "program: raw tracepoint": _program(ProgramType.RAW_TRACEPOINT),
    "program: BTF tracepoint": lambda: _spec(ProgramType.TRACING, "kfree_skb").load().close(),
    "map: array": _map(MapSpec("probe", MapType.ARRAY, 4, 8, 1)),
    "map: mmap-able array": _map(MapSpec("probe", MapType.ARRAY, 4, 8, 1, BPF_F_MMAPABLE)),
    "map: per-CPU array": _map(MapSpec("probe", MapType.PERCPU_ARRAY, 4, 8, 1)),
    "map: hash": _map(MapSpec("probe", MapType.HASH, 4, 8, 1)),
    "map: LRU hash": _map(MapSpec("probe", MapType.LRU_HASH, 4, 8, 64)),
    "map: program array": _map(MapSpec("probe", MapType.PROG_ARRAY, 4, 4, 1)),
    "map: ring buffer": _map(MapSpec("probe", MapType.RINGBUF, 0, 0, 1 << 16)),
    "batch reads of a hash": _batches(MapType.HASH, 8),
    "batch reads of a per-CPU array": _batches(MapType.PERCPU_ARRAY, 8 * possible_cpus()),
    "attach: TCX": _tcx,
    "attach: fentry and fexit": _trace("fexit"),
    "attach: kprobe": _trace("kprobe"),
    "kernel type information (BTF)": _btf,
    "test run": _test_run(0),
    "test run with live frames": _test_run(LIVE_FRAMES),
    "run statistics": lambda: run_statistics().close(),
    "pins (bpffs)": _bpffs,
    "just-in-time compiler": _jit,
}
