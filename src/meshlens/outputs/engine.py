"""Reads the probes again and again, and hands each reading to the hub and to all outputs."""

import logging
import time
from collections.abc import Mapping
from typing import Protocol

from meshlens.errors import MeshlensError
from meshlens.outputs.hub import Hub
from meshlens.outputs.sinks import Sink
from meshlens.readings.reading import Reading

__all__ = ["Engine", "Source"]

log = logging.getLogger(__name__)


class Source(Protocol):
    """What readings come from: a Monitor."""

    def read(self) -> Reading:
        """What is known now."""

    def wait(self, seconds: float) -> None:
        """Follow the interfaces for so long, or until woken."""

    def finish(self) -> Reading:
        """Detach; the last reading."""


class Engine:
    """An output that cannot be written is logged once, counted in the metrics, and tried again each time."""

    def __init__(self, source: Source, hub: Hub, outputs: Mapping[str, Sink], interval_s: float) -> None:
        self.source, self.hub, self.interval_s = source, hub, interval_s
        self.outputs: dict[str, Sink] = dict(outputs)
        self._due_s = 0.0
        self._failing: set[str] = set()

    def turn(self, at_most_s: float) -> None:
        """Wait until a reading is due, but no longer than `at_most_s`; read if it is."""
        left_s = self._due_s - time.monotonic()
        if left_s > 0:
            self.source.wait(min(left_s, at_most_s))
        now_s = time.monotonic()
        if now_s >= self._due_s:
            # From when it was due, so that it does not drift; anew if that is long ago.
            due_s = self._due_s + self.interval_s
            self._due_s = due_s if due_s > now_s else now_s + self.interval_s
            self.hand_out(self.source.read())

    def hand_out(self, reading: Reading) -> None:
        """Give a reading to everybody."""
        self.hub.publish(reading)
        for name, sink in self.outputs.items():
            try:
                sink.write(reading)
            except MeshlensError as error:
                self.hub.page.errors[name] += 1
                if name not in self._failing:
                    log.error("%s", error)  # noqa: TRY400  (one line says it all)
                self._failing.add(name)
            else:
                if name in self._failing:
                    self._failing.discard(name)
                    log.warning("the output %s can be written again", name)

    def finish(self) -> None:
        """Detach, hand out what was still going on, and close all outputs."""
        try:
            self.hand_out(self.source.finish())
        finally:
            self.hub.close()
            self.close_outputs()

    def close_outputs(self) -> None:
        """Close all, whatever one of them has to complain about."""
        for name, sink in self.outputs.items():
            try:
                sink.close()
            except MeshlensError as error:
                log.error("%s: %s", name, error)  # noqa: TRY400  (as above)
        self.outputs = {}
