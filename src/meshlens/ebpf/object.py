"""eBPF objects as clang makes them (`clang -target bpf -c`), read without libbpf.

What is read: programs in sections with libbpf's names, maps (`object_maps`), data sections, calls of other
functions (`object_link`). What needs libbpf and the kernel's types is refused by name: CO-RE relocations,
kernel functions, callbacks, maps of maps, maps pinned by name.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final, NamedTuple

from meshlens.ebpf.btf import Btf
from meshlens.ebpf.btf_ext import CoreRelocation, core_relocations
from meshlens.ebpf.clsact import Side
from meshlens.ebpf.constants import ProgramType
from meshlens.ebpf.elf import Symbol, read_elf
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.object_link import link
from meshlens.ebpf.object_maps import read_maps
from meshlens.ebpf.program import ProgramSpec
from meshlens.errors import MeshlensError, UsageError

__all__ = ["ObjectFile", "ObjectProgram"]

_XDP_HAS_FRAGS: Final = 1 << 5

#: What libbpf's names of sections say: type, side, flags of the load.
_SECTIONS: Final[dict[str, tuple[ProgramType, Side | None, int]]] = {
    "xdp": (ProgramType.XDP, "ingress", 0),
    "xdp.frags": (ProgramType.XDP, "ingress", _XDP_HAS_FRAGS),
    "tc": (ProgramType.SCHED_CLS, None, 0),
    "classifier": (ProgramType.SCHED_CLS, None, 0),
    "tc/ingress": (ProgramType.SCHED_CLS, "ingress", 0),
    "tc/egress": (ProgramType.SCHED_CLS, "egress", 0),
    "tcx/ingress": (ProgramType.SCHED_CLS, "ingress", 0),
    "tcx/egress": (ProgramType.SCHED_CLS, "egress", 0),
    "ingress": (ProgramType.SCHED_CLS, "ingress", 0),  # iproute2's
    "egress": (ProgramType.SCHED_CLS, "egress", 0),
    "socket": (ProgramType.SOCKET_FILTER, None, 0),
}
#: XDP programs of other hooks, which do not run on an interface.
_FOR_OTHER_HOOKS: Final = ("xdp/devmap", "xdp/cpumap")


class ObjectProgram(NamedTuple):
    """A program of an object. `type` and `side` are what its section's name says, None if nothing."""

    name: str
    section: str
    type: ProgramType | None
    side: Side | None
    flags: int
    symbol: Symbol


class ObjectFile:
    """An eBPF object. Raises UsageError if the file is something else, MeshlensError if it is damaged."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._elf = read_elf(path)
        self.byteorder = self._elf.byteorder
        licence = self._elf.section("license")
        self.license = licence.data.split(b"\0")[0].decode(errors="replace") if licence else ""
        self.programs = tuple(self._programs())

    def program(self, name: str) -> ObjectProgram:
        """The program of that name, or the only one in the section of that name. Raises UsageError."""
        found = [each for each in self.programs if each.name == name]
        found = found or [each for each in self.programs if each.section == name]
        if len(found) != 1:
            there = ", ".join(f"{each.name} ({each.section})" for each in self.programs) or "none"
            raise UsageError(f"{self.path} has no one program {name!r}; it has: {there}")
        return found[0]

    def spec(self, program: ObjectProgram, type: ProgramType | None = None) -> ProgramSpec:
        """The program with the functions that it calls and its maps; `type` where the section says none.

        Raises NotSupported for what needs libbpf, MeshlensError if the object is damaged.
        """
        kind = program.type or type
        if kind is None:
            where = f"{self.path}: section {program.section!r}"
            raise UsageError(
                f"{where} does not say where {program.name} belongs: say it, as in --hook tcx-in"
            )
        linked = link(self._elf, self._maps, self._core, program.symbol)
        return ProgramSpec(
            program.name, kind, linked.code, maps=linked.maps, license=self.license, flags=program.flags
        )

    def _programs(self) -> list[ObjectProgram]:
        """All global functions in sections of their own; what is in .text is only called."""
        found = []
        for symbol in self._elf.symbols:
            section = self._elf.section_of(symbol)
            if symbol.kind != "function" or not symbol.is_global or section is None:
                continue
            if section.executable and section.name != ".text":
                known = _SECTIONS.get(section.name) or _by_beginning(section.name)
                found.append(ObjectProgram(symbol.name, section.name, *known, symbol))
        return found

    @cached_property
    def _types(self) -> Btf | None:
        section = self._elf.section(".BTF")
        with self._reading():
            return Btf(section.data) if section else None

    @cached_property
    def _maps(self) -> dict[tuple[int, int], MapSpec]:
        types = self._types
        with self._reading():
            return read_maps(self._elf, types)

    @cached_property
    def _core(self) -> list[CoreRelocation]:
        section, types = self._elf.section(".BTF.ext"), self._types
        with self._reading():
            return core_relocations(section.data, types, self.byteorder) if section and types else []

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Says of type information that makes no sense that the file is damaged."""
        try:
            yield
        except (LookupError, ValueError, RecursionError, struct.error) as error:
            raise MeshlensError(f"{self.path} is damaged: its type information: {error}") from None


def _by_beginning(section: str) -> tuple[ProgramType | None, Side | None, int]:
    """What older programs mean by names such as "xdp_pass" and "classifier/mine"."""
    for name in ("xdp", "classifier", "tc"):
        if section.startswith((f"{name}_", f"{name}/")) and section not in _FOR_OTHER_HOOKS:
            return _SECTIONS[name]
    return None, None, 0
