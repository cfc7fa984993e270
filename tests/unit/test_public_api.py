"""`import meshlens` is free, and what it promises is there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import meshlens


def test_importing_meshlens_imports_nothing_else_of_it() -> None:
    program = "import sys, meshlens; print(*[name for name in sys.modules if name.startswith('meshlens.')])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_every_public_name_is_there() -> None:
    for name in meshlens.__all__:
        assert getattr(meshlens, name).__name__ == name


def test_the_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(meshlens.__file__).read_text())
    typed = {
        node.module: tuple(alias.name for alias in node.names)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("meshlens.")
    }
    assert typed == meshlens._HOMES
    assert sorted(name for names in typed.values() for name in names) == meshlens.__all__
    assert dir(meshlens) == sorted([*meshlens.__all__, "__version__"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'meshlens' has no attribute 'novel'"):
        meshlens.novel  # noqa: B018
