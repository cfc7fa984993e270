"""`meshlens serve` as a process in a namespace."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from meshlens.ebpf.query import attached
from tests.kernel.conftest import NetNs
from tests.kernel.count import traffic

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
PORT = 9617
#: Of each interface: interfaces, stations and flows in both directions, and two more with filters.
PROGRAMS = 6


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true: it takes seconds to load twenty programs on a busy machine."""
    return traffic.eventually(condition, 20)


@contextlib.contextmanager
def serving(
    ns: NetNs, config: Path, *words: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that answers; killed at the end."""
    process = subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            ns.name,
            sys.executable,
            "-m",
            "meshlens",
            "serve",
            "--config",
            str(config),
            *words,
        ],
        env=ENVIRONMENT | (environment or {}),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert eventually(lambda: answers(ns)), process.poll()
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def finish(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Send a signal; the exit code and what was logged."""
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


def get(ns: NetNs, path: str, *, token: str = "", port: int = PORT) -> bytes:
    def ask() -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  (it is http)
            return bytes(answer.read())

    return ns.run(ask)


def answers(ns: NetNs) -> bool:
    try:
        get(ns, "/healthz")
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


def metrics(ns: NetNs) -> dict[str, float]:
    """Series as they stand in the page, to their values."""
    lines = get(ns, "/metrics").decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def programs(ns: NetNs, interface: str = "veth0") -> int:
    return len(ns.run(lambda: attached(ns._replace(ifname=interface).ifindex)))


def history(path: Path, *words: str) -> list[dict[str, Any]]:
    """What `meshlens history` says, as objects."""
    done = subprocess.run(
        [sys.executable, "-m", "meshlens", "history", *words, "--db", str(path), "--json"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def capabilities(process: subprocess.Popen[str]) -> set[str]:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)", status, re.MULTILINE))
