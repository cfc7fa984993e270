"""`meshlens count` as a process in a namespace."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from meshlens.ebpf.query import attached
from tests.kernel.conftest import NetNs
from tests.kernel.count.traffic import Counts, eventually

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}


def in_namespace(ns: NetNs, *arguments: str) -> list[str]:
    """The command that runs Python with these arguments in a namespace, as the same process."""
    return ["ip", "netns", "exec", ns.name, sys.executable, *arguments]


@contextlib.contextmanager
def counting(ns: NetNs, *arguments: str, program: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that counts on veth0, by `program` instead of our command line; killed at the end."""
    how = ["-c", program] if program else ["-m", "meshlens"]
    before = programs_on(ns)
    expected = 0 if "socket" in arguments else 2  # a socket's are on no interface
    process = subprocess.Popen(
        in_namespace(ns, *how, "count", "-i", "veth0", *arguments),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert eventually(lambda: len(programs_on(ns) - before) == expected), process.poll()
        yield process
    finally:
        process.kill()
        if process.stdout and not process.stdout.closed:
            process.communicate()
        elif process.stderr:
            process.stderr.close()


def programs_on(ns: NetNs) -> set[int]:
    return {each.program_id for each in ns.run(lambda: attached(ns.ifindex))}


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal; the exit code, what was printed, and the errors."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def last_report(out: str, interface: str = "veth0") -> tuple[Counts, int]:
    """What came in at an interface by the last JSON report, and how many frames were missed."""
    reports = [json.loads(line) for line in out.splitlines()]
    missed = reports.pop()["missed"]
    found = {
        each["filter"]: (each["packets"], each["bytes"])
        for each in reports
        if (each.get("interface"), each.get("direction")) == (interface, "in")
    }
    return found, missed
