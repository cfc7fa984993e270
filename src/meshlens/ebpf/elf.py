"""ELF files, as far as eBPF objects need it: sections, symbols, relocations, as plain data.

The one module that knows of pyelftools, which is imported when a file is read.
"""

import struct
from typing import Any, Final, Literal, NamedTuple

from meshlens.ebpf.insn import ByteOrder
from meshlens.errors import MeshlensError, UsageError

__all__ = ["Elf", "Relocation", "Section", "Symbol", "read_elf"]

#: More than any object has; a damaged file may state any size.
_SECTION_BYTES_MAX: Final = 1 << 26

SymbolKind = Literal["function", "object", "section", "other"]
_KINDS: Final[dict[str, SymbolKind]] = {
    "STT_FUNC": "function", "STT_OBJECT": "object", "STT_SECTION": "section",
}  # fmt: skip


class Section(NamedTuple):
    """A section; `data` of one without bytes in the file (.bss) are zeros."""

    number: int
    name: str
    executable: bool
    data: bytes


class Symbol(NamedTuple):
    """A symbol; `section` is None if it is defined elsewhere."""

    name: str
    kind: SymbolKind
    is_global: bool
    section: int | None
    value: int
    size: int


class Relocation(NamedTuple):
    """What is to be written at `offset` of its section, once the address of the symbol is known."""

    offset: int
    kind: int
    symbol: Symbol


class Elf(NamedTuple):
    """What is in the file. `relocations` are by the index of the section that they are about."""

    path: str
    byteorder: ByteOrder
    sections: dict[int, Section]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]

    def section(self, name: str) -> Section | None:
        return next((each for each in self.sections.values() if each.name == name), None)

    def section_of(self, symbol: Symbol) -> Section | None:
        return None if symbol.section is None else self.sections.get(symbol.section)


def read_elf(path: str) -> Elf:
    """Read an eBPF object. Raises UsageError if it is something else, MeshlensError if it is damaged."""
    try:
        from elftools.common.exceptions import ELFError
        from elftools.construct.core import ConstructError
    except ImportError:
        raise UsageError("objects need pyelftools, which is not installed: pip install pyelftools") from None
    try:
        with open(path, "rb") as file:
            return _read(path, file)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (
        ELFError, ConstructError, struct.error, UnicodeError, LookupError, ValueError, TypeError,
        AttributeError, AssertionError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise MeshlensError(f"{path} is damaged: {str(error) or type(error).__name__}") from None


def _read(path: str, file: Any) -> Elf:
    from elftools.elf.elffile import ELFFile

    if file.read(4) != b"\x7fELF":
        raise UsageError(f"{path} is no ELF object: compile with clang -O2 -g -target bpf -c")
    elf: Any = ELFFile(file)  # its types know of no subclasses of sections
    if elf["e_machine"] != "EM_BPF" or elf.elfclass != 64:
        machine = str(elf["e_machine"]).removeprefix("EM_").lower()
        raise UsageError(f"{path} is for {machine}, not for eBPF: compile with clang -target bpf")
    symbols: list[Symbol] = []
    relocation_tables = []
    sections = {}
    for index, each in enumerate(elf.iter_sections()):
        if each["sh_size"] > _SECTION_BYTES_MAX:
            raise MeshlensError(f"{path} is damaged: section {each.name!r} of {each['sh_size']} bytes")
        if each["sh_type"] == "SHT_SYMTAB":
            symbols = [_symbol(symbol) for symbol in each.iter_symbols()]
        elif each["sh_type"] == "SHT_REL":
            relocation_tables.append(each)
        else:
            sections[index] = Section(index, each.name, bool(each["sh_flags"] & 0x4), each.data())
    relocations = {
        table["sh_info"]: tuple(
            Relocation(each["r_offset"], each["r_info_type"], symbols[each["r_info_sym"]])
            for each in table.iter_relocations()
        )
        for table in relocation_tables
    }
    return Elf(path, "little" if elf.little_endian else "big", sections, tuple(symbols), relocations)


def _symbol(symbol: Any) -> Symbol:
    section = symbol["st_shndx"]
    return Symbol(
        symbol.name,
        _KINDS.get(symbol["st_info"]["type"], "other"),
        symbol["st_info"]["bind"] == "STB_GLOBAL",
        section if isinstance(section, int) else None,
        symbol["st_value"],
        symbol["st_size"],
    )
