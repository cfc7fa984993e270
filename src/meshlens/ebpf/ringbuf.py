"""Reading a ring buffer map (Linux 5.8): what programs send with bpf_ringbuf_output() or _submit(), in order.

The map's memory is shared (kernel/bpf/ringbuf.c): a page with our position, a page with the kernel's, then
the data, mapped twice in a row so that no record is ever split.
"""

import mmap
import select
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from meshlens.ebpf.constants import MapType
from meshlens.ebpf.maps import Map
from meshlens.errors import UsageError

__all__ = ["RingBuffer"]

_HEADER_BYTES = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30


class RingBuffer:
    """The reader of a RINGBUF map; there can be one only. Usable in `with`; the map stays the caller's."""

    def __init__(self, ring: Map) -> None:
        if ring.spec.type != MapType.RINGBUF:
            raise UsageError(f"map {ring.spec.describe()} is no ring buffer")
        self._map = ring
        self._size = ring.spec.max_entries
        page, read_only = mmap.PAGESIZE, mmap.PROT_READ
        self._ours = mmap.mmap(ring.fileno(), page)
        self._kernels = mmap.mmap(ring.fileno(), page + 2 * self._size, prot=read_only, offset=page)
        self._consumed = memoryview(self._ours)[:8].cast("L")
        self._produced = memoryview(self._kernels)[:8].cast("L")
        self._data = memoryview(self._kernels)[page:]
        self._headers = self._data.cast("I")

    def read(self) -> Iterator[bytes]:
        """The records that are there, oldest first; asking for the next gives the room of one back.

        A record that a program has reserved and not yet submitted ends it: what comes behind has to wait.
        """
        # The kernel publishes a length before it clears its busy bit, and the position before that; between
        # two reads here lie hundreds of machine instructions and no CPU reorders so far.
        consumed = self._consumed[0]
        while consumed < self._produced[0]:
            at = consumed & self._size - 1
            header = self._headers[at // 4]
            if header & _BUSY:
                return
            length = header & ~(_BUSY | _DISCARDED)
            if not header & _DISCARDED:
                yield bytes(self._data[at + _HEADER_BYTES : at + _HEADER_BYTES + length])
            consumed += _HEADER_BYTES + length + 7 & ~7
            self._consumed[0] = consumed

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleeps until there is a record; False if none came within `timeout_s` seconds (None: for ever)."""
        poll = select.poll()
        poll.register(self._map.fileno(), select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def close(self) -> None:
        """Unmaps the shared memory."""
        for view in (self._consumed, self._produced, self._headers, self._data):
            view.release()
        self._ours.close()
        self._kernels.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
