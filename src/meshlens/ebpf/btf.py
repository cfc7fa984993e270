"""BTF, the kernel's description of its own types (Documentation/bpf/btf.rst), read where it lies.

A kernel has some 100,000 types. One pass notes where each begins (25 ms); everything else is looked up when
it is asked for. Types are numbers, counted from 1; 0 is `void`. A module's BTF goes on counting where the
kernel's ends, and may refer to all of it.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from meshlens.errors import MeshlensError

__all__ = ["Btf", "Kind", "Member", "Parameter"]


class Kind(IntEnum):
    """What a type is (BTF_KIND_*)."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


class Member(NamedTuple):
    """A member of a struct or union; `bits` is the width of a bit-field, 0 elsewhere."""

    name: str
    type: int
    bit_offset: int
    bits: int


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    type: int


_MAGIC: Final = 0xEB9F
_HEADER: Final = {order: Struct(order + "HBBIIIII") for order in "<>"}
_NATIVE: Final = "<" if sys.byteorder == "little" else ">"

# 32-bit words behind the three of each type, by kind: fixed, and per element.
_FIXED: Final = [0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0] + [0] * 12
_EACH: Final = [0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3] + [0] * 12

_COMPOUND: Final = (Kind.STRUCT, Kind.UNION)
_ENUMS: Final = {Kind.ENUM: 2, Kind.ENUM64: 3}  # words of an enumerator
_SAME: Final = (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)
_PREFIXES: Final = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.FWD: "struct ", Kind.ENUM: "enum "}
_POINTER_BYTES: Final = 8
_NAMES_MAX: Final = 64  # of one type
_SIGNED: Final = 1


