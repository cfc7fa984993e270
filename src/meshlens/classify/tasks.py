"""The tasks: what a sample is, its features, and how a capture file becomes samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

from meshlens.classify.features import Feature, Sample
from meshlens.classify.truth import TRUTHS, Truth
from meshlens.errors import UsageError

__all__ = ["TASKS", "Task", "task"]


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of question. `unit` is what a sample is: "station" or "flow".

    `read(path)` yields the samples of a capture file; `features` is the row that each has. `truth` says how
    samples meet the rows of a label file, where a task does that otherwise than others of its unit.
    """

    name: str
    unit: str
    features: tuple[Feature, ...]
    read: Callable[[str], Iterator[Sample]]
    truth: Truth | None = None

    @property
    def labelling(self) -> Truth:
        """How samples meet the rows of a label file."""
        return self.truth or TRUTHS[self.unit]

    def positions(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Where the features of these names stand in a row; UsageError for a name that is not there."""
        places = {feature.name: position for position, feature in enumerate(self.features)}
        if missing := [name for name in names if name not in places]:
            raise UsageError(
                f"task {self.name} has no feature {missing[0]!r}; this model is of another version"
            )
        return tuple(places[name] for name in names)


#: The task by its name, and the module whose `TASK` it is.
TASKS: Final = {
    "wifi-station": "meshlens.classify.wifi_station",
    "ethernet-station": "meshlens.classify.ethernet_station",
    "flow": "meshlens.classify.flow",
}


@cache
def task(name: str) -> Task:
    """The task of this name; its module is imported when it is asked for."""
    if name not in TASKS:
        raise UsageError(f"no task {name!r}; there are {', '.join(TASKS)}")
    found: Task = import_module(TASKS[name]).TASK
    return found
