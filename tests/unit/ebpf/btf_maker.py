"""BTF made by hand: types as a list of what they say, for tests that need to know all of it."""

import ctypes
import struct
from typing import Any

from meshlens.ebpf.btf import Kind

SIGNED = 1 << 24


class Maker:
    """Collects types and gives back their numbers; `base_types` and `base_strings` are the kernel's BTF."""

    def __init__(self, base_types: int = 1, base_strings: bytes = b"") -> None:
        self.next = base_types
        self._base_strings = base_strings
        self.strings = b"" if base_strings else b"\0"
        self._types = b""

    def add(
        self, kind: Kind, name: str = "", size_or_type: int = 0, *more: int, count: int = 0, flag: int = 0
    ) -> int:
        info = flag << 31 | kind << 24 | count
        self._types += struct.pack(f"={3 + len(more)}I", self.text(name), info, size_or_type, *more)
        self.next += 1
        return self.next - 1

    def text(self, name: str) -> int:
        if not name:
            return 0
        wanted = name.encode() + b"\0"
        for strings, before in ((self._base_strings, 0), (self.strings, len(self._base_strings))):
            if strings.startswith(wanted):
                return before
            if (at := strings.find(b"\0" + wanted)) >= 0:
                return before + at + 1
        self.strings += wanted
        return len(self._base_strings) + len(self.strings) - len(wanted)

    def integer(self, name: str, size: int, signed: bool = False) -> int:
        return self.add(Kind.INT, name, size, (SIGNED if signed else 0) | size * 8)

    def pointer(self, type: int) -> int:
        return self.add(Kind.PTR, "", type)

    def compound(
        self, name: str, size: int, *members: tuple[str, int, int, int], kind: Kind = Kind.STRUCT
    ) -> int:
        """Members are name, type, offset in bits, width of a bit-field or 0."""
        words: list[int] = []
        for member, type, offset, bits in members:
            words += [self.text(member), type, bits << 24 | offset]
        return self.add(kind, name, size, *words, count=len(members), flag=1)

    def function(self, name: str, result: int, *parameters: tuple[str, int]) -> int:
        words: list[int] = []
        for parameter, type in parameters:
            words += [self.text(parameter), type]
        prototype = self.add(Kind.FUNC_PROTO, "", result, *words, count=len(parameters))
        return self.add(Kind.FUNC, name, prototype, count=1)

    def encode(self, order: str = "=") -> bytes:
        types = self._types
        if order != "=":
            types = struct.pack(f"{order}{len(types) // 4}I", *struct.unpack(f"={len(types) // 4}I", types))
        header = struct.pack(
            order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings)
        )
        return header + types + self.strings


def add_structure(maker: Maker, structure: type[ctypes.Structure], integers: dict[Any, int]) -> int:
    """A ctypes structure as BTF: where the fields are is by the rules of C compilers."""
    members = []
    for name, kind, *bits in structure._fields_:
        where = getattr(structure, name)
        if bits:  # of a bit-field ctypes says width << 16 | first bit, counted within the storage unit
            offset = where.offset * 8 + (where.size & 0xFFFF)
            members.append((name, integers[kind], offset, where.size >> 16))
        else:
            members.append((name, integers[kind], where.offset * 8, 0))
    return maker.compound(structure.__name__, ctypes.sizeof(structure), *members)
