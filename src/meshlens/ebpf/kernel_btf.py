"""Where BTF is: the kernel's own, its modules', its programs'; and the descriptors that stand for them."""

import struct
from collections.abc import Iterator
from functools import cache

from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.constants import Command
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import c_string, object_info
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.errors import NotSupported

__all__ = ["VMLINUX", "btf_by_id", "kernel_btf", "kernel_type_id", "module_btf", "module_handle"]

VMLINUX = "/sys/kernel/btf/vmlinux"

_INFO = struct.Struct("=QIIQII")  # struct bpf_btf_info


@cache
def kernel_btf() -> Btf:
    """The types of the running kernel. Raises NotSupported if it was built without."""
    try:
        with open(VMLINUX, "rb") as file:
            return Btf(file.read())
    except OSError:
        raise NotSupported(f"no {VMLINUX}: the kernel was built without CONFIG_DEBUG_INFO_BTF") from None


@cache
def module_btf(name: str) -> Btf:
    """The types of a loaded module, and behind them the kernel's. Raises NotSupported if there are none."""
    name = name.replace("-", "_")  # modprobe takes both
    try:
        with open(f"/sys/kernel/btf/{name}", "rb") as file:
            return Btf(file.read(), kernel_btf())
    except OSError:
        raise NotSupported(f"no /sys/kernel/btf/{name}: module {name} is not loaded, or has no BTF") from None


def kernel_type_id(name: str, kind: Kind) -> int:
    """The number of a kernel type. Raises NotSupported without BTF, or without that type."""
    found = kernel_btf().find(name, kind)
    if found is None:
        raise NotSupported(f"kernel type {name}: this kernel has none")
    return found


def module_handle(name: str) -> Handle:
    """The BTF object of a loaded module. Needs CAP_SYS_ADMIN; raises NotSupported, PermissionDenied."""
    for handle in _objects():
        with handle:
            if _info(handle)[1] == name.replace("-", "_"):
                return handle.dup()
    raise NotSupported(f"module {name} is not loaded, or has no BTF")


def btf_by_id(identifier: int) -> Btf:
    """The types that a program or map was loaded with. Needs CAP_SYS_ADMIN; raises MeshlensError."""
    with _open(identifier) as handle:
        size, _ = _info(handle)
        data = bytearray(size)
        object_info(handle.fileno(), bytearray(_INFO.pack(pointer(data), size, 0, 0, 0, 0)))
    return Btf(bytes(data))


def _info(handle: Handle) -> tuple[int, str]:
    """Bytes and name: a module's, "vmlinux", or "" for a program's."""
    name = bytearray(64)
    buffer = bytearray(_INFO.pack(0, 0, 0, pointer(name), len(name), 0))
    object_info(handle.fileno(), buffer)
    return _INFO.unpack(buffer)[1], c_string(bytes(name))


def _objects() -> Iterator[Handle]:
    identifier = 0
    while True:
        attributes = bytearray(struct.pack("=III", identifier, 0, 0))
        try:
            bpf(Command.BTF_GET_NEXT_ID, attributes)
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, "list BTF objects") from error
        identifier = struct.unpack_from("=I", attributes, 4)[0]
        yield _open(identifier)


def _open(identifier: int) -> Handle:
    try:
        return Handle(bpf(Command.BTF_GET_FD_BY_ID, bytearray(struct.pack("=III", identifier, 0, 0))))
    except OSError as error:
        raise translate(error, f"open BTF object {identifier}") from error
