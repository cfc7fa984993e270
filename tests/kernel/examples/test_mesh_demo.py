"""`make demo` counts what it sends, says so, and leaves nothing behind, also when it is interrupted."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "examples" / "mesh-demo" / "run.py"

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, DEMO], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def children(pid: int) -> list[int]:
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in tasks.read_text().split()]
    return found


@pytest.mark.slow
def test_all_filters_of_the_demo_count_what_was_sent() -> None:
    with start() as demo:
        output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    assert "30 of 30 filters counted what was sent" in output
    assert output.count("✓") == 30
    assert "✗" not in output


@pytest.mark.parametrize(
    ("by_api", "by_command"), [((2, 1, 180), (3, 180)), ((1, 1, 121), (2, 120)), ((1, 1, 120), (1, 120))]
)
def test_a_count_that_is_not_what_was_sent_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    by_api: tuple[int, int, int],
    by_command: tuple[int, int],
) -> None:
    monkeypatch.syspath_prepend(DEMO.parent)
    compare = importlib.import_module("run").compare
    sent = (1, 1, 120)
    assert compare({"A": sent}, {"A": sent}, {"A": (2, 120)})
    assert "✗" not in capsys.readouterr().out
    assert not compare({"A": sent}, {"A": by_api}, {"A": by_command})
    assert "✗" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_ends_with_its_command(number: signal.Signals, code: int) -> None:
    with start() as demo:
        deadline = time.monotonic() + 30
        while not children(demo.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        commands = children(demo.pid)
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=30)
    assert demo.returncode == code, output
    assert "Traceback" not in output
    assert commands
    assert not any(os.path.exists(f"/proc/{command}") for command in commands)  # noqa: PTH110
