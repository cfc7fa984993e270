"""Labelled captures in a folder: which files, whose labels, and what could not be used.

A folder has a label file (CSV with a column `file`) and captures: at the path that the file gives, below
`pcaps/`, or anywhere below by name. Captures are read one after another, and only samples are kept.
"""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Final, NamedTuple, Self

from meshlens.classify.features import Feature, Sample
from meshlens.classify.tasks import Task
from meshlens.classify.truth import Row
from meshlens.errors import MeshlensError, UsageError

__all__ = [
    "EARLY_WEIGHT",
    "Dataset",
    "LabelFile",
    "Labelled",
    "Lessons",
    "Skipped",
    "Table",
    "read_dataset",
    "read_labels",
]


#: A row as it was before its sample was whole counts so much for learning: enough to be known, too little to
#: blur what whole ones say.
EARLY_WEIGHT: Final = 0.05


class Skipped(NamedTuple):
    """A row of the label file that has no sample, and why."""

    row: Row
    reason: str

    @property
    def file(self) -> str:
        """The capture that it names."""
        return self.row["file"]


class Labelled(NamedTuple):
    """A sample and its row of the label file. `content` is the same for captures of the same bytes."""

    sample: Sample
    row: Row
    content: str


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label file: `rows` by the value of their column `file`, in its order.

    Each has, if it has no column of that name, its number as "row", the first being 0.
    """

    path: Path
    columns: tuple[str, ...]
    rows: dict[str, list[Row]]

    def demand(self, column: str) -> None:
        """Raise UsageError if there is no such column."""
        if column not in self.columns:
            raise UsageError(
                f"{self.path}: no column {column!r}; there are {', '.join(self.columns) or 'none'}"
            )


class Lessons(NamedTuple):
    """Rows to learn from, and how much each counts."""

    rows: list[tuple[int, ...]]
    labels: list[str]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that a model learns from or is tested with: the same position in each of the tuples is one sample.

    Rows with equal `groups` never stand on both sides of a split. `listed` are the rows of the label file.
    `early`: what each row was like before; see Sample.
    """

    features: tuple[Feature, ...]
    rows: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    samples: tuple[Sample, ...]
    listed: tuple[Row, ...]
    early: tuple[tuple[tuple[int, ...], ...], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def lessons(self, positions: Collection[int]) -> Lessons:
        """What a model learns of these rows: themselves, and with less weight what they were like before.

        A model that saw whole samples only has nothing to say of those that have just begun.
        """
        rows, labels, weights = list[tuple[int, ...]](), list[str](), list[float]()
        for place in positions:
            early = self.early[place] if self.early else ()
            rows += [self.rows[place], *early]
            weights += [1.0, *(EARLY_WEIGHT for _ in early)]
            labels += [self.labels[place]] * (1 + len(early))
        return Lessons(rows, labels, weights)

    def only(self, positions: Collection[int]) -> Self:
        """These rows."""
        return replace(
            self,
            rows=tuple(self.rows[place] for place in positions),
            labels=tuple(self.labels[place] for place in positions),
            groups=tuple(self.groups[place] for place in positions),
            samples=tuple(self.samples[place] for place in positions),
            early=tuple(self.early[place] for place in positions) if self.early else (),
            listed=tuple(self.listed[place] for place in positions),
        )

    def without(self, groups: Collection[str]) -> Self:
        """All rows without the features of these groups. Raises UsageError for one that no feature has."""
        known = {feature.group for feature in self.features}
        if unknown := sorted(set(groups) - known):
            raise UsageError(f"no feature is of group {unknown[0]!r}; there are {', '.join(sorted(known))}")
        return self._with_features([feature.group not in groups for feature in self.features])

    def varying(self) -> Self:
        """All rows without the features that are the same in each of them: they tell nothing."""
        return self._with_features([len(set(column)) > 1 for column in zip(*self.rows, strict=True)])

    def _with_features(self, kept: Sequence[bool]) -> Self:
        return replace(
            self,
            features=tuple(compress(self.features, kept)),
            rows=tuple(tuple(compress(row, kept)) for row in self.rows),
            early=tuple(tuple(tuple(compress(row, kept)) for row in rows) for rows in self.early),
        )

    def repeated(self, least_groups: int = 2) -> Self:
        """The rows whose label comes in at least so many groups: those that a grouped split can test."""
        groups = defaultdict[str, set[str]](set)
        for label, group in zip(self.labels, self.groups, strict=True):
            groups[label].add(group)
        return self.only([i for i, label in enumerate(self.labels) if len(groups[label]) >= least_groups])


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was found in a folder. `left_out` counts rows that are no truth: guesses.

    `digest` tells data from other data: SHA-256 over the label file and the captures.
    """

    task: Task
    labels: LabelFile
    labelled: tuple[Labelled, ...]
    skipped: tuple[Skipped, ...]
    left_out: int
    digest: str

    def group_column(self) -> str:
        """The column whose values never cross a split if none is named."""
        return next(column for column in self.task.labelling.groups if column in self.labels.columns)

    def without_sample(self, label: str) -> int:
        """How many rows have a `label` but no sample."""
        return sum(bool(self.task.labelling.label(one.row, label)) for one in self.skipped)

    def table(self, label: str, group: str = "", *, where: Callable[[Row], bool] = lambda row: True) -> Table:
        """The rows that have a `label` (a column of the label file), grouped by column `group`.

        Captures of the same bytes are of the same group, whatever the label file says. Raises UsageError for
        a column that is not there.
        """
        group = group or self.group_column()
        self.labels.demand(label)
        self.labels.demand(group)
        truth = self.task.labelling.label
        chosen = [one for one in self.labelled if truth(one.row, label) and where(one.row)]
        return Table(
            self.task.features,
            tuple(one.sample.values for one in chosen),
            tuple(truth(one.row, label) for one in chosen),
            _joined_groups([one.row[group] or one.row["file"] for one in chosen], chosen),
            tuple(one.sample for one in chosen),
            tuple(one.row for one in chosen),
            tuple(one.sample.early for one in chosen),
        )


def read_labels(task: Task, directory: str | os.PathLike[str]) -> LabelFile:
    """The label file of a folder. Raises UsageError if there is none, or none that can be read."""
    names = task.labelling.files
    path = next((path for name in names if (path := Path(directory, name)).is_file()), None)
    if path is None:
        raise UsageError(f"{directory}: no {' or '.join(names)} there: a CSV file with a column 'file'")
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text, restval="")
            rows = defaultdict[str, list[Row]](list)
            for number, row in enumerate(reader):
                row.setdefault("row", str(number))
                row.pop(None, None)  # cells beyond the header
                rows[row.get("file") or ""].append(row)
            found = LabelFile(path, tuple(reader.fieldnames or ()), dict(rows))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as CSV: {error}") from None
    for column in task.labelling.columns:
        found.demand(column)
    return found


@dataclass(slots=True)
class _Found:
    """What reading has come to so far."""

    labelled: list[Labelled] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    left_out: int = 0


def read_dataset(
    task: Task,
    directory: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    demand: Collection[str] = (),
) -> Dataset:
    """Read the captures of a folder that its label file names.

    `progress(done, total)` is called after each capture. Raises UsageError, before any capture is read, if
    the label file is not usable or lacks one of the columns `demand`.
    """
    labels = read_labels(task, directory)
    for column in demand:
        labels.demand(column)
    found, digest = _Found(), hashlib.sha256(labels.path.read_bytes())
    places = _Places(Path(directory))
    truth = task.labelling
    for done, (file, all_rows) in enumerate(labels.rows.items(), 1):
        rows = [row for row in all_rows if truth.trusted(row)]
        found.left_out += len(all_rows) - len(rows)
        if rows:
            content = _read_one(task, places.find(file), rows, found)
            digest.update(f"{file}\0{content}\0".encode())
        progress(done, len(labels.rows))
    return Dataset(
        task, labels, tuple(found.labelled), tuple(found.skipped), found.left_out, digest.hexdigest()
    )


def _read_one(task: Task, path: Path | None, rows: list[Row], found: _Found) -> str:
    """Add the samples of a capture to `found`; returns the digest of its bytes."""
    content = ""
    problem = "no such file"
    samples: list[Sample] = []
    if path:
        try:
            content = _digest(path)
            problem = "no packet of it" if task.unit == "flow" else "no such station in it"
            for sample in task.read(str(path)):
                samples.append(sample)  # noqa: PERF402 - what was read before a broken place is kept
        except (MeshlensError, OSError) as error:
            problem = str(error)
    for row, of_row in task.labelling.pair(samples, rows):
        if of_row is None:
            found.skipped.append(Skipped(row, problem))
        else:
            found.labelled.append(Labelled(of_row, row, content))
    return content


class _Places:
    """Where captures are: at the path given, below pcaps/, or, by name, anywhere below the folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._by_name: dict[str, Path] | None = None

    def find(self, file: str) -> Path | None:
        for path in (self.directory / file, self.directory / "pcaps" / file):
            with suppress(OSError):  # a name that is too long, say
                if path.is_file():
                    return path
        if self._by_name is None:
            self._by_name = {path.name: path for path in self._files()}
        return self._by_name.get(Path(file).name)

    def _files(self) -> Iterator[Path]:
        return (path for path in sorted(self.directory.rglob("*"), reverse=True) if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _joined_groups(groups: list[str], labelled: list[Labelled]) -> tuple[str, ...]:
    """The groups, those that have a capture of the same bytes made one."""
    leader = {group: group for group in groups}

    def first(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    seen: dict[str, str] = {}
    for group, one in zip(groups, labelled, strict=True):
        leader[first(group)] = first(seen.setdefault(one.content, group))
    return tuple(first(group) for group in groups)
