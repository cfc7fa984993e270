"""Programs: their specification (data) and the kernel's object."""

import errno
import struct
import sys
from collections.abc import Mapping

from meshlens.ebpf.assembler import Assembler, Code
from meshlens.ebpf.constants import Command, ProgramType
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import ProgramInfo, program_info
from meshlens.ebpf.insn import Insn, encode
from meshlens.ebpf.maps import Map, MapSpec
from meshlens.ebpf.memlock import with_memlock
from meshlens.ebpf.names import kernel_name
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.ebpf.testrun import TestRun, run_program
from meshlens.ebpf.verifier import VerifierError
from meshlens.errors import UsageError

__all__ = ["Program", "ProgramSpec"]

_LOG_BYTES_FIRST, _LOG_BYTES_MAX = 1 << 20, 1 << 28


class ProgramSpec:
    """What a program is to be: instructions, the maps they name, and where it may be attached.

    Two specifications are equal when they would give the kernel the same program. `maps` are the maps the
    instructions refer to by name; load() creates those it is not given.
    """

    def __init__(
        self,
        name: str,
        type: ProgramType,
        code: Assembler | Code,
        *,
        maps: Mapping[str, MapSpec] | None = None,
        license: str = "Dual MIT/GPL",
        expected_attach_type: int = 0,
    ) -> None:
        self.name = name
        self.type = type
        self.code = code.assemble() if isinstance(code, Assembler) else code
        self.maps = dict(maps or {})
        self.license = license
        self.expected_attach_type = expected_attach_type
        for slot, referred in self.code.map_refs:
            if referred not in self.maps:
                raise UsageError(f"program {name!r}, instruction {slot}: no map {referred!r} among its maps")

    @property
    def insns(self) -> tuple[Insn, ...]:
        """The instructions; map references still without descriptor."""
        return self.code.insns

    def encode(self) -> bytes:
        """The instructions as a kernel of the program's byte order takes them."""
        return encode(self.code.insns, self.code.byteorder)

    def load(self, maps: Mapping[str, Map] | None = None) -> "Program":
        """Gives it to the kernel. Raises VerifierError, PermissionDenied, NotSupported or BpfError."""
        if self.code.byteorder != sys.byteorder:
            raise UsageError(f"program {self.name!r} is for a {self.code.byteorder}-endian kernel")
        used = {name: (maps or {}).get(name) or spec.create() for name, spec in self.maps.items()}
        insns = bytearray(self.encode())
        for slot, name in self.code.map_refs:
            struct.pack_into("=i", insns, slot * 8 + 4, used[name].fileno())
        try:
            fd = with_memlock(lambda: self._load(insns, None))
        except OSError as error:
            raise self._refusal(error, insns) from error
        return Program(fd, used, self)

    def _load(self, insns: bytearray, log: bytearray | None) -> int:
        licence = bytearray(self.license.encode() + b"\0")
        attributes = bytearray(struct.pack(
            "=IIQQIIQII16sII", self.type, len(insns) // 8, pointer(insns), pointer(licence),
            1 if log else 0, len(log or b""), pointer(log) if log else 0, 0, 0, kernel_name(self.name), 0,
            self.expected_attach_type,
        ))  # fmt: skip
        return bpf(Command.PROG_LOAD, attributes)

    def _refusal(self, error: OSError, insns: bytearray) -> Exception:
        """Asks again for the verifier's log, which the first try does without: it costs time."""
        size = _LOG_BYTES_FIRST
        while size <= _LOG_BYTES_MAX:
            log = bytearray(size)
            try:
                self._load(insns, log)
            except OSError as again:
                if again.errno == errno.ENOSPC:
                    size *= 8
                    continue
            text = log.split(b"\0", 1)[0].decode(errors="replace")
            if text:
                return VerifierError(f"program {self.name!r} refused: {text.splitlines()[-1]}", text)
            break
        return translate(error, f"load program {self.name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProgramSpec):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.name, self.type, self.code))

    def __repr__(self) -> str:
        return f"ProgramSpec({self.name!r}, {self.type.name}, {len(self.insns)} instructions)"


class Program(Handle):
    """A program in the kernel, with the maps it was loaded with, by name."""

    def __init__(
        self, fd: int, maps: Mapping[str, Map] | None = None, spec: ProgramSpec | None = None
    ) -> None:
        super().__init__(fd)
        self.maps = dict(maps or {})
        self.spec = spec

    def info(self) -> ProgramInfo:
        """What the kernel says about this program."""
        return program_info(self.fileno())

    def test_run(self, data: bytes, *, ctx: bytes | None = None, repeat: int = 1) -> TestRun:
        """Runs the program on `data`; see meshlens.ebpf.testrun.run_program."""
        return run_program(self.fileno(), data, ctx, repeat)
