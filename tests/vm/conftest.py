"""Tests in virtual machines: a script of tests/vm/guest runs in each kernel, a test judges what it printed.

`vm` is one kernel, and each test that asks for it is there once a kernel. What one machine is asked, the
others are asked at the same time; each boots once.
"""

import compileall
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.vm.kernels import NATIVE, SERIES, Unavailable, fetched
from tests.vm.machine import Machine, MachineError, Result

ROOT = Path(__file__).resolve().parents[2]

_seconds: dict[str, float] = dict.fromkeys(SERIES, 0.0)


class Running:
    """One kernel's machine, on from the first question to the end of the run, or to its own."""

    def __init__(self, series: str) -> None:
        self.series = series
        self._machine: Machine | None = None
        self._questions = ThreadPoolExecutor(1)

    def ask(self, script: str, arguments: tuple[str, ...]) -> "Future[Result]":
        return self._questions.submit(self._ask, script, arguments)

    def _ask(self, script: str, arguments: tuple[str, ...]) -> Result:
        began = time.monotonic()
        try:
            if self._machine is None:
                self._machine = Machine(fetched(self.series)).__enter__()
            python = [sys.executable, "-m", f"tests.vm.guest.{script}", *arguments]
            environment = {"PYTHONPATH": f"{ROOT}/src:{ROOT}"}
            return self._machine.run(*python, environment=environment, timeout_s=120)
        except MachineError:
            self._machine = None
            raise
        finally:
            _seconds[self.series] += time.monotonic() - began

    def end(self) -> None:
        self._questions.shutdown(cancel_futures=True)
        if self._machine is not None:
            self._machine.__exit__(None, None, None)


class VirtualMachine(NamedTuple):
    """A kernel to ask: `ask("count", "eth0")` runs tests/vm/guest/count.py there and returns its JSON."""

    series: str
    ask: Callable[..., Any]


class Machines:
    """All kernels that are there. Each question is asked once, of all at once."""

    def __init__(self) -> None:
        self.running = {series: Running(series) for series in NATIVE if _reason(series) is None}
        self._asked: dict[tuple[str, tuple[str, ...]], dict[str, Future[Result]]] = {}

    def ask(self, series: str, script: str, *arguments: str) -> Any:
        question = (script, arguments)
        if question not in self._asked:
            self._asked[question] = {name: each.ask(*question) for name, each in self.running.items()}
        answer = self._asked[question][series].result()
        assert answer.code == 0, f"{script} in {series}, exit code {answer.code}:\n{answer.err}"
        return json.loads(answer.out)


def _reason(series: str) -> str | None:
    """Why there is no such machine, if there is none."""
    try:
        fetched(series)
    except Unavailable as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compiles our Python here: in a machine, where nothing is kept, it would take seconds each time."""
    for folder in ("src", "tests"):
        compileall.compile_dir(ROOT / folder, quiet=1)


@pytest.fixture(scope="session")
def machines(compiled: None) -> Iterator[Machines]:
    ours = Machines()
    yield ours
    for each in ours.running.values():
        each.end()


@pytest.fixture(params=NATIVE)
def vm(request: pytest.FixtureRequest, machines: Machines) -> VirtualMachine:
    """A machine with one of the kernels; skipped where it is missing."""
    series = str(request.param)
    if (reason := _reason(series)) is not None:
        pytest.skip(reason)
    return VirtualMachine(series, partial(machines.ask, series))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "vm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.vm)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    spent = [f"{series}: {seconds:.0f} s" for series, seconds in _seconds.items() if seconds]
    if spent:
        terminalreporter.write_line(f"virtual machines, side by side: {', '.join(spent)}")
