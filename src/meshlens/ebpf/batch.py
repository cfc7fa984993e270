"""Reading a map in batches (BPF_MAP_LOOKUP_BATCH, Linux 5.6; per-CPU arrays 5.13)."""

import errno
import struct
from collections.abc import Iterator

from meshlens.ebpf.constants import Command
from meshlens.ebpf.syscall import bpf, pointer, translate

__all__ = ["read_batches"]

_BATCH_BYTES = 1 << 18
_UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP, 524)  # 524: the kernel's own ENOTSUPP


def read_batches(
    fd: int, key_bytes: int, value_bytes: int, entries: int
) -> Iterator[tuple[bytes, bytes]] | None:
    """All (key, value) of a map, or None if this kernel cannot read this type of map in batches."""
    at_once = max(1, min(entries, _BATCH_BYTES // (key_bytes + value_bytes)))
    batches = _batches(fd, key_bytes, value_bytes, at_once)
    try:
        first = next(batches, [])
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise translate(error, "read map in batches") from error
    return _chain(first, batches)


def _chain(
    first: list[tuple[bytes, bytes]], rest: Iterator[list[tuple[bytes, bytes]]]
) -> Iterator[tuple[bytes, bytes]]:
    yield from first
    try:
        for batch in rest:
            yield from batch
    except OSError as error:
        raise translate(error, "read map in batches") from error


def _batches(fd: int, key_bytes: int, value_bytes: int, at_once: int) -> Iterator[list[tuple[bytes, bytes]]]:
    # The position is opaque: a key for arrays, a bucket number for hashes.
    position, following = bytearray(max(key_bytes, 4)), bytearray(max(key_bytes, 4))
    started = False
    while True:
        keys, values = bytearray(key_bytes * at_once), bytearray(value_bytes * at_once)
        start = pointer(position) if started else 0
        attributes = bytearray(struct.pack(
            "=QQQQIIQQ", start, pointer(following), pointer(keys), pointer(values), at_once, fd, 0, 0
        ))  # fmt: skip
        ended = False
        try:
            bpf(Command.MAP_LOOKUP_BATCH, attributes)
        except OSError as error:
            if error.errno == errno.ENOSPC:  # a hash bucket that does not fit as a whole
                at_once *= 2
                continue
            if error.errno != errno.ENOENT:
                raise
            ended = True
        count = struct.unpack_from("=I", attributes, 32)[0]
        yield [
            (
                bytes(keys[i * key_bytes : (i + 1) * key_bytes]),
                bytes(values[i * value_bytes : (i + 1) * value_bytes]),
            )
            for i in range(count)
        ]
        if ended:
            return
        position[:] = following
        started = True
