"""Maps: their specification (data) and the kernel's object."""

import errno
import mmap
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple, Self

from meshlens.ebpf.batch import read_batches
from meshlens.ebpf.bpffs import pinned
from meshlens.ebpf.constants import ANY, BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, Command, MapType
from meshlens.ebpf.cpus import possible_cpus
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import MapInfo, map_info
from meshlens.ebpf.memlock import with_memlock
from meshlens.ebpf.names import kernel_name
from meshlens.ebpf.syscall import bpf, pointer, translate
from meshlens.errors import UsageError

__all__ = ["Map", "MapSpec"]

# What kernels say that cannot do it with this type of map: 524 is the kernel's own ENOTSUPP.
_UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP, 524)
_PER_CPU = frozenset({MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH})


class MapSpec(NamedTuple):
    """What a map is to be. Sizes in bytes, also `max_entries` of a ring buffer; `flags` are BPF_F_*.

    `contents`: the value of an array of one entry in the beginning. With BPF_F_RDONLY_PROG it stays so, and
    the verifier reads it.
    """

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    contents: bytes = b""

    @property
    def per_cpu(self) -> bool:
        """Whether a key has one value for every possible CPU."""
        return self.type in _PER_CPU

    def create(self) -> "Map":
        """Makes the map. Raises PermissionDenied, NotSupported or BpfError."""
        attributes = bytearray(struct.pack(
            "=7I16s4I", self.type, self.key_size, self.value_size, self.max_entries, self.flags, 0, 0,
            kernel_name(self.name), 0, 0, 0, 0,
        ))  # fmt: skip
        try:
            fd = with_memlock(lambda: bpf(Command.MAP_CREATE, attributes))
        except OSError as error:
            raise translate(error, f"create map {self.describe()}") from error
        created = Map(fd, self)
        if self.contents:
            created.update(0, self.contents)
            if self.flags & BPF_F_RDONLY_PROG:
                created.freeze()
        return created

    def describe(self) -> str:
        """The map in a few words, for errors."""
        kind = self.type.name.lower()
        return (
            f"{self.name!r} ({kind}, {self.max_entries} entries of {self.key_size}+{self.value_size} bytes)"
        )


