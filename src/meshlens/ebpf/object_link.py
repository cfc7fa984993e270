"""A program of an object, the functions that it calls behind it, with references to maps filled in.

How clang writes references: Documentation/bpf/llvm_reloc.rst. What libbpf does with them:
bpf_object__relocate() and bpf_program__record_reloc().
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from meshlens.ebpf import insn as op
from meshlens.ebpf.assembler import Code
from meshlens.ebpf.btf_ext import CoreRelocation
from meshlens.ebpf.elf import Elf, Relocation, Symbol
from meshlens.ebpf.insn import Insn, decode
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.object_maps import BTF_MAPS, DATA, LEGACY_MAPS, data_map
from meshlens.errors import MeshlensError, NotSupported

__all__ = ["Linked", "link"]

_SLOT_BYTES: Final = 8
_CORE_TYPES_SHOWN: Final = 3

#: Where something is: index of a section, slot in it.
_Place = tuple[int, int]


class Linked(NamedTuple):
    """A program's code, and the maps it refers to by name."""

    code: Code
    maps: dict[str, MapSpec]


def link(
    elf: Elf, maps: Mapping[tuple[int, int], MapSpec], core: Iterable[CoreRelocation], main: Symbol
) -> Linked:
    """Link the program that begins at `main`. Raises NotSupported for what needs libbpf, MeshlensError."""
    linker = _Linker(elf, maps, core, main.name)
    linker.add_all(main)
    code = Code(tuple(linker.insns), tuple(linker.blocks), tuple(linker.map_refs), elf.byteorder)
    return Linked(code, linker.used)


class _Linker:
    def __init__(
        self,
        elf: Elf,
        maps: Mapping[tuple[int, int], MapSpec],
        core: Iterable[CoreRelocation],
        program: str,
    ) -> None:
        self.elf, self.maps, self.core = elf, maps, tuple(core)
        self.where = f"{elf.path}: program {program!r}"
        self.functions = {
            (each.section, each.value // _SLOT_BYTES): each
            for each in elf.symbols
            if each.kind == "function" and each.section is not None
        }
        self.insns: list[Insn] = []
        self.blocks: list[tuple[int, str]] = []
        self.map_refs: list[tuple[int, str]] = []
        self.used: dict[str, MapSpec] = {}
        self._begins: dict[_Place, int] = {}
        self._calls: dict[int, _Place] = {}

    def add_all(self, main: Symbol) -> None:
        """Add `main` and all that is called from it, then say where the calls go."""
        waiting = [main]
        while waiting:
            symbol = waiting.pop()
            assert symbol.section is not None
            place = symbol.section, symbol.value // _SLOT_BYTES
            if place not in self._begins:
                self._begins[place] = len(self.insns)
                self._add(symbol, place)
                waiting += [self._function(each) for each in self._calls.values() if each not in self._begins]
        for slot, place in self._calls.items():
            self.insns[slot] = self.insns[slot]._replace(imm=self._begins[place] - slot - 1)

    def _function(self, place: _Place) -> Symbol:
        if place not in self.functions:
            raise self._damaged(f"a call to section {place[0]}, instruction {place[1]}, where no function is")
        return self.functions[place]

    def _add(self, symbol: Symbol, place: _Place) -> None:
        """Append one function."""
        section = self.elf.sections[place[0]]
        end = symbol.value + symbol.size
        if (
            symbol.value % _SLOT_BYTES
            or symbol.size % _SLOT_BYTES
            or not symbol.value < end <= len(section.data)
        ):
            raise self._damaged(f"function {symbol.name!r} is not within its section")
        self._refuse_core(section.name, symbol.value, end)
        relocations = {each.offset: each for each in self.elf.relocations.get(section.number, ())}
        self.blocks.append((len(self.insns), symbol.name))
        second = None
        for slot, insn in enumerate(decode(section.data[symbol.value : end], self.elf.byteorder), place[1]):
            relocation = relocations.get(slot * _SLOT_BYTES)
            if second is not None:
                self.insns.append(insn._replace(imm=second))
                second = None
            elif insn.opcode == op.LD_IMM64 and relocation:
                self.map_refs.append((len(self.insns), self._map_of(relocation, insn)))
                pseudo, second = self._pseudo(relocation, insn)
                self.insns.append(insn._replace(src=pseudo, imm=0))
            elif insn.opcode == op.CALL and (relocation or insn.src == op.PSEUDO_CALL):
                self._calls[len(self.insns)] = self._callee(relocation, insn, place[0], slot)
                self.insns.append(insn)
            elif relocation:
                raise self._damaged(f"a relocation of no call and no 64-bit load in {symbol.name!r}")
            elif insn.opcode == op.CALL and insn.src:
                raise NotSupported(f"{self.where} calls a kernel function by number, which needs libbpf")
            else:
                self.insns.append(insn)
        if second is not None:
            raise self._damaged(f"function {symbol.name!r} ends in the middle of an instruction")

    def _callee(self, relocation: Relocation | None, insn: Insn, section: int, slot: int) -> _Place:
        if relocation is None:
            return section, slot + 1 + insn.imm
        symbol = relocation.symbol
        if symbol.section is None:
            kernels = f"calls the kernel function {symbol.name}"
            raise NotSupported(
                f"{self.where} {kernels}, which needs libbpf and the kernel's type information"
            )
        return symbol.section, symbol.value // _SLOT_BYTES + insn.imm + 1

    def _map_of(self, relocation: Relocation, insn: Insn) -> str:
        """The name of the map that a 64-bit load refers to, which is used from now on."""
        symbol = relocation.symbol
        section = self.elf.section_of(symbol)
        if section is None:
            raise NotSupported(
                f"{self.where} refers to {symbol.name}, which is outside (a kernel symbol or setting)"
            )
        if section.executable:
            raise NotSupported(
                f"{self.where} takes the address of a function ({symbol.name}), as callbacks need"
            )
        if section.name in (BTF_MAPS, LEGACY_MAPS):
            offset = symbol.value + (insn.imm if symbol.kind == "section" else 0)
            spec = self.maps.get((section.number, offset))
            if spec is None:
                raise self._damaged(f"no map at byte {offset} of {section.name}")
        elif section.name.startswith(DATA) and section.data:
            spec = data_map(section)
        else:
            raise NotSupported(
                f"{self.where} refers to section {section.name!r}, which is no map and no data"
            )
        self.used[spec.name] = spec
        return spec.name

    def _pseudo(self, relocation: Relocation, insn: Insn) -> tuple[int, int]:
        """What the load becomes: a map, or an address in its value and the offset there."""
        section = self.elf.section_of(relocation.symbol)
        if section and section.name in (BTF_MAPS, LEGACY_MAPS):
            return op.PSEUDO_MAP_FD, 0
        return op.PSEUDO_MAP_VALUE, relocation.symbol.value + insn.imm

    def _refuse_core(self, section: str, begin: int, end: int) -> None:
        found = [each.type for each in self.core if each.section == section and begin <= each.offset < end]
        if found:
            named = ", ".join(sorted(set(found))[:_CORE_TYPES_SHOWN])
            raise NotSupported(
                f"{self.where} has CO-RE relocations ({named}), which need libbpf and kernel BTF"
            )

    def _damaged(self, what: str) -> MeshlensError:
        return MeshlensError(f"{self.elf.path} is damaged: {what}")
