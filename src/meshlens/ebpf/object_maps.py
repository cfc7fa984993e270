"""The maps of an eBPF object: as BTF describes them, as they were before, and its data sections.

Sources: parse_btf_map_def() in libbpf, for the names and the meaning of what a definition says;
struct bpf_map_def of samples/bpf, for the ones before.
"""

import struct
from typing import Final

from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.constants import BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, MapType
from meshlens.ebpf.cpus import possible_cpus
from meshlens.ebpf.elf import Elf, Section, Symbol
from meshlens.ebpf.maps import MapSpec
from meshlens.errors import MeshlensError, NotSupported

__all__ = ["BTF_MAPS", "DATA", "LEGACY_MAPS", "data_map", "read_maps"]

BTF_MAPS, LEGACY_MAPS = ".maps", "maps"
#: Sections that become an array with one value; also those with more behind a dot (.rodata.str1.1).
DATA: Final = (".rodata", ".data", ".bss")

_NUMBERS: Final = ("type", "key_size", "value_size", "max_entries", "map_flags")
_TYPES: Final = {"key": "key_size", "value": "value_size"}
_IGNORED: Final = frozenset({"numa_node"})
_OF_MAPS: Final = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
_LEGACY_BYTES: Final = 20


def read_maps(elf: Elf, types: Btf | None) -> dict[tuple[int, int], MapSpec]:
    """All maps that the object defines, by section and offset there.

    Raises NotSupported for what needs libbpf, MeshlensError if a definition cannot be.
    """
    maps = {}
    for section in elf.sections.values():
        if section.name not in (BTF_MAPS, LEGACY_MAPS):
            continue
        symbols = [each for each in elf.symbols if each.section == section.number and each.kind == "object"]
        for symbol in symbols:
            if section.name == BTF_MAPS:
                spec = _described(elf, symbol, types)
            else:
                spec = _legacy(elf, section, symbol, len(section.data) // len(symbols))
            maps[section.number, symbol.value] = spec
    return maps


def data_map(section: Section) -> MapSpec:
    """The map of a data section, with what it holds in the beginning."""
    constant = section.name.startswith(".rodata")
    flags = BPF_F_MMAPABLE | (BPF_F_RDONLY_PROG if constant else 0)
    return MapSpec(section.name, MapType.ARRAY, 4, len(section.data), 1, flags, section.data)


def _described(elf: Elf, symbol: Symbol, types: Btf | None) -> MapSpec:
    where = f"{elf.path}: map {symbol.name!r}"
    variable = types.find(symbol.name, Kind.VAR) if types else None
    definition = types.plain(types.target(variable)) if types and variable else 0
    if types is None or types.kind(definition) != Kind.STRUCT:
        raise MeshlensError(f"{where} is described by no type information (.BTF): compile with clang -g")
    numbers = dict.fromkeys(_NUMBERS, 0)
    for member in types.members(definition):
        if member.name in _NUMBERS:
            numbers[member.name] = _number(types, member.type, where)
        elif member.name in _TYPES:
            numbers[_TYPES[member.name]] = types.size(types.target(types.plain(member.type)))
        elif member.name == "pinning" and not _number(types, member.type, where):
            continue
        elif member.name not in _IGNORED:
            raise NotSupported(f"{where} has {member.name!r}, which only libbpf does; use bpftool or libbpf")
    return _spec(symbol.name, where, *(numbers[name] for name in _NUMBERS))


def _number(types: Btf, number: int, where: str) -> int:
    """A number in a definition is the length of an array that a pointer points to."""
    pointer = types.plain(number)
    array = types.plain(types.target(pointer)) if types.kind(pointer) == Kind.PTR else 0
    if types.kind(array) != Kind.ARRAY:
        raise MeshlensError(f"{where}: a number is to be written as __uint(name, number)")
    return types.array(array)[1]


def _legacy(elf: Elf, section: Section, symbol: Symbol, size: int) -> MapSpec:
    where = f"{elf.path}: map {symbol.name!r}"
    definition = section.data[symbol.value :][:size]
    if len(definition) < _LEGACY_BYTES:
        raise MeshlensError(f"{where} has {len(definition)} bytes of definition, not {_LEGACY_BYTES}")
    if any(definition[_LEGACY_BYTES:]):
        raise NotSupported(f"{where} says more than type, sizes and flags, as iproute2's do; use tc(8)")
    order = "<" if elf.byteorder == "little" else ">"
    return _spec(symbol.name, where, *struct.unpack_from(f"{order}5I", definition))


def _spec(
    name: str, where: str, kind: int, key_size: int, value_size: int, max_entries: int, flags: int
) -> MapSpec:
    if not kind:
        raise MeshlensError(f"{where} has no type")
    if kind in _OF_MAPS:
        raise NotSupported(f"{where} is a map of maps, which only libbpf makes; use bpftool or libbpf")
    if kind == MapType.PERF_EVENT_ARRAY and not max_entries:
        max_entries = possible_cpus()
    return MapSpec(name, MapType(kind), key_size, value_size, max_entries, flags)
