"""Counts comparisons over all tests here, and says at the end how many there were."""

import time
from collections.abc import Sequence
from typing import Protocol

import pytest

from meshlens.filters.compiler import CompiledList
from tests.oracle.corpus import Sample
from tests.oracle.judges import HOOKS, Answers, Verdicts, judge, kernel_is_allowed

TALLY = pytest.StashKey[list[tuple[Verdicts, float]]]()


class Compare(Protocol):
    """Lets all judges look at all frames: `answers`, the interpreter and (with permission) the kernel."""

    def __call__(
        self, compiled: CompiledList, samples: Sequence[Sample], answers: Answers, *, kernel: bool = True
    ) -> Verdicts: ...


@pytest.fixture(scope="session")
def compare(pytestconfig: pytest.Config) -> Compare:
    """A Compare that keeps count for the summary."""
    hooks = HOOKS if kernel_is_allowed() else ()
    tally = pytestconfig.stash.setdefault(TALLY, [])

    def run(
        compiled: CompiledList, samples: Sequence[Sample], answers: Answers, *, kernel: bool = True
    ) -> Verdicts:
        start = time.monotonic()
        verdicts = judge(compiled, samples, answers, hooks if kernel else ())
        tally.append((verdicts, time.monotonic() - start))
        return verdicts

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, [])
    if not tally:
        return
    total = sum((verdicts for verdicts, _ in tally), Verdicts())
    wrong = sum(map(len, total.wrong.values()))
    seconds = sum(seconds for _, seconds in tally)
    terminalreporter.write_line(
        f"oracle: {total.comparisons:,} verdicts compared on {total.frames:,} frames in {seconds:.0f} s, "
        f"{wrong} disagreements",
        red=wrong > 0,
        green=not wrong,
    )
