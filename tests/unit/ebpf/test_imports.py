"""The kit is light: a small router pays for every module."""

import subprocess
import sys

HEAVY = ("asyncio", "dataclasses", "inspect", "logging", "pathlib", "pyroute2", "subprocess", "urllib")


def test_the_kit_imports_no_heavy_module() -> None:
    code = "import sys; import meshlens.ebpf; print(*sys.modules)"
    isolated = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = ['src']; {code}"]
    loaded = subprocess.run(isolated, capture_output=True, text=True, check=True).stdout.split()
    assert "meshlens.ebpf.attach" in loaded
    assert [name for name in HEAVY if name in loaded] == []
