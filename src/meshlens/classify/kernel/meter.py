"""A task's programs and a model's on one interface, and the samples that they keep there."""

import struct
import time
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from meshlens.classify.kernel.actions import Action, write_actions
from meshlens.classify.kernel.entry import (
    CLASS_COUNTS,
    NO_LABEL,
    OUTCOMES,
    PLACES,
    SAMPLES,
    TICK,
    Head,
    place_of,
    unpack_row,
)
from meshlens.classify.kernel.load import LoadedModel, load_model
from meshlens.classify.kernel.sampler import Sampler
from meshlens.classify.model import Model
from meshlens.ebpf import Link, Map, Program
from meshlens.probes.attach import attach_at_tc
from meshlens.probes.interfaces import Interface
from meshlens.probes.snapshot import Direction
from meshlens.probes.tally import TALLY, read_outcomes

__all__ = ["MISSED", "ModelMeter", "Seen"]

#: What can be missed: packets by the reason.
MISSED: Final = OUTCOMES[2:]

_LOOPBACK: Final = 772  # ARPHRD_LOOPBACK


class Seen(NamedTuple):
    """A sample in the kernel."""

    key: bytes
    head: Head
    row: tuple[int, ...]


class ModelMeter:
    """Attached from the start until `finish`.

    `seen` are the samples with a verdict, `waiting` how many have none yet; `counts` are (packets, bytes) by
    the class's place (see entry.place_of), `tally` packets by outcome: all as of the last `read`.
    """

    def __init__(
        self,
        interface: Interface,
        sampler: Sampler,
        model: Model,
        actions: Mapping[int | None, Action],
        max_samples: int,
        idle_s: float,
    ) -> None:
        self.idle_s = idle_s
        self.seen: list[Seen] = []
        self.waiting = 0
        self.counts: dict[int, tuple[int, int]] = {}
        self.tally = dict.fromkeys(OUTCOMES, 0)
        self._tick = 0
        self._active: dict[bytes, tuple[int, float]] = {}
        self._attached: list[tuple[Direction, Program, Link]] = []
        self._maps: dict[str, Map] = {}
        self._model: LoadedModel | None = None
        # Frames on the loopback go out and come in: they are one packet.
        directions = sampler.directions[:1] if interface.hardware == _LOOPBACK else sampler.directions
        try:
            self._load(interface.index, sampler, model, actions, directions, max_samples)
        except BaseException:
            self._detach()
            raise

    def _load(
        self,
        ifindex: int,
        sampler: Sampler,
        model: Model,
        actions: Mapping[int | None, Action],
        directions: tuple[Direction, ...],
        max_samples: int,
    ) -> None:
        offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        programs = list[tuple[Direction, Program]]()
        for direction in directions:
            spec = sampler.program(direction, max_entries=max_samples, clock_offset_ns=offset_ns)
            program = spec.load(self._maps)
            program.spec = None  # the kernel has its instructions
            if not self._maps:
                sampler.fill(program.maps)
            self._maps = {**self._maps, **program.maps}
            programs.append((direction, program))
        self._model = load_model(model, sampler.task.positions(model.features), self._maps)
        write_actions(self._maps, actions)
        for direction, program in programs:
            _, link = attach_at_tc(program, ifindex, direction)
            self._attached.append((direction, program, link))

    @property
    def programs(self) -> Iterator[tuple[str, Program]]:
        """What is attached now, and the model's, which are called."""
        yield from ((direction, program) for direction, program, _ in self._attached)
        yield from (("", program) for program in (self._model.programs if self._model else ()))

    def read(self) -> None:
        """Read what there is, and take out the samples that have been idle for too long."""
        now, self.seen, self.waiting = time.monotonic(), [], 0
        active = dict[bytes, tuple[int, float]]()
        for key, value in self._maps[SAMPLES].items():
            head = Head.unpack(value)
            if not head.first_ns:
                continue  # the program has not filled it yet
            before = self._active.get(key)
            active[key] = before if before and before[0] == head.seen else (head.seen, now)
            if now - active[key][1] > self.idle_s:
                self._maps[SAMPLES].delete(key)
                del active[key]
            elif head.label == NO_LABEL:
                self.waiting += 1
            else:
                self.seen.append(Seen(key, head, unpack_row(value)))
        self._active = active
        self._tick += 1
        with self._maps[TICK].mmap() as tick:
            struct.pack_into("=I", tick, 0, self._tick)
        self._read_counts()

    def _read_counts(self) -> None:
        with self._maps[CLASS_COUNTS].mmap() as view:
            numbers = struct.unpack(f"={len(view) // 8}Q", view)
        packets, octets = numbers[::2], numbers[1::2]
        self.counts = {
            place: (sum(packets[place::PLACES]), sum(octets[place::PLACES]))
            for place in range(PLACES)
            if any(packets[place::PLACES])
        }
        with self._maps[TALLY].mmap() as view:
            self.tally = read_outcomes(view, OUTCOMES)

    def finish(self) -> None:
        """Detach, and read for the last time."""
        for _, _, link in self._attached:
            link.close()
        self.read()
        self._detach()

    def _detach(self) -> None:
        for _, program, link in self._attached:
            link.close()
            program.close()
        self._attached = []
        if self._model:
            self._model.close()
        for each in self._maps.values():
            each.close()


def samples_by_place(seen: list[Seen], waiting: int) -> dict[int, int]:
    """How many samples there are of each class, by its place."""
    counted = {0: waiting} if waiting else {}
    for each in seen:
        place = place_of(each.head.class_index)
        counted[place] = counted.get(place, 0) + 1
    return counted
