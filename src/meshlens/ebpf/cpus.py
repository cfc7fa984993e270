"""How many values a per-CPU map holds for a key."""

from functools import cache

__all__ = ["possible_cpus"]


@cache
def possible_cpus() -> int:
    """CPUs this machine could ever have: the kernel sizes per-CPU maps by it, online or not."""
    with open("/sys/devices/system/cpu/possible") as file:
        ranges = file.read().strip().split(",")
    return sum(int(last) - int(first) + 1 for first, _, last in (_bounds(r) for r in ranges))


def _bounds(cpus: str) -> tuple[str, str, str]:
    first, dash, last = cpus.partition("-")
    return first, dash, last or first
