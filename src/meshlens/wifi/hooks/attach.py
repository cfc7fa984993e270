"""Finding mac80211's functions in the kernel that runs, and the programs on them."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from meshlens.ebpf import Map, Program, ProgramSpec
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, attach_trace
from meshlens.errors import MeshlensError, NotSupported, PermissionDenied
from meshlens.wifi.hooks import handed, heard, sent
from meshlens.wifi.hooks.layout import TALLY, hook_maps

__all__ = ["HOOKS", "Hooked", "HookedPrograms"]

#: Tried in this order: fentry costs less; kprobes are there where it is not.
HOOKS: Final[tuple[Hook, ...]] = ("fentry", "kprobe")
_MODULES: Final = ("mac80211", "cfg80211")
#: What is done at which functions; of the first two, at the first function that the kernel has.
_PURPOSES: Final = {
    "sent": (sent.FUNCTIONS, sent.sent_program),
    "heard": (heard.FUNCTIONS, heard.heard_program),
    "handed over": (handed.FUNCTIONS, handed.handed_over_program),
}


#: A function and a kind of probe, and the program for it.
Choice = tuple[Function, Hook, ProgramSpec]


class Hooked(NamedTuple):
    """A function that is watched: what for ("sent", "heard", "handed over"), and by which kind of probe."""

    purpose: str
    function: str
    hook: Hook


class HookedPrograms:
    """The programs on mac80211's functions, attached until `close`, and the maps that they share.

    Raises NotSupported that names all that this kernel lacks, PermissionDenied.
    """

    def __init__(self, max_stations: int, hooks: Sequence[Hook] = HOOKS) -> None:
        self.programs: dict[Hooked, Program] = {}
        self.maps: dict[str, Map] = {}
        choices = list(_choices(max_stations, hooks))
        with contextlib.ExitStack() as closing:
            for name, spec in hook_maps(max_stations).items():
                if name != TALLY:  # each program counts its own outcomes
                    self.maps[name] = closing.enter_context(spec.create())
            links = closing.enter_context(contextlib.ExitStack())
            for purpose, specs in choices:
                self._attach(purpose, specs, closing, links)
            self._links, self._closing = links, closing.pop_all()

    def detach(self) -> None:
        """The programs run no more."""
        self._links.close()

    def close(self) -> None:
        """Detach, and give programs and maps back."""
        self._closing.close()

    def _attach(
        self,
        purpose: str,
        specs: Sequence[Choice],
        closing: contextlib.ExitStack,
        links: contextlib.ExitStack,
    ) -> None:
        """By the first kind of probe that the kernel takes."""
        refusals = []
        for function, hook, spec in specs:
            shared = {name: self.maps[name] for name in spec.maps if name != TALLY}
            with contextlib.ExitStack() as trying:
                try:
                    program = trying.enter_context(spec.load(shared))
                    if TALLY in program.maps:
                        trying.enter_context(program.maps[TALLY])
                    links.enter_context(attach_trace(program))
                except PermissionDenied:
                    raise
                except MeshlensError as error:
                    refusals.append(str(error))
                    continue
                closing.push(trying.pop_all())
                self.programs[Hooked(purpose, function.name, hook)] = program
                return
        raise NotSupported(f"cannot watch {specs[0][0].name}: {'; '.join(refusals)}")


def _choices(max_stations: int, hooks: Sequence[Hook]) -> Iterator[tuple[str, list[Choice]]]:
    """For each purpose and function, the programs to try."""
    types = _types()
    lacking: list[str] = []
    for purpose, (names, make) in _PURPOSES.items():
        functions = []
        for choice in [(name,) for name in names] if purpose == "handed over" else [names]:
            try:
                functions.append(types.function(*choice))
            except NotSupported as error:
                if purpose != "handed over":
                    lacking.append(str(error))
        for function in functions:
            specs = []
            try:
                specs = [(function, hook, make(hook, function, types, max_stations)) for hook in hooks]
            except NotSupported as error:
                lacking.append(str(error))
            yield purpose, specs
    if lacking:
        raise NotSupported(f"no statistics from mac80211's functions: {'; '.join(lacking)}")


def _types() -> KernelTypes:
    """mac80211 may be a module or built in."""
    try:
        return KernelTypes(*_MODULES)
    except NotSupported:
        types = KernelTypes()
        try:
            types.function(*sent.FUNCTIONS)
        except NotSupported:
            raise NotSupported(
                "no statistics from mac80211's functions: no /sys/kernel/btf/mac80211, so the module is not "
                "loaded (no radio, or one whose driver does without it), or has no BTF"
            ) from None
        return types
