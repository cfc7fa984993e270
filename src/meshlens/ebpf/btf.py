"""Looking up a type in the running kernel's BTF (Documentation/bpf/btf.rst)."""

import struct
import sys
from functools import cache

from meshlens.errors import NotSupported

__all__ = ["FUNC", "TYPEDEF", "kernel_type_id"]

VMLINUX = "/sys/kernel/btf/vmlinux"

TYPEDEF, FUNC = 8, 12

# Bytes that follow the 12-byte record of a type, by kind: fixed, and per element of its `vlen`.
_EXTRA = {
    1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0),
    19: (0, 12),
}  # fmt: skip


@cache
def kernel_type_id(name: str, kind: int) -> int:
    """The number of a kernel type: TYPEDEF or FUNC. Raises NotSupported without BTF, or without that type."""
    try:
        with open(VMLINUX, "rb") as file:
            data = file.read()
    except OSError:
        raise NotSupported(f"kernel type {name}: this kernel has no BTF ({VMLINUX})") from None
    found = _find(data, name.encode(), kind)
    if found is None:
        raise NotSupported(f"kernel type {name}: this kernel has none")
    return found


def _find(data: bytes, name: bytes, kind: int) -> int | None:
    order = "<" if sys.byteorder == "little" else ">"
    _, _, _, header_bytes, type_at, type_bytes, string_at, string_bytes = struct.unpack_from(
        order + "HBBIIIII", data
    )
    strings = data[header_bytes + string_at :][:string_bytes]
    wanted = strings.find(b"\0" + name + b"\0") + 1
    if not wanted:
        return None
    record = struct.Struct(order + "II")
    at, end, identifier = header_bytes + type_at, header_bytes + type_at + type_bytes, 1
    while at < end:
        name_at, info = record.unpack_from(data, at)
        found_kind = info >> 24 & 0x1F
        if name_at == wanted and found_kind == kind:
            return identifier
        fixed, each = _EXTRA.get(found_kind, (0, 0))
        at += 12 + fixed + each * (info & 0xFFFF)
        identifier += 1
    return None
