"""Names of maps and programs as the kernel accepts them."""

from meshlens.ebpf.constants import OBJ_NAME_BYTES

__all__ = ["kernel_name"]


def kernel_name(name: str) -> bytes:
    """`name` with what bpf_obj_name_cpy() (kernel/bpf/syscall.c) forbids replaced by '_', cut to 15 bytes."""
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)
    return allowed.encode()[: OBJ_NAME_BYTES - 1]
