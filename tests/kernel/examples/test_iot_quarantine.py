"""The lab recognises its made-up devices, keeps them in their share, and leaves nothing behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LAB = Path(__file__).parents[3] / "examples" / "iot-quarantine" / "run.py"

pytestmark = [pytest.mark.root, pytest.mark.kernel, pytest.mark.slow]


def start(*arguments: str) -> subprocess.Popen[str]:
    pytest.importorskip("sklearn")
    return subprocess.Popen(
        [sys.executable, LAB, "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_made_up_devices_are_named_and_the_call_keeps_its_delay() -> None:
    with start("--join", "8", "--seconds", "4") as lab:
        output, errors = lab.communicate(timeout=150)
    assert lab.returncode == 0, errors
    told = json.loads(output.splitlines()[-1])
    assert told["f1_macro"] > 0.8
    without, with_meshlens = told["latency_p95_ms"]["without"], told["latency_p95_ms"]["with"]
    assert with_meshlens is not None
    assert without is None or with_meshlens < without / 2
    assert all(each["packets"] <= 32 for each in told["devices"] if each["packets"])
    assert told["kernel"]["packets"] > 1000
    assert told["user_space"]["packets"] > 1000


def test_an_interrupted_lab_leaves_no_process() -> None:
    with start() as lab:
        time.sleep(8)
        lab.send_signal(signal.SIGINT)
        _, errors = lab.communicate(timeout=30)
    assert lab.returncode == 130, errors
    assert "Traceback" not in errors
    children = subprocess.run(["pgrep", "-P", str(lab.pid)], check=False, capture_output=True)
    assert not children.stdout
