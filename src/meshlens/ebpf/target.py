"""What a tracing program is for: a function of the kernel, of a module, or another program."""

import struct
from typing import Literal, NamedTuple

from meshlens.ebpf.btf import Kind
from meshlens.ebpf.constants import AttachType, Command, ProgramType
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import program_btf_info
from meshlens.ebpf.kernel_btf import kernel_type_id, module_btf, module_handle
from meshlens.ebpf.syscall import bpf, translate
from meshlens.errors import NotSupported

__all__ = ["HOOKS", "Hook", "Target", "open_program"]

Hook = Literal["fentry", "fexit", "kprobe", "kretprobe"]

HOOKS: dict[Hook, tuple[ProgramType, AttachType]] = {
    "fentry": (ProgramType.TRACING, AttachType.TRACE_FENTRY),
    "fexit": (ProgramType.TRACING, AttachType.TRACE_FEXIT),
    "kprobe": (ProgramType.KPROBE, AttachType(0)),
    "kretprobe": (ProgramType.KPROBE, AttachType(0)),
}


class Target(NamedTuple):
    """A function and the moment: before it runs (fentry, kprobe) or after it (fexit, kretprobe).

    It is the kernel's own, or that of `module`, or the main one of the program `program_id`.
    """

    hook: Hook
    function: str
    module: str = ""
    program_id: int = 0

    def resolve(self) -> tuple[int, Handle | None]:
        """For BPF_PROG_LOAD: the function's number in BTF, and the program or module whose BTF it is.

        Raises NotSupported if there is no such function, PermissionDenied.
        """
        if self.program_id:
            program = open_program(self.program_id)
            _, function_type = program_btf_info(program.fileno())
            return function_type, program
        if not self.module:
            return kernel_type_id(self.function, Kind.FUNC), None
        found = module_btf(self.module).find(self.function, Kind.FUNC)
        if found is None:
            raise NotSupported(f"module {self.module} has no function {self.function}")
        return found, module_handle(self.module)

    def __str__(self) -> str:
        where = f"program {self.program_id}" if self.program_id else self.module
        return f"{self.hook} {self.function}" + (f" [{where}]" if where else "")


def open_program(identifier: int) -> Handle:
    """A program by its id. Needs CAP_SYS_ADMIN; raises PermissionDenied, MeshlensError if it is gone."""
    try:
        return Handle(bpf(Command.PROG_GET_FD_BY_ID, bytearray(struct.pack("=III", identifier, 0, 0))))
    except OSError as error:
        raise translate(error, f"open program {identifier}") from error
