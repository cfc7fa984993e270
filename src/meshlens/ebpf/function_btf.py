"""The least BTF that makes a program of ours traceable: its function, by name and by what it is given.

Others may then attach fentry and fexit to it (bpf_check_attach_target() in the kernel's verifier.c asks for
the function's prototype), as they do to programs from a compiler.
"""

import struct
import sys
from typing import Final

from meshlens.ebpf.btf import Kind
from meshlens.ebpf.constants import Command, ProgramType
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.errors import UsageError

__all__ = ["FUNCTION_TYPE", "load_function_btf"]

FUNCTION_TYPE: Final = 5
"""The number of the function's type in this BTF."""

_CONTEXTS: Final = {ProgramType.XDP: "xdp_md", ProgramType.SCHED_CLS: "__sk_buff"}
_GLOBAL, _SIGNED_32_BITS = 1, 1 << 24 | 32


def load_function_btf(name: str, type: ProgramType) -> Handle:
    """Gives the kernel BTF for `int name(struct CONTEXT *ctx)`. Raises UsageError, NotSupported, BpfError."""
    if type not in _CONTEXTS:
        raise UsageError(
            f"program {name!r}: only XDP and SCHED_CLS programs can be traceable, not {type.name}"
        )
    data = bytearray(_encode(name, _CONTEXTS[type]))
    try:
        return Handle(
            bpf(Command.BTF_LOAD, bytearray(struct.pack("=QQIII", pointer(data), 0, len(data), 0, 0)))
        )
    except OSError as error:
        raise translate(error, f"load the BTF of program {name!r}") from error


def _encode(name: str, context: str) -> bytes:
    strings = f"\0int\0{context}\0ctx\0{name}\0".encode()
    at = {text: strings.index(b"\0" + text.encode() + b"\0") + 1 for text in ("int", context, "ctx", name)}

    def type(name: str, kind: Kind, count: int, size_or_type: int, *more: int) -> bytes:
        words = (at.get(name, 0), kind << 24 | count, size_or_type, *more)
        return struct.pack(f"={len(words)}I", *words)

    types = b"".join((
        type("int", Kind.INT, 0, 4, _SIGNED_32_BITS),
        type(context, Kind.STRUCT, 0, 0),  # only its name counts
        type("", Kind.PTR, 0, 2),
        type("", Kind.FUNC_PROTO, 1, 1, at["ctx"], 3),
        type(name, Kind.FUNC, _GLOBAL, 4),
    ))  # fmt: skip
    order = "<" if sys.byteorder == "little" else ">"
    header = struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings
