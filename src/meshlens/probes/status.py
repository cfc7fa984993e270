"""What is attached to the interfaces, by us and by others, and what it costs."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from meshlens.ebpf.constants import ProgramType
from meshlens.ebpf.info import ProgramInfo
from meshlens.ebpf.query import attached, iter_maps, iter_programs, program_by_id
from meshlens.ebpf.statistics import run_statistics
from meshlens.errors import MeshlensError, UsageError
from meshlens.probes.count.pinned import pin_names, read_manifest
from meshlens.probes.count.pins import current_netns
from meshlens.probes.interfaces import Interface, list_interfaces, matches
from meshlens.probes.loading.loaded import Loaded, loaded_programs
from meshlens.probes.snapshot import Direction

__all__ = ["AttachedProgram", "State", "attached_programs", "measure_runs"]

State = Literal["attached", "detached", "interface gone", "other network namespace", "not here"]

_OUR_PREFIX: Final = "meshlens"
_DIRECTIONS: Final[dict[str, Direction]] = {"ingress": "in", "egress": "out"}


@dataclass(frozen=True, slots=True)
class AttachedProgram:
    """A program at its hook.

    `interface` is None where the kernel does not tell it: for our packet sockets, and for what is off its
    interface. `hook` is tcx, clsact, socket, or xdp with its mode. `position` counts from 1 in the order in
    which the programs of a hook run, 0 where there is no order. `memory_bytes` are the program's and its
    maps'. `run_count` and `run_time_ns` cover the time in which run statistics were on. `pin` is the name
    under which `count --pin` or `load` left it. `link_id` is 0 without a link; `priority` and `handle` are
    those of a clsact filter. `loaded_ns` (nanoseconds since the epoch) is when it came into the kernel: when
    it was attached, no kernel tells.
    """

    interface: str | None
    hook: str
    direction: Direction | None
    position: int
    program_id: int
    tag: str
    name: str
    instructions: int
    memory_bytes: int
    run_count: int
    run_time_ns: int
    ours: bool
    pin: str | None
    state: State
    link_id: int = 0
    priority: int = 0
    handle: int = 0
    loaded_ns: int = 0

    @property
    def ns_per_run(self) -> float | None:
        """Mean duration of a run; None where none was measured."""
        return self.run_time_ns / self.run_count if self.run_count else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a program is, or was."""

    interface: str | None
    hook: str
    direction: Direction | None
    position: int
    program_id: int
    state: State = "attached"
    link_id: int = 0
    priority: int = 0
    handle: int = 0


def attached_programs(names: Collection[str] = ()) -> list[AttachedProgram]:
    """All programs on the interfaces that `names` (or globs) say; without any, on all.

    Without names also our packet sockets, and pinned counters that are not attached here any more. Raises
    UsageError for a name that is no interface, PermissionDenied without CAP_SYS_ADMIN.
    """
    interfaces = list_interfaces()
    for name in names:
        if not any(matches(each.name, [name]) for each in interfaces):
            raise UsageError(f"no interface {name!r}; 'ip link' lists those there are")
    pins = _pinned_programs(interfaces)
    places = [
        place
        for each in interfaces
        if not names or matches(each.name, list(names))
        for place in _on_interface(each)
    ]
    if not names:
        here = {place.program_id for place in places}
        places += [place for place, _ in pins.values() if place.program_id not in here]
        places += _sockets({place.program_id for place in places})
    map_bytes = {each.id: each.memlock_bytes for each in iter_maps()}
    return [
        _describe(place, info, map_bytes, pins[place.program_id][1] if place.program_id in pins else None)
        for place in places
        if (info := program_by_id(place.program_id))
    ]


def measure_runs(programs: Iterable[AttachedProgram], seconds: float) -> list[AttachedProgram]:
    """`programs` with what they do in the next `seconds`, for which run statistics are switched on.

    Raises NotSupported, PermissionDenied.
    """
    programs = list(programs)
    with run_statistics():
        before = [program_by_id(each.program_id) for each in programs]
        time.sleep(seconds)
        after = [program_by_id(each.program_id) for each in programs]
    return [
        replace(
            each,
            run_count=end.run_count - start.run_count,
            run_time_ns=end.run_time_ns - start.run_time_ns,
        )
        for each, start, end in zip(programs, before, after, strict=True)
        if start and end
    ]


def _on_interface(interface: Interface) -> Iterator[_Place]:
    try:
        found = attached(interface.index)
    except MeshlensError:
        if any(each.index == interface.index for each in list_interfaces()):
            raise
        return  # it went meanwhile
    order: dict[tuple[str, str], int] = {}
    for each in found:
        hook = f"{each.hook}-{each.mode}" if each.mode else each.hook
        order[hook, each.side] = position = order.get((hook, each.side), 0) + 1
        yield _Place(
            interface.name,
            hook,
            _DIRECTIONS[each.side],
            position,
            each.program_id,
            link_id=each.link_id,
            priority=each.filter.priority if each.filter else 0,
            handle=each.filter.handle if each.filter else 0,
        )


def _pinned_programs(interfaces: Iterable[Interface]) -> dict[int, tuple[_Place, str]]:
    """The programs of pinned counters by id: where each is if it is not attached here, and the pin's name."""
    here = {(each.index, each.name) for each in interfaces}
    found: dict[int, tuple[_Place, str]] = {}
    for name in pin_names():
        try:
            manifest = read_manifest(name)
        except MeshlensError:  # half made, or going away just now
            continue
        for each in manifest.attachments:
            state: State = "detached" if (each.ifindex, each.interface) in here else "interface gone"
            if manifest.netns != current_netns():
                state = "other network namespace"
            place = _Place(each.interface, each.how, each.direction, 0, each.program, state)
            found[each.program] = place, name
    for loaded in loaded_programs():
        found[loaded.program_id] = _loaded_place(loaded), loaded.pin
    return found


def _loaded_place(loaded: Loaded) -> _Place:
    """Where a program that `load` left is said to be, if it is on no interface here."""
    states: dict[bool | None, State] = {True: "other network namespace", False: "detached", None: "not here"}
    state = states[loaded.attached]
    return _Place(None, loaded.hook, loaded.direction, 0, loaded.program_id, state)


def _sockets(known: Collection[int]) -> Iterator[_Place]:
    """Our packet sockets: the kernel lists their programs, not where they are."""
    for each in iter_programs():
        if each.type == ProgramType.SOCKET_FILTER and _is_ours(each) and each.id not in known:
            yield _Place(None, "socket", None, 0, each.id)


def _describe(
    place: _Place, info: ProgramInfo, map_bytes: dict[int, int], pin: str | None
) -> AttachedProgram:
    return AttachedProgram(
        interface=place.interface,
        hook=place.hook,
        direction=place.direction,
        position=place.position,
        program_id=place.program_id,
        tag=info.tag,
        name=info.name,
        instructions=info.xlated_bytes // 8,
        memory_bytes=info.memlock_bytes + sum(map_bytes.get(id, 0) for id in info.map_ids),
        run_count=info.run_count,
        run_time_ns=info.run_time_ns,
        ours=_is_ours(info),
        pin=pin,
        state=place.state,
        link_id=place.link_id,
        priority=place.priority,
        handle=place.handle,
        loaded_ns=info.loaded_ns + time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    )


def _is_ours(info: ProgramInfo) -> bool:
    return info.name.startswith(_OUR_PREFIX)
