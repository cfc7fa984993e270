"""Programs: their specification (data) and the kernel's object."""

import contextlib
import struct
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from meshlens.ebpf.assembler import Assembler, Code
from meshlens.ebpf.bpffs import pinned
from meshlens.ebpf.constants import AttachType, ProgramType
from meshlens.ebpf.disassembly import disassemble
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import ProgramInfo, program_info
from meshlens.ebpf.insn import Insn, encode
from meshlens.ebpf.loading import Load
from meshlens.ebpf.maps import Map, MapSpec
from meshlens.ebpf.testrun import LIVE_FRAMES, TestRun, run_program
from meshlens.errors import UsageError

if TYPE_CHECKING:  # only tracing programs need it
    from meshlens.ebpf.target import Target

__all__ = ["Program", "ProgramSpec"]


class ProgramSpec:
    """What a program is to be: instructions, the maps they name, what it may be attached to.

    Two specifications are equal when they would give the kernel the same program. `maps` are the maps the
    instructions refer to by name; load() creates those it is not given. `attach_to` is what a tracing program
    is for: the kernel's name of a tracepoint, or a Target; `flags` are BPF_F_* of the load. With `traceable`,
    others can attach fentry and fexit to an XDP or SCHED_CLS program.
    """

    def __init__(
        self,
        name: str,
        type: ProgramType,
        code: Assembler | Code,
        *,
        maps: Mapping[str, MapSpec] | None = None,
        license: str = "Dual MIT/GPL",
        expected_attach_type: AttachType | None = None,
        attach_to: "str | Target | None" = None,
        flags: int = 0,
        traceable: bool = False,
    ) -> None:
        self.name = name
        self.type = type
        self.code = code.assemble() if isinstance(code, Assembler) else code
        self.maps = dict(maps or {})
        self.license = license
        self.expected_attach_type = AttachType(0) if expected_attach_type is None else expected_attach_type
        self.attach_to = attach_to
        self.flags = flags
        self.traceable = traceable
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

    def disassemble(self) -> str:
        """The program as text, with the names of blocks and maps."""
        return disassemble(self.code)

    def load(self, maps: Mapping[str, Map] | None = None, *, offload_to: int = 0) -> "Program":
        """Gives it to the kernel; creates the maps that are not given, and drops them again if it is refused.

        `offload_to` is the index of an interface whose device shall run the program itself. Raises
        VerifierError, PermissionDenied, NotSupported or BpfError.
        """
        if self.code.byteorder != sys.byteorder:
            raise UsageError(f"program {self.name!r} is for a {self.code.byteorder}-endian kernel")
        with contextlib.ExitStack() as created:
            used = dict(maps or {})
            for name in [name for name in self.maps if name not in used]:
                used[name] = created.enter_context(self.maps[name].create())
            program = Program(self._load(used, offload_to), used, self)
            created.pop_all()
        return program

    def _load(self, maps: Mapping[str, Map], ifindex: int) -> int:
        insns = bytearray(self.encode())
        for slot, name in self.code.map_refs:
            struct.pack_into("=i", insns, slot * 8 + 4, maps[name].fileno())
        request = Load(
            self.name, self.type, insns, self.license, self.flags, self.expected_attach_type, ifindex
        )
        with contextlib.ExitStack() as closing:
            if self.attach_to is not None and self.type is ProgramType.TRACING:
                number, owner = self._attach_btf_id()
                owner_fd = closing.enter_context(owner).fileno() if owner else 0
                request = request._replace(attach_btf_id=number, attach_owner=owner_fd)
            if self.traceable:
                from meshlens.ebpf.function_btf import FUNCTION_TYPE, load_function_btf

                btf = closing.enter_context(load_function_btf(self.name, self.type))
                request = request._replace(btf=btf.fileno(), function_type=FUNCTION_TYPE)
            return request.load(self.code)

    def _attach_btf_id(self) -> tuple[int, Handle | None]:
        """The function or tracepoint, and the module or program that it is of."""
        if isinstance(self.attach_to, str):
            from meshlens.ebpf.btf import Kind
            from meshlens.ebpf.kernel_btf import kernel_type_id

            return kernel_type_id(f"btf_trace_{self.attach_to}", Kind.TYPEDEF), None
        assert self.attach_to is not None
        return self.attach_to.resolve()

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

    @classmethod
    def from_pin(cls, path: str) -> Self:
        """The program pinned at `path`, without its maps. Raises MeshlensError."""
        return cls(pinned(path, "prog"))

    def info(self) -> ProgramInfo:
        """What the kernel says about this program."""
        return program_info(self.fileno())

    def test_run(
        self, data: bytes, *, ctx: bytes | None = None, repeat: int = 1, live_frames: bool = False
    ) -> TestRun:
        """Runs the program on `data` `repeat` times; see meshlens.ebpf.testrun.run_program.

        With `live_frames`, what an XDP program returns happens: XDP_TX and redirects send the frames.
        """
        return run_program(self.fileno(), data, ctx, repeat, LIVE_FRAMES if live_frames else 0)