class Map(Handle):
    """A map in the kernel. Keys and values are bytes in host byte order, or numbers that become such."""

    def __init__(self, fd: int, spec: MapSpec) -> None:
        super().__init__(fd)
        self.spec = spec
        # The kernel rounds each CPU's value up to 8 bytes (kernel/bpf/syscall.c, bpf_map_value_size()).
        self._stride = -(-spec.value_size // 8) * 8 if spec.per_cpu else spec.value_size
        self._value_bytes = self._stride * possible_cpus() if spec.per_cpu else spec.value_size

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """The map behind a descriptor, which the map owns from now on."""
        info = map_info(fd)
        spec = MapSpec(info.name, info.type, info.key_size, info.value_size, info.max_entries, info.flags)
        return cls(fd, spec)

    @classmethod
    def from_pin(cls, path: str) -> Self:
        """The map pinned at `path`. Raises MeshlensError."""
        return cls.from_fd(pinned(path, "map"))

    def info(self) -> MapInfo:
        """What the kernel says about this map."""
        return map_info(self.fileno())

    def lookup(self, key: bytes | int) -> bytes | None:
        """The value of `key`, None if there is none."""
        self._expect(per_cpu=False, instead="lookup_percpu")
        return self._lookup(key)

    def lookup_percpu(self, key: bytes | int) -> list[bytes] | None:
        """The value of `key` on each possible CPU, None if there is none."""
        self._expect(per_cpu=True, instead="lookup")
        value = self._lookup(key)
        return None if value is None else self._split(value)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values, read in batches where the kernel can."""
        self._expect(per_cpu=False, instead="items_percpu")
        return self._items()

    def items_percpu(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """All keys with their value on each possible CPU."""
        self._expect(per_cpu=True, instead="items")
        return ((key, self._split(value)) for key, value in self._items())

    def keys(self) -> Iterator[bytes]:
        """All keys. A hash that others write to meanwhile may show a key twice or not at all."""
        key = self._next_key(None)
        while key is not None:
            yield key
            key = self._next_key(key)

    def update(self, key: bytes | int, value: bytes | int | list[bytes], flags: int = ANY) -> None:
        """Sets `key` to `value`; per-CPU maps: the same on every CPU, or a list of one value a possible CPU.

        `flags`: ANY, NOEXIST (only a new key), EXIST (only a present one). Raises BpfError, E2BIG when full.
        """
        buffer = bytearray(self._value(value))
        try:
            self._element(Command.MAP_UPDATE_ELEM, self._key(key), buffer, flags)
        except OSError as error:
            raise translate(error, f"write map {self.spec.describe()}") from error

    def delete(self, key: bytes | int) -> bool:
        """Removes `key`; False if it was not there."""
        try:
            self._element(Command.MAP_DELETE_ELEM, self._key(key), None, 0)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise translate(error, f"remove from map {self.spec.describe()}") from error
        return True

    def pop(self, key: bytes | int) -> bytes | None:
        """Removes `key` and returns its last value, None if it was not there.

        Hashes do it in one step since Linux 5.14; before, what a program writes in between is lost.
        """
        self._expect(per_cpu=False, instead="lookup_percpu")
        value = bytearray(self._value_bytes)
        try:
            self._element(Command.MAP_LOOKUP_AND_DELETE_ELEM, self._key(key), value, 0)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno not in _UNSUPPORTED:
                raise translate(error, f"take from map {self.spec.describe()}") from error
            before = self._lookup(key)
            return before if self.delete(key) else None
        return bytes(value)

    def freeze(self) -> None:
        """Makes the map read-only for user space, for good; programs keep their access."""
        try:
            bpf(Command.MAP_FREEZE, bytearray(struct.pack("=I", self.fileno())))
        except OSError as error:
            raise translate(error, f"freeze map {self.spec.describe()}") from error

    def mmap(self) -> memoryview:
        """The values of a BPF_F_MMAPABLE array as shared memory: no system call per read.

        Value i starts at i * (value_size rounded up to 8). Unmapped when the last view of it is gone.
        """
        if not self.spec.flags & BPF_F_MMAPABLE:
            raise UsageError(f"map {self.spec.describe()} cannot be mapped: create it with BPF_F_MMAPABLE")
        size = -(-self.spec.value_size // 8) * 8 * self.spec.max_entries
        return memoryview(mmap.mmap(self.fileno(), -(-size // mmap.PAGESIZE) * mmap.PAGESIZE))[:size]

    def _lookup(self, key: bytes | int) -> bytes | None:
        value = bytearray(self._value_bytes)
        try:
            self._element(Command.MAP_LOOKUP_ELEM, self._key(key), value, 0)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise translate(error, f"look up in map {self.spec.describe()}") from error
        return bytes(value)

    def _items(self) -> Iterator[tuple[bytes, bytes]]:
        batches = read_batches(self.fileno(), self.spec.key_size, self._value_bytes, self.spec.max_entries)
        if batches is not None:
            yield from batches
            return
        for key in self.keys():
            value = self._lookup(key)
            if value is not None:
                yield key, value

    def _next_key(self, key: bytes | None) -> bytes | None:
        following = bytearray(self.spec.key_size)
        try:
            self._element(Command.MAP_GET_NEXT_KEY, None if key is None else bytearray(key), following, 0)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise translate(error, f"iterate map {self.spec.describe()}") from error
        return bytes(following)

    def _element(self, command: Command, key: bytearray | None, value: bytearray | None, flags: int) -> None:
        attributes = bytearray(struct.pack(
            "=I4xQQQ", self.fileno(), pointer(key) if key else 0, pointer(value) if value else 0, flags
        ))  # fmt: skip
        bpf(command, attributes)

    def _key(self, key: bytes | int) -> bytearray:
        return bytearray(_as_bytes(key, self.spec.key_size, f"key of map {self.spec.describe()}"))

    def _value(self, value: bytes | int | list[bytes]) -> bytes:
        what = f"value of map {self.spec.describe()}"
        if not self.spec.per_cpu:
            if isinstance(value, list):
                raise UsageError(f"{what} is one value, not one per CPU")
            return _as_bytes(value, self.spec.value_size, what)
        cpus = possible_cpus()
        values = value if isinstance(value, list) else [_as_bytes(value, self.spec.value_size, what)] * cpus
        if len(values) != cpus:
            raise UsageError(f"{what}: {len(values)} values for {cpus} possible CPUs")
        padded = (_as_bytes(one, self.spec.value_size, what).ljust(self._stride, b"\0") for one in values)
        return b"".join(padded)

    def _split(self, value: bytes) -> list[bytes]:
        return [value[at : at + self.spec.value_size] for at in range(0, len(value), self._stride)]

    def _expect(self, *, per_cpu: bool, instead: str) -> None:
        if self.spec.per_cpu != per_cpu:
            raise UsageError(f"map {self.spec.describe()}: use {instead}()")


def _as_bytes(value: bytes | int, size: int, what: str) -> bytes:
    encoded = value.to_bytes(size, sys.byteorder) if isinstance(value, int) else value
    if len(encoded) != size:
        raise UsageError(f"{what} is {size} bytes, not {len(encoded)}")
    return encoded
