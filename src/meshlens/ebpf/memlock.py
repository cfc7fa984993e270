"""Before Linux 5.11 maps and programs count against RLIMIT_MEMLOCK, which is far too small by default."""

import errno
from collections.abc import Callable

__all__ = ["with_memlock"]


def with_memlock(create: Callable[[], int]) -> int:
    """create(), and once more with the limit lifted if it fails with EPERM, which also means "too much"."""
    try:
        return create()
    except OSError as error:
        if error.errno != errno.EPERM or not _lift_limit():
            raise
    return create()


def _lift_limit() -> bool:
    import resource  # needed only on old kernels

    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for wanted in (resource.RLIM_INFINITY, hard):
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (wanted, wanted))
        except (OSError, ValueError):
            continue
        return True
    return False
