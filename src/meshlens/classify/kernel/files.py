"""What a model says of the stations or flows in capture files; no kernel is asked."""

import os
from collections.abc import Sequence

from meshlens.classify.model import Model
from meshlens.classify.reasons import Explainer
from meshlens.classify.tasks import Task
from meshlens.probes.classified import ClassCount, Classified

__all__ = ["FileVerdicts"]


class FileVerdicts:
    """The verdicts on capture files; a file's name stands for the interface.

    Nothing waits and nothing is missed: the task reads what it can.
    """

    waiting = 0
    elsewhere = 0

    def __init__(self, model: Model, task: Task, files: Sequence[str | os.PathLike[str]]) -> None:
        self.model, self._task = model, task
        self._unread = [os.fspath(file) for file in files]
        self._explainer = Explainer(model, task)
        self._found: list[Classified] = []
        self.missed: dict[str, int] = {}

    def read(self) -> None:
        """Read the files. Raises CaptureError where one is broken; what was found before counts."""
        while self._unread:
            file = self._unread.pop(0)
            for sample in self._task.read(file):
                label, _, votes = self.model.classify(self._explainer.row(sample.values))
                self._found.append(
                    self._explainer.classified(
                        file,
                        sample.name,
                        sample.values,
                        label,
                        votes,
                        first_ns=sample.first_ns,
                        packets=sample.packets,
                        runs=1,
                    )
                )

    def verdicts(self) -> list[Classified]:
        """Of each station or flow, in the order of the files. Reads them; raises CaptureError as `read`."""
        self.read()
        return self._found

    def counts(self) -> list[ClassCount]:
        """How many there are of each class in each file, with the packets that the task looked at."""
        sums: dict[tuple[str, str | None], tuple[int, int]] = {}
        for each in self._found:
            samples, packets = sums.get((each.interface, each.verdict), (0, 0))
            sums[each.interface, each.verdict] = samples + 1, packets + each.packets
        return [
            ClassCount(file, self._task.name, verdict, samples, packets, 0)
            for (file, verdict), (samples, packets) in sums.items()
        ]
