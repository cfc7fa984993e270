#!/usr/bin/env python3
"""Write docs/api.md from the docstrings of the public modules; with --check, only tell whether it is current.

Public is what a module names in `__all__`; the modules are those of MODULES, in reading order.
"""

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

MODULES = (
    "meshlens",
    "meshlens.errors",
    "meshlens.ebpf",
    "meshlens.packet.layout",
    "meshlens.packet.batadv",
    "meshlens.packet.capture",
    "meshlens.packet.craft",
    "meshlens.filters.lists",
    "meshlens.filters.compiler",
    "meshlens.probes.snapshot",
    "meshlens.probes.count",
)

HEAD = """\
# API reference

Made from the docstrings by `make docs`. `import meshlens` gives the names of the first section; the other
sections are the modules behind it.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(line for name in MODULES for line in module_lines(import_module(name)))])


def module_lines(module: ModuleType) -> Iterator[str]:
    """Yield the section of one module."""
    yield f"## {module.__name__}\n"
    yield f"{inspect.getdoc(module) or ''}\n"
    for name in module.__all__:
        yield from member_lines(name, getattr(module, name))


def member_lines(name: str, member: object) -> Iterator[str]:
    """Yield the entry of a class, a function or a constant."""
    if inspect.isclass(member):
        yield f"### class {name}{signature(member)}\n"
        yield f"{inspect.getdoc(member) or ''}\n"
        for method_name, method in vars(member).items():
            if not method_name.startswith("_") and (text := own_doc(method)):
                yield f"- **{name}.{method_name}{signature(method)}** {' '.join(text.split())}"
        yield ""
    elif inspect.isroutine(member):
        yield f"### {name}{signature(member)}\n"
        yield f"{inspect.getdoc(member) or ''}\n"
    elif not inspect.ismodule(member):
        yield f"- `{name}` = `{member!r}`\n" if isinstance(member, int | str) else f"- `{name}`\n"


def own_doc(method: object) -> str | None:
    """Return the docstring of a method or property that this class itself defines."""
    function = getattr(method, "fget", None) or getattr(method, "__func__", None) or method
    return inspect.getdoc(function) if inspect.isfunction(function) else None


def signature(member: object) -> str:
    """Return the signature, or nothing for a property or where Python knows none."""
    member = getattr(member, "__func__", member)
    if not callable(member):
        return ""
    try:
        return str(inspect.signature(member)).replace("'", "")
    except (TypeError, ValueError):
        return ""


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    text = page()
    if arguments != ["--check"]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"{PAGE.name} is out of date: run 'make docs' and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
