"""The `meshlens` command, run in a network namespace as a user runs it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import ALL_CPUS
from bench.network import Namespace
from meshlens.ebpf.query import Attachment, attached

__all__ = ["attachments", "running", "spawn", "start", "wait_attached"]

_TIMEOUT_S = 60.0


def start(namespace: Namespace, *words: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start `meshlens WORDS` inside, on all CPUs."""
    return spawn(namespace, sys.executable, "-m", "meshlens", *words, output=output)


def spawn(namespace: Namespace, *words: str, output: int) -> subprocess.Popen[bytes]:
    """Start any command inside, on all CPUs; `output` is subprocess.PIPE or DEVNULL."""
    with namespace.inside():  # a child begins in the namespace of the thread that made it
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output == subprocess.DEVNULL else output,
            preexec_fn=lambda: os.sched_setaffinity(0, ALL_CPUS),  # noqa: PLW1509  (we have no threads here)
        )


@contextmanager
def running(namespace: Namespace, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`meshlens WORDS` inside, ended by SIGTERM."""
    process = start(namespace, *words)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)


def attachments(namespace: Namespace, ifindex: int) -> list[Attachment]:
    """The programs at the hooks of an interface."""
    with namespace.inside():
        return attached(ifindex)


def wait_attached(namespace: Namespace, ifindex: int, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until `count` programs are at the hooks of an interface."""
    while len(attachments(namespace, ifindex)) < count:
        assert process.poll() is None, f"meshlens ended with {process.returncode} before it was attached"
        time.sleep(0.002)
