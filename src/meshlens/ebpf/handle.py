"""What all kernel objects share: a descriptor that keeps the object alive until it is closed."""

import os
from types import TracebackType
from typing import Self

from meshlens.ebpf.bpffs import pin

__all__ = ["Handle"]


class Handle:
    """A descriptor with an owner: closed by close(), at the end of a `with`, or when nobody refers to it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """The descriptor. Raises ValueError after close()."""
        if self._fd < 0:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._fd

    def dup(self) -> "Handle":
        """A second descriptor of the same object."""
        return Handle(os.dup(self.fileno()))

    def close(self) -> None:
        """Gives the descriptor back; the kernel drops the object unless something else holds it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def pin(self, path: str) -> None:
        """Names the object `path` on a bpffs, which keeps it alive until the path is removed.

        Raises NotSupported without bpffs, MeshlensError if the path is taken.
        """
        pin(self.fileno(), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()
