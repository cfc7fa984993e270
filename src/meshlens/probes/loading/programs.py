"""Programs by what a user calls them: a name of ours, an object of clang's, a specification in Python."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from meshlens.ebpf import Asm, ProgramSpec, ProgramType, Side
from meshlens.errors import UsageError

__all__ = ["HOOKS", "HookName", "OurProgram", "find_program", "our_programs", "type_of"]

HookName = Literal["xdp", "tcx-in", "tcx-out", "clsact-in", "clsact-out"]
HOOKS: Final[tuple[HookName, ...]] = get_args(HookName)

_PASS: Final = {ProgramType.XDP: 2, ProgramType.SCHED_CLS: -1}  # XDP_PASS, TC_ACT_UNSPEC
_DROP: Final = {ProgramType.XDP: 1, ProgramType.SCHED_CLS: 2}  # XDP_DROP, TC_ACT_SHOT


class OurProgram(NamedTuple):
    """One that needs no file: what it does, and how it is made for a type."""

    help: str
    make: Callable[[ProgramType], ProgramSpec]


def our_programs() -> dict[str, OurProgram]:
    """All of ours by name."""
    return {
        "pass": OurProgram("lets every frame go on, as if it were not there", _verdict("pass", _PASS)),
        "drop": OurProgram("drops every frame, which is for tests only", _verdict("drop", _DROP)),
    }


def type_of(hook: HookName | None) -> ProgramType | None:
    """The type of program that a hook takes."""
    return None if hook is None else ProgramType.XDP if hook == "xdp" else ProgramType.SCHED_CLS


def find_program(
    source: str, name: str | None = None, hook: HookName | None = None
) -> tuple[ProgramSpec, Side | None]:
    """The program, and the side that it says it is for.

    `source` is the name of one of ours, PATH.py:NAME, or the path of an object; `name` chooses a program of
    the object by function or section. Raises UsageError, and what reading an object raises.
    """
    ours = our_programs()
    if source in ours:
        return ours[source].make(type_of(hook) or ProgramType.XDP), None
    path, colon, attribute = source.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_python(path, attribute), None
    if not Path(source).exists():
        raise UsageError(
            f"no program {source!r}: give an object file, FILE.py:NAME, or one of ours: {', '.join(ours)}"
        )
    return _from_object(source, name, hook)


def _from_object(path: str, name: str | None, hook: HookName | None) -> tuple[ProgramSpec, Side | None]:
    from meshlens.ebpf.object import ObjectFile

    opened = ObjectFile(path)
    fitting = [each for each in opened.programs if type_of(hook) in (None, each.type)]
    if name is None and len(fitting) == 1:
        chosen = fitting[0]
    elif name is None:
        there = ", ".join(f"{each.name} ({each.section})" for each in opened.programs) or "none"
        raise UsageError(
            f"{path} has {len(fitting)} programs to choose from; say --program, of these: {there}"
        )
    else:
        chosen = opened.program(name)
    return opened.spec(chosen, type_of(hook)), chosen.side


def _from_python(path: str, attribute: str) -> ProgramSpec:
    """A ProgramSpec that a Python file has as a global name. Runs the file."""
    described = importlib.util.spec_from_file_location("meshlens_program", path)
    if described is None or described.loader is None or not Path(path).exists():
        raise UsageError(f"no Python file {path!r}")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    spec = getattr(module, attribute, None)
    if not isinstance(spec, ProgramSpec):
        names = [name for name, value in vars(module).items() if isinstance(value, ProgramSpec)]
        raise UsageError(f"{path} has no ProgramSpec {attribute!r}; it has: {', '.join(names) or 'none'}")
    return spec


def _verdict(name: str, verdicts: dict[ProgramType, int]) -> Callable[[ProgramType], ProgramSpec]:
    def make(kind: ProgramType) -> ProgramSpec:
        asm = Asm()
        asm.ret(verdicts[kind])
        return ProgramSpec(f"meshlens_{name}", kind, asm)

    return make