class Btf:
    """Types by number and by name. `base` is the kernel's BTF if `data` is a module's.

    Raises MeshlensError if `data` is no BTF.
    """

    def __init__(self, data: bytes, base: "Btf | None" = None) -> None:
        order = "<" if data[:2] == _MAGIC.to_bytes(2, "little") else ">"
        if len(data) < 24 or data[:2] != _MAGIC.to_bytes(2, "big" if order == ">" else "little"):
            raise MeshlensError(f"no BTF: it begins with {data[:2].hex() or 'nothing'}, not with eb9f")
        _, _, _, header, types_at, types, strings_at, strings = _HEADER[order].unpack_from(data)
        self._types = data[header + types_at :][:types]
        self._strings = data[header + strings_at :][:strings]
        if len(self._types) != types or len(self._strings) != strings or types % 4:
            raise MeshlensError(
                f"cut BTF: {len(data)} bytes, {types} of types and {strings} of names are to be in"
            )
        if order != _NATIVE:
            swapped = array("I", self._types)
            swapped.byteswap()
            self._types = swapped.tobytes()
        self._words = memoryview(self._types).cast("I")
        self._starts = _starts(self._words)
        self.base = base
        self._first = len(base) if base else 1
        self._first_string = base.end_of_strings if base else 0
        self.end_of_strings: int = self._first_string + strings

    def __len__(self) -> int:
        """One more than the greatest number of a type."""
        return self._first + len(self._starts)

    def find(self, name: str, *kinds: Kind) -> int | None:
        """The number of the type with that name and one of the `kinds`; a module's own first."""
        for at in self._named(name):
            if self._words[at + 1] >> 24 & 31 in kinds:
                return self._first + bisect_left(self._starts, at)
        return self.base.find(name, *kinds) if self.base else None

    def kind(self, type: int) -> Kind:
        if not type:
            return Kind.VOID
        words, at = self.record(type)
        return Kind(words[at + 1] >> 24 & 31)

    def name(self, type: int) -> str:
        """The name, "" if it has none."""
        if not type:
            return "void"
        words, at = self.record(type)
        return self.text(words[at])

    def target(self, type: int) -> int:
        """What a pointer, typedef, qualifier or function refers to (a function: its prototype's number)."""
        words, at = self.record(type)
        return words[at + 2]

    def plain(self, type: int) -> int:
        """The type behind typedefs and qualifiers."""
        for _ in range(_NAMES_MAX):
            if self.kind(type) not in _SAME:
                return type
            type = self.target(type)
        raise MeshlensError(f"damaged BTF: type {type} is another name of itself")

    def size(self, type: int) -> int:
        """Bytes; 0 for what has none, like functions."""
        type = self.plain(type)
        kind = self.kind(type)
        if kind == Kind.PTR:
            return _POINTER_BYTES
        if kind == Kind.ARRAY:
            element, count = self.array(type)
            return count * self.size(element)
        if kind in (Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.FLOAT, Kind.ENUM64):
            words, at = self.record(type)
            return words[at + 2]
        return 0

    def signed(self, type: int) -> bool:
        """Whether it is a signed integer or an enumeration with negative values."""
        type = self.plain(type)
        words, at = self.record(type) if type else (self._words, 0)
        match self.kind(type):
            case Kind.INT:
                return bool(words[at + 3] >> 24 & _SIGNED)
            case Kind.ENUM | Kind.ENUM64:
                return bool(words[at + 1] >> 31)
        return False

    def pointer_to(self, type: int) -> int | None:
        """The number of the type "pointer to `type`"."""
        for at in self._words_like(type):
            if self._begins(at - 2) and self._words[at - 1] >> 24 & 31 == Kind.PTR:
                return self._first + bisect_left(self._starts, at - 2)
        return self.base.pointer_to(type) if self.base else None

    def array(self, type: int) -> tuple[int, int]:
        """Type and number of an array's elements."""
        words, at = self.record(type)
        return words[at + 3], words[at + 5]

    def members(self, type: int) -> Iterator[Member]:
        """The members of a struct or union, in its order; unnamed ones have the name ""."""
        words, at = self.record(type)
        info = words[at + 1]
        for each in range(at + 3, at + 3 + 3 * (info & 0xFFFF), 3):
            offset = words[each + 2]
            bits, offset = (offset >> 24, offset & 0xFFFFFF) if info >> 31 else (0, offset)
            yield Member(self.text(words[each]), words[each + 1], offset, bits)

    def member(self, type: int, name: str) -> Member | None:
        """A member by name, also one of unnamed structs and unions inside; offsets are the outer struct's."""
        for each in self.members(type):
            if each.name == name:
                return each
            if not each.name and self.kind(inner := self.plain(each.type)) in _COMPOUND:
                found = self.member(inner, name)
                if found is not None:
                    return found._replace(bit_offset=found.bit_offset + each.bit_offset)
        return None

    def parameters(self, type: int) -> list[Parameter]:
        """The parameters of a function or its prototype."""
        if self.kind(type) == Kind.FUNC:
            type = self.target(type)
        words, at = self.record(type)
        ends = range(at + 3, at + 3 + 2 * (words[at + 1] & 0xFFFF), 2)
        return [Parameter(self.text(words[each]), words[each + 1]) for each in ends]

    def result(self, type: int) -> int:
        """The type that a function returns."""
        return self.target(self.target(type))

    def enumerator(self, name: str) -> int | None:
        """The value of a constant by its name, whichever enumeration it is of."""
        for at in self._places(name):
            if not at:
                continue
            number = bisect_left(self._starts, at) - 1
            start = self._starts[number]
            info = self._words[start + 1]
            words = _ENUMS.get(Kind(info >> 24 & 31))
            if words and at >= start + 3 and (at - start - 3) % words == 0:
                value = self._words[at + 1] | (self._words[at + 2] << 32 if words == 3 else 0)
                width = 32 * (words - 1)
                return value - (1 << width) if info >> 31 and value >> (width - 1) else value
        return self.base.enumerator(name) if self.base else None

    def describe(self, type: int) -> str:
        """The type as C writes it, more or less."""
        kind = self.kind(type)
        if kind == Kind.PTR:
            return f"{self.describe(self.target(type))} *"
        if kind == Kind.ARRAY:
            element, count = self.array(type)
            return f"{self.describe(element)}[{count}]"
        if kind in (Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG):
            return self.describe(self.target(type))
        return _PREFIXES.get(kind, "") + (self.name(type) or "{...}")

    def record(self, type: int) -> tuple[memoryview, int]:
        """The words that hold a type, and where it begins."""
        if self.base and type < self._first:
            return self.base.record(type)
        if not 0 < type < len(self):
            raise MeshlensError(f"no type number {type} in this BTF: there are 1 to {len(self) - 1}")
        return self._words, self._starts[type - self._first]

    def text(self, offset: int) -> str:
        """The name that stands at an offset, the kernel's strings counted first."""
        if self.base and offset < self._first_string:
            return self.base.text(offset)
        begin = offset - self._first_string
        return self._strings[begin : self._strings.index(b"\0", begin)].decode(errors="replace")

    def _named(self, name: str) -> Iterator[int]:
        """Where types of ours with this name begin."""
        yield from filter(self._begins, self._places(name))

    def _begins(self, at: int) -> bool:
        """Whether a type begins at this word."""
        number = bisect_left(self._starts, at)
        return number < len(self._starts) and self._starts[number] == at

    def _places(self, name: str) -> Iterator[int]:
        """The words of ours with the offset of that name: most are something else of the same value."""
        offset = self.text_offset(name.encode())
        return iter(()) if offset is None else self._words_like(offset)

    def _words_like(self, value: int) -> Iterator[int]:
        wanted, at = value.to_bytes(4, sys.byteorder), -1
        while (at := self._types.find(wanted, at + 1)) >= 0:
            if at % 4 == 0:
                yield at // 4

    def text_offset(self, name: bytes) -> int | None:
        """Where the name stands among the strings; each is there once, and a module uses the kernel's."""
        if self.base and (found := self.base.text_offset(name)) is not None:
            return found
        if self._strings.startswith(name + b"\0"):
            return self._first_string
        found = self._strings.find(b"\0" + name + b"\0")
        return self._first_string + found + 1 if found >= 0 else None


def _starts(words: memoryview) -> "array[int]":
    """Where each type begins, in words: the one pass over all of them."""
    starts, fixed, each = array("I"), _FIXED, _EACH
    at, end, add = 0, len(words), starts.append
    while at < end:
        add(at)
        info = words[at + 1]
        kind = info >> 24 & 31
        at += 3 + fixed[kind] + each[kind] * (info & 0xFFFF)
    if at != end:
        raise MeshlensError("damaged BTF: its last type is cut")
    return starts
