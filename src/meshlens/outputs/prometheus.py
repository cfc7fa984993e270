"""Prometheus: the text exposition format, as text, as a file for node_exporter, and over HTTP.

Format: prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4. Ids of the form
`type="arp",subtype="request"`, which bpfcountd's own example list uses, become labels of their own.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from meshlens.errors import MeshlensError
from meshlens.filters.lists import labels_of
from meshlens.outputs.httpd import serve_http
from meshlens.probes.snapshot import Count, Snapshot

__all__ = ["format_prometheus", "serve_prometheus", "write_textfile"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METRICS: tuple[tuple[str, str, Callable[[Count], int]], ...] = (
    ("meshlens_filter_packets_total", "Frames that a filter matched.", lambda count: count.packets),
    ("meshlens_filter_bytes_total", "Bytes of the frames that a filter matched.", lambda count: count.bytes),
)
MISSED = ("meshlens_missed_packets_total", "Frames that could not be counted, by reason.")

RESERVED = re.compile(r"filter|interface|direction|__.*")  # labels of ours, and Prometheus' own
ESCAPES = {"\\": r"\\", "\n": r"\n", '"': r"\""}

Labels = tuple[tuple[str, str], ...]


def format_prometheus(snapshot: Snapshot) -> str:
    """Counters for packets and bytes a filter, interface and direction, and for frames missed a reason.

    A direction that is not known has no label. Without any reason there is one series of 0 missed frames.
    """
    labels = _filter_labels(dict.fromkeys(count.filter for count in snapshot.counts))
    lines: list[str] = []
    for name, help_text, value in METRICS:
        lines += _header(name, help_text)
        for count in snapshot.counts:
            where = (("interface", count.interface), ("direction", count.direction or ""))
            lines.append(_sample(name, labels[count.filter] + where, value(count)))
    lines += _header(*MISSED)
    for reason, frames in (snapshot.missed or {"": 0}).items():
        lines.append(_sample(MISSED[0], (("reason", reason),), frames))
    return "\n".join(lines) + "\n"


def write_textfile(path: str | Path, snapshot: Snapshot) -> None:
    """Replace the file `path` in one step, so that node_exporter's textfile collector never reads half of it.

    The collector reads names that end in ".prom" only. Raises MeshlensError if the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}")  # a name that the collector does not read
    try:
        try:
            part.write_bytes(_encode(format_prometheus(snapshot)))
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MeshlensError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def serve_prometheus(
    read: Callable[[], Snapshot], *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[str, int]]:
    """Answer GET /metrics over HTTP inside the `with` block; yields the address and port in use.

    `read` is called in a client's thread, never twice at once. Raises MeshlensError if the address is not
    there or is taken.
    """
    one_at_a_time = Lock()

    def metrics() -> bytes:
        with one_at_a_time:
            return _encode(format_prometheus(read()))

    with serve_http("/metrics", CONTENT_TYPE, metrics, host=host, port=port) as address:
        yield address


def _header(name: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} counter"


def _sample(name: str, labels: Labels, value: int) -> str:
    # An empty label is the same as none (prometheus.io/docs/concepts/data_model).
    text = ",".join(f'{label}="{_escape(text)}"' for label, text in labels if text)
    return f"{name}{{{text}}} {value}" if text else f"{name} {value}"


def _escape(text: str) -> str:
    return re.sub(r'[\\\n"]', lambda match: ESCAPES[match[0]], text)


def _encode(text: str) -> bytes:
    """UTF-8, with '?' for what an id has of other bytes: they would spoil the whole scrape."""
    return text.encode(errors="replace")


def _filter_labels(ids: Iterable[str]) -> dict[str, Labels]:
    """Labels for each id; one that says the same as an id before it is a `filter`, not the same series."""
    result: dict[str, Labels] = {}
    taken: set[frozenset[tuple[str, str]]] = set()
    for filter_id in ids:
        # A helper filter often has the same labels as the filter that refers to it.
        spelled = {} if filter_id.startswith("%") else labels_of(filter_id) or {}
        labels = tuple((name, text) for name, text in spelled.items() if text)
        if not labels or frozenset(labels) in taken or any(map(RESERVED.fullmatch, spelled)):
            labels = (("filter", filter_id),)
        taken.add(frozenset(labels))
        result[filter_id] = labels
    return result
