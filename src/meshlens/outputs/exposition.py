"""The text exposition format of Prometheus, version 0.0.4: families, labels, and labels of filters.

Source: prometheus.io/docs/instrumenting/exposition_formats. Ids of the form `type="arp",subtype="request"`,
which bpfcountd's own example list uses, become labels of their own.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from meshlens.filters.lists import labels_of

__all__ = ["CONTENT_TYPE", "Family", "Labels", "encode", "filter_labels", "header", "label_text", "sample"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

RESERVED = re.compile(r"filter|interface|direction|__.*")  # labels of ours, and Prometheus' own
ESCAPES = {"\\": r"\\", "\n": r"\n", '"': r"\""}

Labels = tuple[tuple[str, str], ...]


class Family(NamedTuple):
    """A metric: its name, what it says, and whether it only grows."""

    name: str
    help: str
    type: Literal["counter", "gauge", "histogram"] = "counter"


def header(family: Family) -> tuple[str, str]:
    """The two lines before a family's samples."""
    return f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.type}"


def sample(name: str, labels: str, value: float) -> str:
    """A line; `labels` are those of `label_text`."""
    return f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """Labels as they stand in a line. An empty one is the same as none (prometheus.io, data model)."""
    return ",".join(f'{name}="{_escape(text)}"' for name, text in labels if text)


def encode(text: str) -> bytes:
    """UTF-8, with '?' for what an id has of other bytes: they would spoil the whole scrape."""
    return text.encode(errors="replace")


def filter_labels(ids: Iterable[str]) -> dict[str, Labels]:
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


def _escape(text: str) -> str:
    return re.sub(r'[\\\n"]', lambda match: ESCAPES[match[0]], text)
