#!/usr/bin/env python3
"""Write docs/api.md from the docstrings of the public modules; with --check, only tell whether it is current.

Public is what a module names in `__all__`; the modules are those of MODULES, in reading order.
"""

import enum
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"

MODULES = (
    "meshlens",
    "meshlens.errors",
    "meshlens.filters.lists",
    "meshlens.filters.compiler",
    "meshlens.probes.count.session",
    "meshlens.probes.flows.session",
    "meshlens.probes.stations.session",
    "meshlens.probes.stations.record",
    "meshlens.probes.flows.record",
    "meshlens.probes.traffic.session",
    "meshlens.probes.traffic.record",
    "meshlens.readings.session",
    "meshlens.readings.reading",
    "meshlens.probes.cost",
    "meshlens.probes.loading.load",
    "meshlens.probes.loading.loaded",
    "meshlens.probes.loading.programs",
    "meshlens.probes.count.offline",
    "meshlens.probes.count.pinned",
    "meshlens.probes.count.pins",
    "meshlens.probes.snapshot",
    "meshlens.wifi.joined.session",
    "meshlens.wifi.joined.record",
    "meshlens.wifi.joined.groups",
    "meshlens.wifi.events.session",
    "meshlens.wifi.events.record",
    "meshlens.wifi.netlink.interfaces",
    "meshlens.wifi.netlink.stations",
    "meshlens.wifi.netlink.survey",
    "meshlens.wifi.monitor.session",
    "meshlens.wifi.monitor.record",
    "meshlens.wifi.minstrel.session",
    "meshlens.wifi.minstrel.record",
    "meshlens.wifi.airtime",
    "meshlens.wifi.hooks.session",
    "meshlens.wifi.hooks.record",
    "meshlens.wifi.hooks.attach",
    "meshlens.wifi.hooks.bit_errors",
    "meshlens.wifi.rates",
    "meshlens.classify.features",
    "meshlens.classify.tasks",
    "meshlens.classify.truth",
    "meshlens.classify.dataset",
    "meshlens.classify.training",
    "meshlens.classify.crossval",
    "meshlens.classify.evaluation",
    "meshlens.classify.metrics",
    "meshlens.classify.model",
    "meshlens.classify.kernel.session",
    "meshlens.classify.kernel.explain",
    "meshlens.probes.classified",
    "meshlens.outputs",
    "meshlens.packet.capture",
    "meshlens.packet.batadv",
    "meshlens.packet.ethertypes",
    "meshlens.packet.radiotap",
    "meshlens.packet.ieee80211",
    "meshlens.packet.elements",
    "meshlens.packet.layout",
    "meshlens.packet.craft",
    "meshlens.packet.mesh",
    "meshlens.ebpf",
    "meshlens.ebpf.object",
    "meshlens.ebpf.tracing",
)

HEAD = """\
# API reference

Made from the docstrings by `make docs`.
"""

# Constants are shown with their value where it is short.
SHORT_CHARACTERS = 60


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(line for name in MODULES for line in module_lines(import_module(name)))])


def module_lines(module: ModuleType) -> Iterator[str]:
    """Yield the section of one module; the first module's names are only listed, with their home."""
    yield f"## {module.__name__}\n\n{doc(module)}"
    for name in module.__all__:
        member = inspect.unwrap(getattr(module, name))
        if module.__name__ == MODULES[0]:
            home = next(other for other in MODULES[1:] if name in import_module(other).__all__)
            yield f"- `{name}`: see [{home}](#{home.replace('.', '')})"
        elif inspect.isclass(member) or inspect.isfunction(member):
            yield from member_lines(name, member)
        else:
            value = repr(member)
            yield f"- `{name}`" + (f" = `{value}`" if len(value) < SHORT_CHARACTERS else "")
    yield ""


def member_lines(name: str, member: type | object) -> Iterator[str]:
    """Yield the entry of a class or a function."""
    keyword = "class" if inspect.isclass(member) else "def"
    yield f"\n### {name}\n\n```python\n{keyword} {name}{signature(member)}\n```\n\n{doc(member)}"
    if not isinstance(member, type):
        return
    if issubclass(member, enum.Enum):
        yield "Members: " + ", ".join(f"`{value.name}`" for value in member) + "\n"
    for method_name, method in sorted(public_methods(member).items()):
        yield f"- `{method_name}{signature(method)}`: {' '.join(doc(method).split())}"


def public_methods(owner: type) -> dict[str, object]:
    """Return the methods and properties with a docstring that `owner` has from meshlens' own classes."""
    methods: dict[str, object] = {}
    for base in reversed(owner.__mro__):
        if base.__module__.startswith("meshlens"):
            methods |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    return {
        name: method
        for name, method in methods.items()
        if (callable(method) or isinstance(method, property | classmethod)) and doc(method)
    }


def doc(member: object) -> str:
    """Return the docstring, ending in a line end; "" if there is none."""
    text = inspect.getdoc(getattr(member, "__func__", member)) if hasattr(member, "__doc__") else None
    return f"{text}\n" if text else ""


def signature(member: object) -> str:
    """Return the signature as a reader would write it; "" for a property, an enum or a bare exception."""
    member = getattr(member, "__func__", member)
    if not callable(member) or (isinstance(member, type) and issubclass(member, enum.Enum)):
        return ""
    try:
        text = str(inspect.signature(member, eval_str=True))
    except (TypeError, ValueError, NameError):
        return ""
    if isinstance(member, type):
        text = text.removesuffix(" -> None")
    text = re.sub(r"\((self|cls)(, )?", "(", text, count=1)
    text = re.sub(r"<class '([\w.]+)'>", r"\1", text)
    text = re.sub(r"<function [\w.]*<lambda> at 0x[0-9a-f]+>", "...", text)
    text = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+([A-Za-z_])", r"\1", text)


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    text = page()
    if arguments != ["--check"]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print(f"docs/{PAGE.name} is out of date: run 'make docs' and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
