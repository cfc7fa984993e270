"""What a counting session knows at one moment: the records every output prints."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Count", "Direction", "Snapshot"]

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Count:
    """Frames that one filter matched on one interface (or in one capture file) in one direction.

    `direction` is None where it is not known: a capture file without direction flags.
    """

    filter: str
    interface: str
    direction: Direction | None
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counts at `time_ns` (nanoseconds since the epoch), in the order of the filter list.

    `missed` is what could not be counted, by reason; its sum is 0 when nothing was lost.
    """

    time_ns: int
    counts: tuple[Count, ...]
    missed: dict[str, int] = field(default_factory=dict)
