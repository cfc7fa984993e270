"""Prometheus: the counts of filters as text, as a file for node_exporter, and over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from meshlens.outputs.exposition import (
    CONTENT_TYPE,
    Family,
    encode,
    filter_labels,
    header,
    label_text,
    sample,
)
from meshlens.outputs.files import replace_file
from meshlens.outputs.httpd import serve_http
from meshlens.probes.snapshot import Count, Snapshot

__all__ = ["format_prometheus", "serve_prometheus", "write_textfile"]

METRICS: tuple[tuple[Family, Callable[[Count], int]], ...] = (
    (
        Family("meshlens_filter_packets_total", "Frames that a filter matched."),
        lambda count: count.packets,
    ),
    (
        Family("meshlens_filter_bytes_total", "Bytes of the frames that a filter matched."),
        lambda count: count.bytes,
    ),
)
MISSED = Family("meshlens_missed_packets_total", "Frames that could not be counted, by reason.")


def format_prometheus(snapshot: Snapshot) -> str:
    """Counters for packets and bytes a filter, interface and direction, and for frames missed a reason.

    A direction that is not known has no label. Without any reason there is one series of 0 missed frames.
    """
    labels = filter_labels(dict.fromkeys(count.filter for count in snapshot.counts))
    lines: list[str] = []
    for family, value in METRICS:
        lines += header(family)
        for count in snapshot.counts:
            where = (("interface", count.interface), ("direction", count.direction or ""))
            lines.append(sample(family.name, label_text(labels[count.filter] + where), value(count)))
    lines += header(MISSED)
    for reason, frames in (snapshot.missed or {"": 0}).items():
        lines.append(sample(MISSED.name, label_text([("reason", reason)]), frames))
    return "\n".join(lines) + "\n"


def write_textfile(path: str | Path, snapshot: Snapshot) -> None:
    """Replace the file `path` in one step, so that node_exporter's textfile collector never reads half of it.

    The collector reads names that end in ".prom" only. Raises MeshlensError if the file cannot be written.
    """
    replace_file(path, encode(format_prometheus(snapshot)))


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
            return encode(format_prometheus(read()))

    with serve_http("/metrics", CONTENT_TYPE, metrics, host=host, port=port) as address:
        yield address
