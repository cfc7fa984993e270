"""The programs that count a list, made ready to be attached and read without the compiler.

Compiling takes memory that a process which counts for months should not hold: graphs, libpcap, their modules.
So it happens in a short-lived child, and what comes back is mostly bytes.
"""

import os
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from meshlens.errors import MeshlensError, NotSupported, PermissionDenied, UsageError
from meshlens.probes.count.readout import Layout
from meshlens.probes.snapshot import Direction

if TYPE_CHECKING:
    from meshlens.ebpf import ProgramSpec
    from meshlens.filters.compiler import CompiledList
    from meshlens.filters.lists import FilterList

__all__ = [
    "ATTACH_MODES",
    "HOOK_MODES",
    "AttachMode",
    "CounterPlan",
    "HookMode",
    "hook_of",
    "plan_counters",
    "plan_list",
]

AttachMode = Literal["auto", "tc", "xdp", "xdp-generic", "socket"]
ATTACH_MODES: Final[tuple[AttachMode, ...]] = ("auto", "tc", "xdp", "xdp-generic", "socket")
#: Those at a hook of the interface itself.
HookMode = Literal["auto", "tc", "xdp", "xdp-generic"]
HOOK_MODES: Final[tuple[HookMode, ...]] = ("auto", "tc", "xdp", "xdp-generic")

_BOTH: Final[tuple[Direction, ...]] = ("in", "out")


@dataclass(frozen=True)
class CounterPlan:
    """What is needed to attach and read the counters of a list, and no more.

    `programs` are pickled ProgramSpecs: 12,000 instructions rest in 100 KiB instead of 2 MiB.
    """

    mode: AttachMode
    layout: Layout
    programs: dict[Direction, bytes]

    def program(self, direction: Direction) -> "ProgramSpec":
        """The program for one direction."""
        spec: ProgramSpec = pickle.loads(self.programs[direction])  # noqa: S301  (our own bytes)
        return spec


def hook_of(mode: AttachMode, direction: Direction) -> Literal["tc", "xdp", "socket"]:
    """Where a program counts. XDP sees nothing of what goes out: that is counted at tc."""
    if mode == "socket":
        return "socket"
    return "xdp" if mode.startswith("xdp") and direction == "in" else "tc"


def plan_counters(
    compiled: "CompiledList", mode: AttachMode = "auto", directions: Sequence[Direction] = _BOTH
) -> CounterPlan:
    """Make the programs that count a compiled list in `directions`."""
    from meshlens.probes.count.program import count_program

    programs = {way: count_program(compiled, hook_of(mode, way), way) for way in directions}
    return CounterPlan(mode, Layout.of(compiled), {way: pickle.dumps(spec) for way, spec in programs.items()})


def plan_list(
    filters: "FilterList",
    mode: AttachMode = "auto",
    directions: Sequence[Direction] = _BOTH,
    *,
    mac: str = "",
    link_type: int = 1,
    helpers: bool = False,
) -> CounterPlan:
    """Compile a list in a child process and make its programs. `mac` takes the place of $MAC.

    Raises FilterError's message as UsageError where a filter cannot be compiled.
    """

    def make() -> CounterPlan:
        from meshlens.filters.compiler import compile_list

        own = filters.with_mac(mac) if mac and filters.uses_mac else filters
        return plan_counters(compile_list(own, link_type=link_type, helpers=helpers), mode, directions)

    return _in_child(make)


def _in_child(make: Callable[[], CounterPlan]) -> CounterPlan:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads that hold locks in the child. Ours only wait in accept(2).
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        _answer(make, writer)
    os.close(writer)
    try:
        with open(reader, "rb") as pipe:
            answer = pipe.read()
    finally:
        _, status = os.waitpid(pid, 0)
    if not answer:
        raise MeshlensError(f"the filter compiler ended without an answer (wait status {status:#x})")
    result = pickle.loads(answer)  # noqa: S301  (from our own child)
    if isinstance(result, Exception):
        raise result
    assert isinstance(result, CounterPlan)
    return result


def _answer(make: Callable[[], CounterPlan], writer: int) -> NoReturn:
    """In the child: write what `make` returns or raises, and end without any of the parent's clean-up."""
    try:
        try:
            result: object = make()
        except MeshlensError as error:
            result = _plain(error)
        with open(writer, "wb") as pipe:
            pickle.dump(result, pipe)
    except Exception:  # noqa: BLE001  (a bug: show where, and end as a child does)
        import traceback

        traceback.print_exc()
    finally:
        os._exit(0)


def _plain(error: MeshlensError) -> MeshlensError:
    """The error without what only some of its kind carry, which pickle cannot know."""
    for kind in (UsageError, NotSupported, PermissionDenied):
        if isinstance(error, kind):
            return kind(str(error))
    return MeshlensError(str(error))
