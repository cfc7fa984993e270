"""bpfcountd's socket protocol: a client connects, gets one line a filter, and the connection is closed.

Source: github.com/lemoer/bpfcountd, main.c and usock.c. Two things differ, and no known reader minds: lines
come in the order of the filter list (bpfcountd prints the last filter first), and losses, of which bpfcountd
knows nothing, follow as lines that look like helper filters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from meshlens.outputs.unixd import SOCKET_MODE, serve_unix
from meshlens.probes.snapshot import Snapshot

__all__ = ["SOCKET_MODE", "format_bpfcountd", "serve_bpfcountd"]


def format_bpfcountd(snapshot: Snapshot) -> str:
    """`id:bytes:packets` a line for every filter, both directions and all interfaces summed.

    An id may hold colons: a reader splits at the last two. Only if something was missed, a line
    `%missed:REASON:0:frames` a reason follows; readers skip the '%' of helper filters.
    """
    sums: dict[str, tuple[int, int]] = {}
    for count in snapshot.counts:
        bytes_, packets = sums.get(count.filter, (0, 0))
        sums[count.filter] = (bytes_ + count.bytes, packets + count.packets)
    sums |= {f"%missed:{reason}": (0, frames) for reason, frames in snapshot.missed.items() if frames}
    return "".join(f"{key}:{bytes_}:{packets}\n" for key, (bytes_, packets) in sums.items())


@contextmanager
def serve_bpfcountd(
    path: str | Path, read: Callable[[], Snapshot], *, mode: int = SOCKET_MODE, group: str | int | None = None
) -> Iterator[None]:
    """Answer on the unix socket `path` inside the `with` block; remove it after.

    `read` is called in a client's thread, never twice at once. `group` is a name or a number. A socket file
    that nobody answers any more is replaced.

    Raises UsageError if another process answers at `path`, if something else is there, and for an unknown
    group; MeshlensError if the socket cannot be made.
    """
    with serve_unix(path, lambda: format_bpfcountd(read()), mode=mode, group=group):
        yield
