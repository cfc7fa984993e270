"""Leaving programs on interfaces, and taking them off again: `meshlens load`, `unload`."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from meshlens.ebpf import (
    BpfError,
    Link,
    Program,
    ProgramSpec,
    Side,
    XdpMode,
    attach_clsact,
    attach_tcx,
    attach_xdp,
    attached,
    has_tcx,
)
from meshlens.ebpf.bpffs import object_kind, pinned
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.link import BpfLink
from meshlens.ebpf.places import detach_place, replace_at
from meshlens.ebpf.query import Attachment, program_by_id
from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.probes.count.pinned import pin_names, read_manifest, to_bpffs_name
from meshlens.probes.interfaces import list_interfaces
from meshlens.probes.loading.loaded import (
    LINK,
    Loaded,
    directory_of,
    free_directory,
    loaded_programs,
    make_directory,
    read_loaded,
    remove_directory,
)
from meshlens.probes.loading.programs import HookName, type_of

__all__ = ["load_program", "unload_all", "unload_id", "unload_pin"]

_SIDES: Final[dict[HookName, Side]] = {
    "xdp": "ingress",
    "tcx-in": "ingress", "tcx-out": "egress", "clsact-in": "ingress", "clsact-out": "egress",
}  # fmt: skip


def load_program(
    spec: ProgramSpec,
    interface: str,
    *,
    hook: HookName | None = None,
    side: Side | None = None,
    mode: XdpMode = "auto",
    pin: str | None = None,
    replace: int | None = None,
) -> Loaded:
    """Attach a program so that it stays, and pin what holds it there.

    Without `hook`: XDP programs at XDP; others at TCX, else clsact, on `side`. At TCX it is the last one.
    `mode` is XDP's. `pin` is a name, or a path on a bpffs; by default the name says interface and hook.
    `replace` is the number of a program that is there and gives its place; nobody's is taken otherwise.

    Raises UsageError, NotSupported, VerifierError, PermissionDenied, MeshlensError. After an error nothing is
    left of it.
    """
    ifindex = _index(interface)
    hook = _hook_for(spec, hook, side)
    if mode != "auto" and hook != "xdp":
        raise UsageError(f"mode {mode} is for XDP; {hook} has no modes")
    place = _place_for(interface, ifindex, hook, mode, replace)
    before = [each for each in loaded_programs() if place and each.program_id == place.program_id]
    directory = make_directory(free_directory(pin, f"{interface}@{hook}"))
    try:
        with ExitStack() as given_back:
            program = given_back.enter_context(_load(spec, interface, ifindex if mode == "offload" else 0))
            for each in program.maps.values():
                given_back.enter_context(each)
            _attach(program, ifindex, hook, mode, place, directory)
            loaded = read_loaded(directory)
    except BaseException:
        remove_directory(directory)
        raise
    for former in before:  # its link, if it had one, holds the new program
        remove_directory(directory_of(former.pin))
    return loaded


def unload_id(interface: str, program_id: int) -> None:
    """Take a program off an interface, whosever it is.

    Raises UsageError if there is no such interface, MeshlensError if the program is not there or is a pinned
    counter, PermissionDenied.
    """
    ifindex = _index(interface)
    places = [each for each in attached(ifindex) if each.program_id == program_id]
    if not places:
        raise MeshlensError(f"no program {program_id} on {interface}; {_there(attached(ifindex))}")
    _spare_counters(program_id)
    for each in places:
        detach_place(ifindex, each)
    for loaded in loaded_programs():
        if loaded.program_id == program_id:
            remove_directory(directory_of(loaded.pin))


def unload_pin(pin: str) -> Loaded:
    """Take off what is pinned under a name or path. Raises MeshlensError if nothing is, PermissionDenied."""
    directory = directory_of(pin)
    if not (directory / LINK).exists():
        there = ", ".join(each.pin for each in loaded_programs()) or "nothing"
        raise MeshlensError(f"nothing is loaded as {pin!r}; there is: {there}")
    loaded = read_loaded(directory)
    fd = pinned(os.fspath(directory / LINK))
    if object_kind(fd) == "link":
        BpfLink(fd, "").detach()
    else:
        Handle(fd).close()
        places = [
            (each.index, place)
            for each in list_interfaces()
            for place in attached(each.index)
            if place.program_id == loaded.program_id
        ]
        if not places:
            raise MeshlensError(
                f"{pin!r} is on no interface of this network namespace: run it where that is, or, if the "
                f"interface is gone, remove {directory}"
            )
        for ifindex, place in places:
            detach_place(ifindex, place)
    remove_directory(directory)
    return loaded


def unload_all(interface: str) -> list[Loaded]:
    """Take off all that `load_program` left on an interface under a name."""
    here = {each.program_id for each in attached(_index(interface))}
    return [unload_pin(each.pin) for each in loaded_programs() if each.program_id in here]


def _index(interface: str) -> int:
    present = {each.name: each.index for each in list_interfaces()}
    if interface not in present:
        raise UsageError(f"no interface {interface!r}; there are {', '.join(sorted(present))}")
    return present[interface]


def _hook_for(spec: ProgramSpec, hook: HookName | None, side: Side | None) -> HookName:
    kinds = {type_of("xdp"): "xdp", type_of("tcx-in"): "tc"}
    kind = kinds.get(spec.type)
    if kind is None:
        raise UsageError(f"program {spec.name!r} is for {spec.type.name}, which is no hook of an interface")
    if hook is None and kind == "xdp":
        return "xdp"
    if hook is None:
        if side is None:
            raise UsageError(f"program {spec.name!r} does not say its side: give --hook tcx-in or tcx-out")
        if has_tcx():
            return "tcx-in" if side == "ingress" else "tcx-out"
        return "clsact-in" if side == "ingress" else "clsact-out"
    if type_of(hook) != spec.type:
        raise UsageError(f"program {spec.name!r} is for {kind}; it cannot go to {hook}")
    return hook


def _place_for(
    interface: str, ifindex: int, hook: HookName, mode: XdpMode, replace: int | None
) -> Attachment | None:
    """The place of the program that is to be replaced. Raises MeshlensError where one is in the way."""
    kind = hook.split("-")[0]
    here = [each for each in attached(ifindex) if (each.hook, each.side) == (kind, _SIDES[hook])]
    if replace is not None:
        for each in here:
            if each.program_id == replace:
                _spare_counters(replace)
                return each
        raise MeshlensError(f"no program {replace} to replace on {interface} ({hook}); {_there(here)}")
    in_the_way = [each for each in here if (each.mode == "offloaded") == (mode == "offload")]
    if hook == "xdp" and in_the_way:
        raise MeshlensError(
            f"{interface} has an XDP program already; {_there(in_the_way)}. It stays; to take its place: "
            f"--replace {in_the_way[0].program_id}"
        )
    return None


def _there(places: list[Attachment]) -> str:
    """What is there, in words."""
    named = [f"{each.program_id} ({_name(each)}, {each.hook} {each.mode or each.side})" for each in places]
    return f"there is {', '.join(named)}" if named else "there is none"


def _name(place: Attachment) -> str:
    info = program_by_id(place.program_id)
    return (info.name if info else "") or "without a name"


def _spare_counters(program_id: int) -> None:
    """A pinned counter has its own command, which also gives back its counts."""
    for name in pin_names():
        with suppress(MeshlensError):  # half made
            if any(each.program == program_id for each in read_manifest(name).attachments):
                break
    else:
        return
    raise UsageError(f"program {program_id} is the pinned counter {name!r}: 'meshlens detach {name}' ends it")


def _load(spec: ProgramSpec, interface: str, offload_to: int) -> Program:
    if not offload_to:
        return spec.load()
    if spec.maps:
        raise NotSupported(
            f"program {spec.name!r} has maps: only programs without are given to a device here"
        )
    try:
        return spec.load(offload_to=offload_to)
    except (NotSupported, BpfError):
        raise NotSupported(
            f"{interface} takes no programs into its device (offload), as most do not: use native or generic"
        ) from None


def _attach(
    program: Program, ifindex: int, hook: HookName, mode: XdpMode, place: Attachment | None, directory: Path
) -> None:
    """Attach, and pin what holds it, then the maps."""
    path = os.fspath(directory / LINK)
    link: Link | None
    if place:
        link = replace_at(ifindex, place, program, f"pin={path}")
    elif hook == "xdp":
        link = attach_xdp(program, ifindex, mode)
    elif hook.startswith("tcx"):
        link = attach_tcx(program, ifindex, _SIDES[hook], last=True)
    else:
        link = attach_clsact(program, ifindex, _SIDES[hook])
    with link or program:
        (link or program).pin(path)
        for name, each in program.maps.items():
            each.pin(os.fspath(directory / to_bpffs_name(name)))
