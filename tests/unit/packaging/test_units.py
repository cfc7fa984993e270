"""systemd finds nothing wrong with the units, and would if there were."""

import shutil
from pathlib import Path
from subprocess import run

import pytest

PACKAGING = Path(__file__).resolve().parents[3] / "packaging"
UNITS = sorted(path.name for path in PACKAGING.iterdir() if path.suffix in {".service", ".socket"})

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def complaints(folder: Path) -> list[str]:
    """What `systemd-analyze verify` says of the units, but for the command that may not be installed."""
    paths = [str(folder / name) for name in UNITS]
    said = run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False).stderr
    return [line for line in said.splitlines() if "meshlens is not executable" not in line]


def copy(folder: Path) -> None:
    for name in UNITS:
        shutil.copy(PACKAGING / name, folder)


def test_systemd_has_no_complaints(tmp_path: Path) -> None:
    copy(tmp_path)
    assert UNITS
    assert complaints(tmp_path) == []


@pytest.mark.parametrize("name", UNITS)
def test_a_misspelt_setting_would_be_seen(name: str, tmp_path: Path) -> None:
    copy(tmp_path)
    section = "Socket" if name.endswith(".socket") else "Service"
    with (tmp_path / name).open("a") as unit:
        unit.write(f"[{section}]\nPortectSystem=strict\n")
    assert any("PortectSystem" in line for line in complaints(tmp_path))


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_services_have_few_privileges(name: str, tmp_path: Path) -> None:
    copy(tmp_path)
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(tmp_path / name)]
    done = run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]  # exposure at most 2.5 of 10: "OK"
