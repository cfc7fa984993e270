"""Prometheus: everything of a reading, and what meshlens itself costs, as one page."""

import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from meshlens.outputs.exposition import Family, encode, filter_labels, header, label_text, sample
from meshlens.outputs.metrics_tables import TABLES, Row, Table, counter, gauge, size_lines, text
from meshlens.probes.snapshot import Direction
from meshlens.readings.reading import Reading

__all__ = ["MetricsPage"]

_FILTERS: Final = (
    counter("filter_packets", "Packets that a filter matched."),
    counter("filter_bytes", "Bytes of the packets that a filter matched."),
)
_ENDED: Final = (
    counter("flows_ended", "Flows that have ended."),
    counter("flows_ended_bytes", "Bytes of flows that have ended."),
)
_ERRORS: Final = (counter("output_errors", "Readings that an output could not be given."),)
_PROCESS: Final = (
    Family("process_cpu_seconds_total", "CPU time of this process, user and system."),
    Family("process_resident_memory_bytes", "Resident memory of this process.", "gauge"),
    Family("process_start_time_seconds", "When this process began.", "gauge"),
    gauge("reading_timestamp_seconds", "When these numbers were read from the kernel."),
)
_BUILD: Final = (gauge("build_info", "Which meshlens this is."),)


class MetricsPage:
    """Makes the page. It has to see every reading (`note`) to know of all flows that have ended.

    What is looked up for each of thousands of lines is kept from page to page: the text of its labels.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._started_s = time.time()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._ended_bytes: Counter[tuple[str, str]] = Counter()
        self._filter_texts: dict[tuple[str, str, Direction | None], str] = {}
        self.errors: Counter[str] = Counter()
        """How often an output could not be written, by its name; shown on the page."""

    def note(self, reading: Reading) -> None:
        """Add up the flows that have ended."""
        for flow in reading.ended:
            key = flow.interface, flow.protocol
            self._ended[key] += 1
            self._ended_bytes[key] += flow.bytes

    def render(self, reading: Reading) -> bytes:
        """The whole page, UTF-8."""
        tables = (*TABLES, Table(_FILTERS, self._filter_rows), Table(_ENDED, self._ended_rows),
                  Table(_ERRORS, self._error_rows), Table(_PROCESS, self._process_rows),
                  Table(_BUILD, self._build_rows))  # fmt: skip
        lines: list[str] = []
        for families, make_rows in tables:
            rows = list(make_rows(reading))
            for column, family in enumerate(families if rows else ()):
                lines += header(family)
                name = family.name
                lines += [sample(name, labels, values[column]) for labels, values in rows]
        lines += size_lines(reading)
        return encode("\n".join(lines) + "\n")

    def _filter_rows(self, reading: Reading) -> list[Row]:
        texts = self._filter_texts
        keys = [(each.filter, each.interface, each.direction) for each in reading.counts]
        if any(key not in texts for key in keys):  # which labels a filter gets depends on the others
            labels = filter_labels(dict.fromkeys(each.filter for each in reading.counts))
            texts = self._filter_texts = {
                key: label_text((*labels[key[0]], ("interface", key[1]), ("direction", key[2] or "")))
                for key in keys
            }
        counts = reading.counts
        return [(texts[key], (each.packets, each.bytes)) for key, each in zip(keys, counts, strict=True)]

    def _ended_rows(self, _: Reading) -> Iterator[Row]:
        for key, number in self._ended.items():
            yield text(interface=key[0], protocol=key[1]), (number, self._ended_bytes[key])

    def _error_rows(self, _: Reading) -> Iterator[Row]:
        for output, number in self.errors.items():
            yield text(output=output), (number,)

    def _process_rows(self, reading: Reading) -> Iterator[Row]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = used.ru_utime + used.ru_stime
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        yield "", (cpu_s, resident, self._started_s, reading.time_ns / 1e9)

    def _build_rows(self, _: Reading) -> Iterator[Row]:
        yield text(version=self._version), (1,)
