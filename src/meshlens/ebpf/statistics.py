"""Run statistics: how often programs ran and how long they took (BPF_ENABLE_STATS, Linux 5.8)."""

import struct

from meshlens.ebpf.constants import Command
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.syscall import bpf, translate

__all__ = ["run_statistics"]

_RUN_TIME = 0  # BPF_STATS_RUN_TIME


def run_statistics() -> Handle:
    """Lets all programs of the machine be timed, for as long as the handle is open (as in `with`).

    The counts are in Program.info(): `run_count`, `run_time_ns`. It costs about 20 ns a run.
    Raises NotSupported or PermissionDenied (needs CAP_SYS_ADMIN).
    """
    try:
        return Handle(bpf(Command.ENABLE_STATS, bytearray(struct.pack("=I", _RUN_TIME))))
    except OSError as error:
        raise translate(error, "time programs (BPF_ENABLE_STATS)") from error
