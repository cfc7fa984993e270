"""A task that is made for tests, by its name as any other."""

from collections.abc import Iterator

import pytest

from meshlens.classify import tasks


@pytest.fixture
def toy_task(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the task in toy_task/."""
    monkeypatch.setitem(tasks.TASKS, "toy", "tests.kernel.classify.toy_task")
    yield "toy"
    tasks.task.cache_clear()
