"""BPF_PROG_LOAD: quickly at first, and once more with the verifier's log when the kernel refuses."""

import errno
import os
import struct
from typing import NamedTuple

from meshlens.ebpf.assembler import Code
from meshlens.ebpf.constants import Command
from meshlens.ebpf.info import c_string
from meshlens.ebpf.memlock import with_memlock
from meshlens.ebpf.names import kernel_name
from meshlens.ebpf.syscall import BpfError, bpf, pointer, translate
from meshlens.ebpf.verifier import VerifierError

__all__ = ["Load"]

_LOG_BYTES_FIRST, _LOG_BYTES_MAX = 1 << 20, 1 << 27
_INSNS_MAX = 1_000_000
_TRIES = 5  # the verifier gives way to signals with EAGAIN


class Load(NamedTuple):
    """What BPF_PROG_LOAD takes; `insns` have their map descriptors in place.

    `ifindex` is the device that is to run it itself (offload). `attach_owner` is the descriptor of the
    program or module that `attach_btf_id` is of, 0 for the kernel; `btf` that of the program's own BTF, in
    which its function is `function_type`.
    """

    name: str
    type: int
    insns: bytearray
    license: str
    flags: int
    expected_attach_type: int
    ifindex: int = 0
    attach_btf_id: int = 0
    attach_owner: int = 0
    btf: int = 0
    function_type: int = 0

    def load(self, code: Code) -> int:
        """The program's descriptor. `code` explains refusals."""
        if len(self.insns) > _INSNS_MAX * 8:
            count = len(self.insns) // 8
            message = f"cannot load program {self.name!r}: {count} instructions, {_INSNS_MAX} fit"
            raise BpfError(message, errno.E2BIG)
        try:
            return with_memlock(lambda: self._call(None))
        except OSError as error:
            log = self._refusal_log()
            if log:
                raise VerifierError(self.name, code, log) from None
            raise translate(error, f"load program {self.name!r}") from error

    def _refusal_log(self) -> str:
        """The verifier's words. Kernels before 6.4 fail with ENOSPC when they do not fit."""
        size = _LOG_BYTES_FIRST
        while True:
            log = bytearray(size)
            try:
                os.close(self._call(log))
            except OSError as error:
                if error.errno == errno.ENOSPC and size < _LOG_BYTES_MAX:
                    size *= 8
                    continue
            return c_string(bytes(log))

    def _call(self, log: bytearray | None) -> int:
        licence = bytearray(self.license.encode() + b"\0")
        log_fields = (1, len(log), pointer(log)) if log else (0, 0, 0)
        functions = bytearray(struct.pack("=II", 0, self.function_type) if self.btf else b"")
        # kern_version and line_info* stay 0.
        attributes = bytearray(struct.pack(
            "=IIQQIIQII16sI I IIQI 16x II",
            self.type, len(self.insns) // 8, pointer(self.insns), pointer(licence), *log_fields,
            0, self.flags, kernel_name(self.name), self.ifindex, self.expected_attach_type,
            self.btf, len(functions), pointer(functions), bool(functions),
            self.attach_btf_id, self.attach_owner,
        ))  # fmt: skip
        for _ in range(_TRIES):
            try:
                return bpf(Command.PROG_LOAD, attributes)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
        return bpf(Command.PROG_LOAD, attributes)
