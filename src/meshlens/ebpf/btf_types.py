"""The types of an object's own BTF (Documentation/bpf/btf.rst): what maps are made of, by name and size."""

import struct
from typing import Final, NamedTuple

from meshlens.ebpf.insn import ByteOrder
from meshlens.errors import MeshlensError

__all__ = ["ARRAY", "PTR", "STRUCT", "BtfTypes", "CoreRelocation", "Member", "Type"]

_MAGIC: Final = 0xEB9F
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = 14, 15, 16, 17, 18, 19
FUNC, FUNC_PROTO = 12, 13
#: Those whose second word is a size; of the others it is a type.
_SIZED: Final = frozenset({INT, STRUCT, UNION, ENUM, DATASEC, FLOAT, ENUM64})
#: Those that are another type under another name.
_ALIASES: Final = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})
#: Bytes behind a type's record: fixed, and for each of its members.
_EXTRA: Final = {
    INT: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8), FUNC_PROTO: (0, 8),
    VAR: (4, 0), DATASEC: (0, 12), DECL_TAG: (4, 0), ENUM64: (0, 12),
}  # fmt: skip
_DEPTH_MAX: Final = 64


class Member(NamedTuple):
    """A member of a structure: its name, its type's number."""

    name: str
    type: int


class Type(NamedTuple):
    """A type; `target` is what it points to, is another name of, is an array of, or is a variable of."""

    kind: int
    name: str
    size: int
    target: int
    elements: int
    members: tuple[Member, ...]


class CoreRelocation(NamedTuple):
    """An instruction that depends on the layout of a kernel type: in which section, where, which type."""

    section: str
    offset: int
    type: str


class BtfTypes:
    """All types of an object, by number; 0 is void. Raises MeshlensError if the section is damaged."""

    def __init__(self, data: bytes, byteorder: ByteOrder, path: str) -> None:
        self._order, self._path = "<" if byteorder == "little" else ">", path
        self.types = [Type(0, "void", 0, 0, 0, ())]
        try:
            magic, _, _, header, types_at, types_bytes, strings_at, strings_bytes = self._unpack(
                "HBBIIIII", data, 0
            )
            if magic != _MAGIC:
                raise self._damaged("no BTF magic number")
            self._strings = data[header + strings_at :][:strings_bytes]
            self._read(data[header + types_at :][:types_bytes])
        except struct.error as error:
            raise self._damaged(str(error)) from None

    def variable(self, name: str) -> Type | None:
        """The type of a global variable."""
        for each in self.types:
            if each.kind == VAR and each.name == name:
                return self.resolve(each.target)
        return None

    def resolve(self, number: int) -> Type:
        """The type itself, whatever other names it has."""
        for _ in range(_DEPTH_MAX):
            if number >= len(self.types):
                break
            found = self.types[number]
            if found.kind not in _ALIASES:
                return found
            number = found.target
        raise self._damaged(f"no type {number}")

    def size(self, number: int) -> int:
        """Bytes of a type."""
        found, elements = self.resolve(number), 1
        for _ in range(_DEPTH_MAX):
            if found.kind == PTR:
                return 8 * elements
            if found.kind != ARRAY:
                return found.size * elements
            elements *= found.elements
            found = self.resolve(found.target)
        raise self._damaged(f"type {number} has no size")

    def core_relocations(self, extension: bytes) -> list[CoreRelocation]:
        """Which instructions depend on kernel types, from the section .BTF.ext (struct btf_ext_header)."""
        try:
            fields = self._unpack("HBBIIIII", extension, 0)
            if fields[3] < 32:  # a header without this part
                return []
            at, length = self._unpack("II", extension, 24)
            return self._core(extension[fields[3] + at :][:length]) if length else []
        except struct.error as error:
            raise self._damaged(str(error)) from None

    def _core(self, data: bytes) -> list[CoreRelocation]:
        (record_bytes,), at = self._unpack("I", data, 0), 4
        found = []
        while at < len(data):
            section, count = self._unpack("II", data, at)
            at += 8
            for _ in range(count):
                offset, number, _, _ = self._unpack("IIII", data, at)
                found.append(CoreRelocation(self._string(section), offset, self.resolve(number).name))
                at += max(record_bytes, 16)
        return found

    def _read(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            name, info, size_or_type = self._unpack("III", data, at)
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            at += 12
            target, elements, members = 0 if kind in _SIZED else size_or_type, 0, list[Member]()
            if kind == ARRAY:
                target, _, elements = self._unpack("III", data, at)
            elif kind in (STRUCT, UNION):
                for number in range(count):
                    member, type, _ = self._unpack("III", data, at + 12 * number)
                    members.append(Member(self._string(member), type))
            size = size_or_type if kind in _SIZED else 0
            self.types.append(Type(kind, self._string(name), size, target, elements, tuple(members)))
            fixed, each = _EXTRA.get(kind, (0, 0))
            at += fixed + each * count

    def _string(self, at: int) -> str:
        return self._strings[at : self._strings.find(b"\0", at)].decode(errors="replace")

    def _unpack(self, layout: str, data: bytes, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, data, at)

    def _damaged(self, what: str) -> MeshlensError:
        return MeshlensError(f"{self._path} is damaged: type information (.BTF): {what}")
