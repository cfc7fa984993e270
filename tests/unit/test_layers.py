"""The layer check holds for the project, and finds what it is there to find."""

from pathlib import Path

import pytest

from tools import layers

SOURCE = Path(__file__).resolve().parents[2] / "src" / "meshlens"


def test_every_package_imports_only_packages_above_it() -> None:
    assert list(layers.violations(SOURCE)) == []


@pytest.mark.parametrize(
    ("module", "line", "imported"),
    [
        ("packet/a.py", "from meshlens.ebpf import Asm", "ebpf"),
        ("packet/a.py", "import meshlens.filters.lists", "filters"),
        ("filters/a.py", "from meshlens import cli", "cli"),
        ("filters/a.py", "from ..outputs import table", "outputs"),
        ("filters/deep/a.py", "from ... import cli", "cli"),
        ("decision/a.py", "def late():\n    from meshlens.filters import lists", "filters"),
        ("filters/a.py", "from meshlens import compile_list", "meshlens"),
        ("errors.py", "from meshlens import packet", "packet"),
    ],
)
def test_an_import_from_below_is_found(module: str, line: str, imported: str, tmp_path: Path) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    [violation] = layers.violations(tmp_path)
    assert violation.startswith(f"{path}:")
    assert f" imports {imported};" in violation


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("filters/a.py", "from meshlens.packet import batadv\nfrom meshlens.errors import UsageError"),
        ("filters/a.py", "from . import pcap\nfrom .pcap import matches\nimport ast"),
        ("cli/a.py", "from meshlens import __version__\nfrom meshlens.outputs import table"),
        ("__init__.py", "from meshlens.cli.main import run"),
    ],
)
def test_an_import_from_above_is_allowed(module: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    assert list(layers.violations(tmp_path)) == []


def test_a_package_without_a_place_is_found(tmp_path: Path) -> None:
    (tmp_path / "novel.py").write_text("")
    [violation] = layers.violations(tmp_path)
    assert "package novel has no place" in violation
