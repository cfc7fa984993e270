#!/usr/bin/env python3
"""Check that every package imports only packages above it: lower layers must not know who uses them.

Prints one line a violation, `file:line: what`, and exits with 1 if there is any.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = "meshlens"

# From the ground up. Each may import those before it; `errors` is free to all.
LAYERS = (
    "ebpf",
    "packet",
    "decision",
    "filters",
    "probes",
    "wifi",
    "classify",
    "readings",
    "outputs",
    "web",
    "cli",
)
FREE = {"errors"}
# Useful to anyone without the rest of meshlens: they import nothing of ours.
INDEPENDENT = {"ebpf", "packet"}
# The public face and `python -m meshlens` stand above all layers; only the command line looks up to them.
TOP = {"__init__", "__main__"}


def violations(source: Path) -> Iterator[str]:
    """Yield the forbidden imports in the tree of package `meshlens` at `source`."""
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        package = parts[0]
        if package in TOP:
            continue
        if package not in FREE and package not in LAYERS:
            yield f"{path}:1: package {package} has no place in the list of tools/layers.py"
            continue
        allowed = allowed_imports(package)
        for line, imported in imports(ast.parse(path.read_text()), parts):
            if imported != package and imported not in allowed:
                rule = f"it may import {', '.join(sorted(allowed))}"
                yield f"{path}:{line}: {package} imports {imported}; {rule}"


def allowed_imports(package: str) -> set[str]:
    """Return the names under `meshlens` that `package` may import."""
    if package in FREE:
        return FREE - {package}
    if package in INDEPENDENT:
        return FREE
    above = FREE | set(LAYERS[: LAYERS.index(package)])
    return above | {ROOT} if package == "cli" else above


def imports(tree: ast.Module, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield the line and the package of each import of ours in the module `parts`, wherever it stands.

    Names that belong to the root itself (`from meshlens import __version__`) come as "meshlens".
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = ".".join((ROOT, *parts)[: -node.level]) if node.level else ""
                module = ".".join(filter(None, (base, node.module)))
                names = [f"{module}.{alias.name}" for alias in node.names]
            case _:
                continue
        for name in names:
            root, _, rest = name.partition(".")
            if root == ROOT:
                package = rest.partition(".")[0]
                yield node.lineno, package if package in {*LAYERS, *FREE} else ROOT


def main() -> int:
    """Check the tree beside this script."""
    source = Path(__file__).resolve().parent.parent / "src" / ROOT
    found = list(violations(source))
    print("\n".join(found) if found else "layers: every package imports only packages above it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
