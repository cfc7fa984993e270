"""What a model looks at: a sample is a fixed row of small whole numbers.

Every feature is an integer from 0 to MAX_VALUE, so that the kernel (32 bits), Python and scikit-learn (whose
trees compare single-precision floats, with 24 bits of mantissa) see exactly the same number.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_VALUE", "Feature", "Sample", "clip"]

#: The largest whole number up to which single precision has no gaps.
MAX_VALUE: Final = (1 << 24) - 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a sample. `group` names what can be left out together ("oui", "ports", "timing", …)."""

    name: str
    group: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A station or a flow as a model sees it: `values` in the order of its task's features.

    `name` says whose it is: a MAC address, or the ends of a flow as its task writes them; `file` is the
    capture's path or the interface. `first_ns` is the time of its first packet, since the epoch. `packets`
    is how many it sent, as far as the task counts them: what tells the busiest station of a capture.
    `early` are rows as they were before, at moments when a program in the kernel asks the model.
    """

    file: str
    name: str
    first_ns: int
    values: tuple[int, ...]
    packets: int = 0
    early: tuple[tuple[int, ...], ...] = ()


def clip(value: int) -> int:
    """`value`, not below 0 nor above MAX_VALUE."""
    return 0 if value < 0 else min(value, MAX_VALUE)
