"""What the session needs of a task: each task has one as `SAMPLER` in its module `program`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from meshlens.classify.kernel.entry import Head
from meshlens.classify.tasks import TASKS, Task, task
from meshlens.ebpf import Map, ProgramSpec
from meshlens.probes.snapshot import Direction

__all__ = ["Naming", "SampleProgram", "Sampler", "mac_name", "sampler"]


class SampleProgram(Protocol):
    """Makes the program of one direction, for tc; its maps are those of `sample_maps`, and more if need be.

    The two directions of an interface share all maps. Times are those of the monotonic clock plus
    `clock_offset_ns`.
    """

    def __call__(
        self, direction: Direction, *, max_entries: int, clock_offset_ns: int = 0
    ) -> ProgramSpec: ...


class Naming(Protocol):
    """The name of the Sample of an entry, by its key and what its head tells beyond."""

    def __call__(self, key: bytes, head: Head | None = None, /) -> str: ...


def mac_name(key: bytes, _head: Head | None = None, /) -> str:
    """Of a station whose key is its MAC address: that."""
    return key.hex(":")


@dataclass(frozen=True, slots=True)
class Sampler:
    """The kernel side of a task.

    `link_types` are those (as libpcap numbers them) whose frames it reads; `directions` where it has to be.
    `name(key, head)` is the name of the Sample behind an entry of the map. `fill` puts into fresh maps what
    they have to hold before the first packet.
    """

    task: Task
    key_bytes: int
    link_types: frozenset[int]
    directions: tuple[Direction, ...]
    program: SampleProgram
    name: Naming
    fill: Callable[[dict[str, Map]], None] = lambda maps: None


def sampler(name: str) -> Sampler:
    """The kernel side of the task of this name. Raises UsageError for a task that there is not."""
    task(name)
    found: Sampler = import_module(f"{TASKS[name]}.program").SAMPLER
    return found
