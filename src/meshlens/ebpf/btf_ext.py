"""What an object's section .BTF.ext says of its instructions (struct btf_ext_header, bpf_core_relo)."""

import struct
from typing import NamedTuple

from meshlens.ebpf.btf import Btf
from meshlens.ebpf.insn import ByteOrder

__all__ = ["CoreRelocation", "core_relocations"]


class CoreRelocation(NamedTuple):
    """An instruction that depends on the layout of a kernel type: in which section, where, which type."""

    section: str
    offset: int
    type: str


def core_relocations(data: bytes, types: Btf, byteorder: ByteOrder) -> list[CoreRelocation]:
    """All that there are. Raises struct.error, MeshlensError or ValueError if the section is damaged."""
    order = "<" if byteorder == "little" else ">"
    (header_bytes,) = struct.unpack_from(order + "I", data, 4)
    if header_bytes < 32:  # of a time before there were any
        return []
    begin, length = struct.unpack_from(order + "II", data, 24)
    part = data[header_bytes + begin :][:length]
    found, at = list[CoreRelocation](), 4
    while at < len(part):
        (record_bytes,) = struct.unpack_from(order + "I", part)
        section, count = struct.unpack_from(order + "II", part, at)
        at += 8
        for _ in range(count):
            offset, number = struct.unpack_from(order + "II", part, at)
            found.append(CoreRelocation(types.text(section), offset, types.describe(number)))
            at += max(record_bytes, 16)
    return found
